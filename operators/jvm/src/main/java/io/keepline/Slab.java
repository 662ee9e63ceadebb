package io.keepline;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The states of the resident keys: one off-heap block of {@code capacity} slots, and the tables that say which key sits where.
 *
 * <p>It does no I/O. Lookup is a chained hash table over raw key bytes (a hit allocates nothing); victims are picked by the clock
 * algorithm among the slots that the pending batch does not use; the dirty slots form a list, oldest first, linked through two arrays,
 * so that any slot leaves it in constant time. Used by one thread.
 */
final class Slab {
  final int capacity;
  final int stateSize;
  final ByteBuffer memory;

  private final int mask;
  private final int[] heads;
  private final int[] chain;
  private final int[] hashes;
  private final byte[][] keys;

  private final int[] stamps;
  private final boolean[] referenced;
  private int used;
  private int hand;

  private static final int CLEAN = -2;
  private static final int END = -1;
  private final int[] newer;
  private final int[] older;
  private final long[] dirtySince;
  private int oldest = END;
  private int newest = END;

  Slab(int capacity, int stateSize) {
    if ((long) capacity * stateSize > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("capacity " + capacity + " x " + stateSize + " bytes of state exceed 2 GiB a subtask: lower"
          + " the capacity to " + Integer.MAX_VALUE / stateSize + " or raise the parallelism");
    }
    this.capacity = capacity;
    this.stateSize = stateSize;
    memory = direct(capacity * stateSize, "the resident states");
    int table = Integer.highestOneBit(Math.max(16, capacity)) << 1;
    mask = table - 1;
    heads = new int[table];
    Arrays.fill(heads, END);
    chain = new int[capacity];
    hashes = new int[capacity];
    keys = new byte[capacity][];
    stamps = new int[capacity];
    Arrays.fill(stamps, -1);
    referenced = new boolean[capacity];
    newer = new int[capacity];
    Arrays.fill(newer, CLEAN);
    older = new int[capacity];
    dirtySince = new long[capacity];
  }

  static ByteBuffer direct(int bytes, String what) {
    try {
      return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    } catch (OutOfMemoryError e) {
      throw new IllegalStateException("no " + bytes + " bytes of direct memory for " + what + ": raise"
          + " taskmanager.memory.task.off-heap.size (local: -XX:MaxDirectMemorySize) or lower the operator's capacity", e);
    }
  }

  static int hash(byte[] b, int from, int to) {
    int h = 0;
    for (int i = from; i < to; i++) {
      h = 31 * h + b[i];
    }
    h ^= h >>> 15;
    h *= 0x85ebca6b;
    return h ^ h >>> 13;
  }

  /** Slot of the key {@code b[from:to]}, or -1 where it is not resident. */
  int find(byte[] b, int from, int to, int hash) {
    int s = heads[hash & mask];
    while (s >= 0 && !(hashes[s] == hash && Arrays.equals(keys[s], 0, keys[s].length, b, from, to))) {
      s = chain[s];
    }
    return s;
  }

  /** A slot never used before, or -1 where all are taken. */
  int free() {
    return used < capacity ? used++ : -1;
  }

  /** The slot to evict. Ends, because the capacity exceeds the batch and only slots of the pending batch carry its stamp. */
  int victim(int batch) {
    while (true) {
      if (++hand == capacity) {
        hand = 0;
      }
      if (stamps[hand] != batch) {
        if (!referenced[hand]) {
          return hand;
        }
        referenced[hand] = false;
      }
    }
  }

  void bind(int slot, byte[] key, int hash) {
    keys[slot] = key;
    hashes[slot] = hash;
    chain[slot] = heads[hash & mask];
    heads[hash & mask] = slot;
  }

  void unbind(int slot) {
    int i = hashes[slot] & mask;
    if (heads[i] == slot) {
      heads[i] = chain[slot];
    } else {
      int p = heads[i];
      while (chain[p] != slot) {
        p = chain[p];
      }
      chain[p] = chain[slot];
    }
    keys[slot] = null;
  }

  byte[] key(int slot) {
    return keys[slot];
  }

  int resident() {
    return used;
  }

  /** The slot belongs to this batch: not to be evicted before the batch has run. */
  void use(int slot, int batch) {
    stamps[slot] = batch;
    referenced[slot] = true;
  }

  void load(int slot, byte[] state) {
    memory.put(slot * stateSize, state);
  }

  /** A fresh copy of the slot's bytes. Fresh, because Flink's heap backend keeps the array it is given. */
  byte[] copy(int slot) {
    byte[] state = new byte[stateSize];
    memory.get(slot * stateSize, state);
    return state;
  }

  /** The kernel writes 0 here where the customer has no state any more. */
  boolean empty(int slot) {
    return memory.getShort(slot * stateSize) == 0;
  }

  boolean isDirty(int slot) {
    return newer[slot] != CLEAN;
  }

  void markDirty(int slot, long now) {
    if (newer[slot] != CLEAN) {
      return;
    }
    newer[slot] = END;
    older[slot] = newest;
    dirtySince[slot] = now;
    if (newest == END) {
      oldest = slot;
    } else {
      newer[newest] = slot;
    }
    newest = slot;
  }

  void markClean(int slot) {
    int n = newer[slot];
    int o = older[slot];
    if (n == END) {
      newest = o;
    } else {
      older[n] = o;
    }
    if (o == END) {
      oldest = n;
    } else {
      newer[o] = n;
    }
    newer[slot] = CLEAN;
  }

  /** The slot that has been dirty for longest, or -1 where none is. */
  int oldestDirty() {
    return oldest;
  }

  long dirtySince(int slot) {
    return dirtySince[slot];
  }
}
