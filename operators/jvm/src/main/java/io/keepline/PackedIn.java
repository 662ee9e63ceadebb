package io.keepline;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * A packed source record, and a block of them: what travels from the Kafka source through keyBy to the operator.
 *
 * <p>A fixed header of 48 bytes (little-endian) and then the key and the value as received; the operator hands them to Python as they are. A
 * block is one record behind another, all for the same subtask; as one stream element it costs the source's thread and the exchange once and
 * not for each record. A single record is a block too. {@code schemas/packed.py} is the same layout in Python.
 *
 * <pre>
 *  0 u8  flags: bit 0 the value was cut (oversized) and a trailer follows it; bit 1 the key was null and derived from customer_id;
 *       bit 2 a fired timer: key only (made by the operator); bit 3, of a block's first record: blocks of the same piece of a poll follow
 *  1 u8  topic index, in the source's list of topics      2 u16 0
 *  4 i32 partition      8 i64 offset      16 i64 Kafka timestamp      24 i64 created_ms header (0: none)
 * 32 i64 event time (Long.MIN_VALUE: unreadable)          40 i32 key length     44 i32 value length     48 key, value
 * trailer of an oversized value: i64 true length of the value, 32 bytes SHA-256 of the whole value
 * </pre>
 */
public final class PackedIn {
  public static final int FLAG_OVERSIZED = 1;
  public static final int FLAG_DERIVED_KEY = 2;
  public static final int FLAG_TICK = 4;
  /** What follows may be older than this block's newest record: no watermark yet. */
  public static final int FLAG_MORE = 8;
  public static final int TOPIC = 1;
  public static final int PARTITION = 4;
  public static final int OFFSET = 8;
  public static final int TIMESTAMP = 16;
  public static final int CREATED_MS = 24;
  public static final int EVENT_TIME = 32;
  public static final int KEY_LENGTH = 40;
  public static final int VALUE_LENGTH = 44;
  public static final int HEADER = 48;
  public static final int TRAILER = 40;

  /** Keyed state is addressed by at most this many bytes of the key: customer ids end there, and longer keys only make dead letters. */
  public static final int MAX_STATE_KEY = 128;

  static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private PackedIn() {}

  public static int intAt(byte[] record, int at) {
    return (int) INT.get(record, at);
  }

  public static long longAt(byte[] record, int at) {
    return (long) LONG.get(record, at);
  }

  /** Where the record behind the one at {@code at} begins. Refuses lengths that lead nowhere. */
  public static int next(byte[] block, int at) {
    long end = -1;
    if (at + HEADER <= block.length) {
      int key = intAt(block, at + KEY_LENGTH);
      int value = intAt(block, at + VALUE_LENGTH);
      end = key < 0 || value < 0 ? -1 : (long) at + HEADER + key + value + ((block[at] & FLAG_OVERSIZED) != 0 ? TRAILER : 0);
    }
    if (end < 0 || end > block.length) {
      throw new IllegalStateException("no packed record at " + at + " of a block of " + block.length + " bytes");
    }
    return (int) end;
  }

  /** Length of the part of the key that addresses keyed state, of the record at {@code at}. */
  static int stateKeyLength(byte[] block, int at) {
    return Math.min(intAt(block, at + KEY_LENGTH), MAX_STATE_KEY);
  }

  /** The record that stands for a fired timer of this key. */
  static byte[] tick(byte[] key) {
    byte[] record = new byte[HEADER + key.length];
    record[0] = FLAG_TICK;
    LONG.set(record, EVENT_TIME, Long.MIN_VALUE);
    INT.set(record, KEY_LENGTH, key.length);
    System.arraycopy(key, 0, record, HEADER, key.length);
    return record;
  }

  /** The key of keyed state of a block's first record. ISO-8859-1 maps bytes to characters one to one, so that any key survives. */
  public static String stateKey(byte[] block) {
    return new String(block, HEADER, stateKeyLength(block, 0), StandardCharsets.ISO_8859_1);
  }
}
