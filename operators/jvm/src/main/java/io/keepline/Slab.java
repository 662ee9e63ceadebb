package io.keepline;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;

/**
 * The states of the resident keys: one off-heap block of {@code capacity} slots, and the tables that say which key sits where.
 *
 * <p>It does no I/O. Lookup is a chained hash table over raw key bytes (a hit allocates nothing); victims are picked by the clock
 * algorithm among the slots that the pending batch does not use; the dirty slots are bits of a map, and written back in
 * the order of memory, which is quicker than any other. Used by one thread.
 *
 * <p>The block is memory that the system gives page by page when it is first touched, and slots are taken in order: a large capacity
 * costs what the customers need that are there.
 */
final class Slab {
  final int capacity;
  final int stateSize;
  /** So many keys at once are expected, at most. */
  static final int ABREAST = 64;
  private static final int PAGE = 2 << 20;

  private final MemorySegment memory;
  private final int start;
  private final int mask;
  private final int[] heads;
  private final String[] names;

  // What an event asks of its slot lies in one line of the processor's cache or two side by side: a row of 16 words. The array's own words
  // and MARGIN fill the first line, so that it is one where the JVM lets large arrays begin at a line, as G1 does.
  private static final int ROW = 16;
  private static final int MARGIN = 12;
  private static final int HASH = 0;
  private static final int CHAIN = 1;
  private static final int STAMP = 2;
  private static final int REFERENCED = 3;
  private static final int LENGTH = 4;
  private static final int KEY = 5;
  /** Bytes of a key that its row holds; the last word of a shorter key is padded with zeros. */
  private static final int KEY_BYTES = 4 * (ROW - KEY);
  private final int[] rows;
  /** Bytes of the heap that a slot takes at most: its row, its name's reference, its share of the heads. */
  static final int TABLES = 4 * ROW + 8 + 8;
  private int used;
  private int hand;
  private final int[] expected = new int[ABREAST];
  private int looked;

  private static final int END = -1;
  private final BitSet changed;
  private int dirty;
  private int swept;

  Slab(int capacity, int stateSize) {
    if (capacity > most(stateSize)) {
      throw new IllegalArgumentException("capacity " + capacity + " x " + stateSize + " bytes of state exceed 2 GiB a subtask: lower"
          + " it to " + most(stateSize));
    }
    this.capacity = capacity;
    this.stateSize = stateSize;
    int table = Integer.highestOneBit(Math.max(16, capacity)) << 1;
    mask = table - 1;
    try {
      heads = new int[table];
      names = new String[capacity];
      rows = new int[MARGIN + ROW * capacity];
    } catch (OutOfMemoryError e) {
      throw new IllegalStateException("no " + (long) TABLES * capacity + " bytes of heap for the tables of " + capacity
          + " resident states: lower resident_states, or give the heap more (taskmanager.memory.task.heap.size; local: JVM_ARGS=-Xmx…)", e);
    }
    memory = allocate(capacity * stateSize + PAGE);
    start = (int) (-memory.getAddress() & (PAGE - 1));
    Arrays.fill(heads, END);
    for (int slot = 0; slot < capacity; slot++) {
      set(slot, STAMP, -1);
    }
    changed = new BitSet(capacity);
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

  static int hash(byte[] b, int from, int to) {
    int h = 0;
    for (int i = from; i < to; i++) {
      h = 31 * h + b[i];
    }
    h ^= h >>> 15;
    h *= 0x85ebca6b;
    return h ^ h >>> 13;
  }

  /**
   * Looks where the first {@code n} of these hashes lead, so that {@link #find} has it at hand: each loop asks for all of its places, of
   * which none depends on another.
   */
  void expect(int[] hashes, int n) {
    for (int i = 0; i < n; i++) {
      expected[i] = heads[hashes[i] & mask];
    }
    int seen = 0;
    for (int i = 0; i < n; i++) {
      seen += get(Math.max(expected[i], 0), HASH);
    }
    looked = seen; // or the loops, which change nothing else, would be left out
  }

  /** Slot of the key {@code b[from:to]}, or -1 where it is not resident. */
  int find(byte[] b, int from, int to, int hash) {
    int s = heads[hash & mask];
    while (s >= 0 && !(get(s, HASH) == hash && has(s, b, from, to - from))) {
      s = get(s, CHAIN);
    }
    return s;
  }

  private boolean has(int slot, byte[] b, int from, int length) {
    if (get(slot, LENGTH) != length) {
      return false;
    }
    for (int word = 0; 4 * word < Math.min(length, KEY_BYTES); word++) {
      if (get(slot, KEY + word) != word(b, from + 4 * word, length - 4 * word)) {
        return false;
      }
    }
    for (int i = KEY_BYTES; i < length; i++) {
      if (names[slot].charAt(i) != (b[from + i] & 255)) {
        return false;
      }
    }
    return true;
  }

  /** Four bytes of a key, of which {@code left} are left. */
  private static int word(byte[] b, int at, int left) {
    if (left >= 4) {
      return PackedIn.intAt(b, at);
    }
    int word = 0;
    for (int i = 0; i < left; i++) {
      word |= (b[at + i] & 255) << 8 * i;
    }
    return word;
  }

  private int get(int slot, int field) {
    return rows[MARGIN + ROW * slot + field];
  }

  private void set(int slot, int field, int value) {
    rows[MARGIN + ROW * slot + field] = value;
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
      if (get(hand, STAMP) != batch) {
        if (get(hand, REFERENCED) == 0) {
          return hand;
        }
        set(hand, REFERENCED, 0);
      }
    }
  }

