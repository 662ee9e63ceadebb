package io.keepline;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;

/**
 * The states of the resident keys: one off-heap block of {@code capacity} slots, and the tables that say which key sits where.
 *
 * <p>It does no I/O. Lookup is a chained hash table over raw key bytes (a hit allocates nothing); victims are picked by the clock
 * algorithm among the slots that the pending batch does not use; the dirty slots form a list, oldest first, linked through two arrays,
 * so that any slot leaves it in constant time. Used by one thread.
 *
 * <p>The block is memory that the system gives page by page when it is first touched, and slots are taken in order: a large capacity
 * costs what the customers need that are there.
 */
final class Slab {
  final int capacity;
  final int stateSize;
  private static final int PAGE = 2 << 20;

  private final MemorySegment memory;
  private final int start;
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
  private int dirty;
  private int oldest = END;
  private int newest = END;

  Slab(int capacity, int stateSize) {
    if (capacity > most(stateSize)) {
      throw new IllegalArgumentException("capacity " + capacity + " x " + stateSize + " bytes of state exceed 2 GiB a subtask: lower"
          + " the capacity to " + most(stateSize) + " or raise the parallelism");
    }
    this.capacity = capacity;
    this.stateSize = stateSize;
    memory = allocate(capacity * stateSize + PAGE);
    start = (int) (-memory.getAddress() & (PAGE - 1));
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
  }

  /** The most states of this size that a block may hold. */
  static int most(int stateSize) {
    return (Integer.MAX_VALUE - PAGE) / stateSize;
  }

  private static MemorySegment allocate(int bytes) {
    try {
      return MemorySegmentFactory.allocateOffHeapUnsafeMemory(bytes);
    } catch (OutOfMemoryError e) {
      throw new IllegalStateException("no " + bytes + " bytes of memory for the resident states: lower resident_states, or give the"
          + " machine more memory", e);
    }
  }

  /** Gives the block back. Nobody may touch it from then on, the kernel included. */
  void close() {
    memory.free();
  }

  /** Of the block: the boundary of a large page, so that the kernel can ask for those. */
  long address() {
    return memory.getAddress() + start;
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
    memory.put(at(slot), state);
  }

  /** Copies the slot's bytes. */
  void read(int slot, byte[] into) {
    memory.get(at(slot), into);
  }

  /** The kernel writes 0 here where the customer has no state any more. */
  boolean empty(int slot) {
    return memory.getShort(at(slot)) == 0;
  }

  private int at(int slot) {
    return start + slot * stateSize;
  }

  boolean isDirty(int slot) {
    return newer[slot] != CLEAN;
  }

  void markDirty(int slot) {
    if (newer[slot] != CLEAN) {
      return;
    }
    newer[slot] = END;
    older[slot] = newest;
    dirty++;
    if (newest == END) {
      oldest = slot;
    } else {
      newer[newest] = slot;
    }
    newest = slot;
  }

  void markClean(int slot) {
    dirty--;
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

  int dirty() {
    return dirty;
  }
}
