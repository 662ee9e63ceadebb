package io.keepline;

import java.util.Arrays;

/**
 * An output frame, and a block of frames: what the operator emits and the sinks take apart.
 *
 * <p>A block is one frame behind another, all that a run of the kernel has put out. As one stream element it costs the way to a sink once
 * and not for each frame. A single frame is a block too.
 *
 * <pre>
 *  0 u32 length of the whole frame      4 u8 channel      5 u8 flags (1: for the live view alone)      6 u16 0
 *  8 i64 sequence     16 i64 as_of     24 i64 created_ms of the event that caused it (0: none)
 * 32 i32 key length   36 i32 value length (0 or less: a tombstone, no value)   40 key, value (Avro, single-object encoding)
 * </pre>
 */
public final class PackedOut {
  public static final int CHANNEL = 4;
  public static final int FLAGS = 5;
  public static final int SEQUENCE = 8;
  public static final int AS_OF = 16;
  public static final int CREATED_MS = 24;
  public static final int KEY_LENGTH = 32;
  public static final int VALUE_LENGTH = 36;
  public static final int HEADER = 40;
  /** A flag: the frame is for the live view, and for no topic. */
  public static final int VIEW_ONLY = 1;
  /** The channels from here on lead from one operator to another, and to no sink. */
  public static final int BETWEEN_OPERATORS = 60;

  private PackedOut() {}

  /** Where the frame behind the one at {@code at} begins. Refuses a length that leads nowhere. */
  public static int next(byte[] block, int at) {
    int length = at + HEADER > block.length ? -1 : PackedIn.intAt(block, at);
    if (length < HEADER || length > block.length - at) {
      throw new IllegalStateException("a frame of " + length + " bytes at " + at + " of a block of " + block.length
          + " bytes: a frame begins with its whole length and is at least " + HEADER + " bytes");
    }
    return at + length;
  }

  public static int channel(byte[] frame) {
    return frame[CHANNEL] & 255;
  }

  /** Whether a frame is one for Kafka: not the live view's alone, and not on its way to another operator. */
  public static boolean forKafka(byte[] frame) {
    return (frame[FLAGS] & VIEW_ONLY) == 0 && channel(frame) < BETWEEN_OPERATORS;
  }

  public static long sequence(byte[] frame) {
    return PackedIn.longAt(frame, SEQUENCE);
  }

  public static long asOf(byte[] frame) {
    return PackedIn.longAt(frame, AS_OF);
  }

  public static long createdMs(byte[] frame) {
    return PackedIn.longAt(frame, CREATED_MS);
  }

  public static int keyLength(byte[] frame) {
    return PackedIn.intAt(frame, KEY_LENGTH);
  }

  /** The key, or null where it is empty: Kafka then spreads such records over the partitions. */
  public static byte[] key(byte[] frame) {
    int n = keyLength(frame);
    return n == 0 ? null : Arrays.copyOfRange(frame, HEADER, HEADER + n);
  }

  /** The value, or null for a tombstone. */
  public static byte[] value(byte[] frame) {
    int n = PackedIn.intAt(frame, VALUE_LENGTH);
    int at = HEADER + keyLength(frame);
    return n <= 0 ? null : Arrays.copyOfRange(frame, at, at + n);
  }

  /** True where {@code a} is newer than {@code b}: a later time, or the same time and a later place in the customer's sequence. */
  public static boolean newer(byte[] a, byte[] b) {
    long ta = asOf(a);
    long tb = asOf(b);
    return ta != tb ? ta > tb : sequence(a) > sequence(b);
  }
}