  void bind(int slot, byte[] b, int from, int to, int hash) {
    int length = to - from;
    names[slot] = new String(b, from, length, StandardCharsets.ISO_8859_1);
    set(slot, LENGTH, length);
    for (int word = 0; 4 * word < Math.min(length, KEY_BYTES); word++) {
      set(slot, KEY + word, word(b, from + 4 * word, length - 4 * word));
    }
    set(slot, HASH, hash);
    set(slot, CHAIN, heads[hash & mask]);
    heads[hash & mask] = slot;
  }

  void unbind(int slot) {
    int i = get(slot, HASH) & mask;
    if (heads[i] == slot) {
      heads[i] = get(slot, CHAIN);
    } else {
      int p = heads[i];
      while (get(p, CHAIN) != slot) {
        p = get(p, CHAIN);
      }
      set(p, CHAIN, get(slot, CHAIN));
    }
    names[slot] = null;
  }

  /** The slot's key as Flink's keyed state has it: the same string each time, so that its hash is made once. */
  String name(int slot) {
    return names[slot];
  }

  int resident() {
    return used;
  }

  /** The slot belongs to this batch: not to be evicted before the batch has run. */
  void use(int slot, int batch) {
    set(slot, STAMP, batch);
    set(slot, REFERENCED, 1);
  }

  void load(int slot, byte[] state) {
    memory.put(at(slot), state);
  }

  /** Copies the slot's bytes. */
  void read(int slot, byte[] into) {
    memory.get(at(slot), into);
  }

  /** The kernel leaves nothing but 0 where the customer has no state any more. One that begins with 0 may have a later part of it still. */
  boolean empty(int slot) {
    int from = at(slot);
    for (int word = from; word < from + stateSize; word += 8) {
      if (memory.getLong(word) != 0) {
        return false;
      }
    }
    return true;
  }

  private int at(int slot) {
    return start + slot * stateSize;
  }

  boolean isDirty(int slot) {
    return changed.get(slot);
  }

  void markDirty(int slot) {
    if (!changed.get(slot)) {
      changed.set(slot);
      dirty++;
    }
  }

  void markClean(int slot) {
    changed.clear(slot);
    dirty--;
  }

  /** The next changed slot behind the last that this returned, around the block in the order of memory, or -1 where none is. */
  int nextDirty() {
    int slot = changed.nextSetBit(swept);
    if (slot < 0) {
      slot = changed.nextSetBit(0);
    }
    swept = slot + 1;
    return slot;
  }

  int dirty() {
    return dirty;
  }
}
