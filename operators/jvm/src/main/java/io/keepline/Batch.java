package io.keepline;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.apache.flink.core.memory.MemorySegmentFactory;

/**
 * The pending batch and the results of its last run: one direct buffer that the kernel maps, so that a batch crosses into Python as
 * a few integers.
 *
 * <pre>
 * hdr i64[16] | stats i64[64] | slot i32[N] | off i32[N] | len i32[N] | touched u8[N] | timer_slot i32[N] | timer_at i64[N] | out u8[W] | events u8[E]
 * hdr: [0] first entry to run (in), [1] bytes of frames in out, [2] timer requests, [3] frames; from [10] on the kernel's own,
 *      of which [14] says that the run waits for something outside
 * stats: what the kernel has counted since open, by its own numbers
 * </pre>
 * Each section begins at a multiple of 64. {@code operators/layout.py} lays the same buffer out in Python.
 */
final class Batch {
  private static final int HDR = 16;
  private static final int STATS = 64;
  private static final int KERNELS_OWN = 10;

  /** Words of hdr and stats, which lie at the beginning. */
  static final int HEAD = HDR + STATS;
  private static final int WAITING = 14;

  final int capacity;
  final int eventBytes;
  final int outBytes;
  final ByteBuffer memory;

  private final int slots;
  private final int offsets;
  private final int lengths;
  private final int touched;
  private final int timerSlots;
  private final int timerTimes;
  private final int out;
  private final int events;

  private int size;
  private int used;

  Batch(int capacity, int eventBytes, int outBytes) {
    this.capacity = capacity;
    this.eventBytes = eventBytes;
    this.outBytes = outBytes;
    slots = 8 * HEAD;
    offsets = align(slots + 4L * capacity);
    lengths = align(offsets + 4L * capacity);
    touched = align(lengths + 4L * capacity);
    timerSlots = align(touched + (long) capacity);
    timerTimes = align(timerSlots + 4L * capacity);
    out = align(timerTimes + 8L * capacity);
    events = align((long) out + outBytes);
    memory = direct(align((long) events + eventBytes));
  }

  private static int align(long at) {
    if (at > Integer.MAX_VALUE - 64) {
      throw new IllegalArgumentException("the batch buffer would exceed 2 GiB: lower batch, event_bytes or out_bytes");
    }
    return (int) (at + 63) & ~63;
  }

  private static ByteBuffer direct(int bytes) {
    try {
      return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    } catch (OutOfMemoryError e) {
      throw new IllegalStateException("no " + bytes + " bytes of direct memory for the batch buffer: raise"
          + " taskmanager.memory.task.off-heap.size (local: -XX:MaxDirectMemorySize) or lower batch, event_bytes or out_bytes", e);
    }
  }

  long address() {
    return MemorySegmentFactory.wrapOffHeapMemory(memory).getAddress();
  }

  int size() {
    return size;
  }

  boolean full() {
    return size == capacity;
  }

  boolean fits(int bytes) {
    return bytes <= eventBytes - used;
  }

  void add(int slot, byte[] block, int at, int length) {
    memory.put(events + used, block, at, length);
    memory.putInt(slots + 4 * size, slot);
    memory.putInt(offsets + 4 * size, used);
    memory.putInt(lengths + 4 * size, length);
    memory.put(touched + size, (byte) 0);
    used += length;
    size++;
  }

  /** The entries and counters of {@code other}, which this larger one replaces. */
  void takeOver(Batch other) {
    for (int i = 0; i < other.size; i++) {
      byte[] record = new byte[other.length(i)];
      other.memory.get(other.events + other.memory.getInt(other.offsets + 4 * i), record);
      add(other.slot(i), record, 0, record.length);
    }
    for (int i = KERNELS_OWN; i < HEAD; i++) {
      memory.putLong(8 * i, other.memory.getLong(8 * i));
    }
  }

  void clear() {
    size = 0;
    used = 0;
  }

  int slot(int entry) {
    return memory.getInt(slots + 4 * entry);
  }

  int length(int entry) {
    return memory.getInt(lengths + 4 * entry);
  }

  /** True once for each entry whose slot the kernel changed. */
  boolean takeTouched(int entry) {
    boolean changed = memory.get(touched + entry) != 0;
    if (changed) {
      memory.put(touched + entry, (byte) 0);
    }
    return changed;
  }

  /** Before a run: its first entry, and no results. */
  void prepare(int first) {
    memory.putLong(0, first);
    memory.putLong(8, 0);
    memory.putLong(16, 0);
    memory.putLong(24, 0);
  }

  /** The run stopped in front of an entry that it cannot judge yet: the same entry is to be run again, a little later. */
  boolean waiting() {
    return memory.getLong(8 * WAITING) != 0;
  }

  int framesBytes() {
    return (int) memory.getLong(8);
  }

  /** A copy of hdr and stats, into {@code words}. */
  void head(long[] words) {
    memory.asLongBuffer().get(0, words);
  }

  int timers() {
    return (int) memory.getLong(16);
  }

  int timerSlot(int request) {
    return memory.getInt(timerSlots + 4 * request);
  }

  long timerAt(int request) {
    return memory.getLong(timerTimes + 8 * request);
  }

  /** All that the run has put out, as a block of frames. */
  byte[] frames() {
    byte[] block = new byte[framesBytes()];
    memory.get(out, block);
    return block;
  }
}
