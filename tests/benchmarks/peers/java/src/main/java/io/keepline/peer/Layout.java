package io.keepline.peer;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Where each number stands in a customer's state, and the ways to reach it. */
final class Layout {
  static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  static final VarHandle DOUBLE = MethodHandles.byteArrayViewVarHandle(double[].class, ByteOrder.LITTLE_ENDIAN);
  static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  static final VarHandle CHAR = MethodHandles.byteArrayViewVarHandle(char[].class, ByteOrder.LITTLE_ENDIAN);

  // What each event needs, together.
  static final int NEWEST = 0; // long each: the newest event's time, its hour and its day since 1970
  static final int HOUR = 8;
  static final int DAY = 16;
  static final int LAST_CALL = 24;
  static final int LAST_PAYMENT = 32;
  static final int SECONDS_24H = 40; // double each: sums over the windows
  static final int SECONDS_7D = 48;
  static final int SECONDS_30D = 56;
  static final int MEGABYTES_24H = 64;
  static final int MEGABYTES_7D = 72;
  static final int MEGABYTES_30D = 80;
  static final int TOTALS_24H = 88; // int each: calls, dropped calls, messages
  static final int TOTALS_7D = 100; // calls, dropped calls, messages, contacts, complaints
  static final int TOTALS_30D = 120;
  static final int CONTACTS_14D = 140;
  static final int NEXT_ID = 144;

  // The newest Subscription.
  static final int CONTRACT_TIME = 152; // long; NEVER if there was none
  static final int CONTRACT_STARTED = 160;
  static final int CONTRACT_CHARGE = 168; // double
  static final int CONTRACT_MONTHS = 176; // int
  static final int CONTRACT_INTERNET = 180; // byte each
  static final int CONTRACT_AUTOPAY = 181;
  static final int CONTRACT_PAPERLESS = 182;

  /** Hashes of the last 32 event ids. */
  static final int IDS = 184;
  static final int REMEMBERED = 32;

  /** Buckets of an hour: seconds, megabytes, messages (int), calls and dropped calls (char); hour h at h mod 25. */
  static final int HOURS = IDS + 8 * REMEMBERED;
  static final int HOUR_BUCKETS = 25;
  static final int HOUR_BYTES = 24;

  /** Buckets of a day: the same, then contacts and complaints (char); day d at d mod 31. */
  static final int DAYS = HOURS + HOUR_BUCKETS * HOUR_BYTES;
  static final int DAY_BUCKETS = 31;
  static final int DAY_BYTES = 32;

  static final int BUCKET_SECONDS = 0;
  static final int BUCKET_MEGABYTES = 8;
  static final int BUCKET_MESSAGES = 16;
  static final int BUCKET_CALLS = 20;
  static final int BUCKET_DROPPED = 22;
  static final int BUCKET_CONTACTS = 24;
  static final int BUCKET_COMPLAINTS = 26;

  /** Bills, oldest first, as many as there are: hash of the id, event time, due time, amount, time of the covering payment. */
  static final int BILLS = DAYS + DAY_BUCKETS * DAY_BYTES;
  static final int BILL_BYTES = 40;
  static final int BILL_ID = 0;
  static final int BILL_TIME = 8;
  static final int BILL_DUE = 16;
  static final int BILL_AMOUNT = 24;
  static final int BILL_PAID = 32;

  private Layout() {}

  static long getLong(byte[] s, int at) {
    return (long) LONG.get(s, at);
  }

  static void putLong(byte[] s, int at, long value) {
    LONG.set(s, at, value);
  }

  static double getDouble(byte[] s, int at) {
    return (double) DOUBLE.get(s, at);
  }

  static void putDouble(byte[] s, int at, double value) {
    DOUBLE.set(s, at, value);
  }

  static int getInt(byte[] s, int at) {
    return (int) INT.get(s, at);
  }

  static void putInt(byte[] s, int at, int value) {
    INT.set(s, at, value);
  }

  static int getChar(byte[] s, int at) {
    return (char) CHAR.get(s, at);
  }

  /** Adds to an int. */
  static void add(byte[] s, int at, int value) {
    INT.set(s, at, (int) INT.get(s, at) + value);
  }

  /** Adds one to a char, which stays at its largest. */
  static void count(byte[] s, int at) {
    CHAR.set(s, at, (char) Math.min((char) CHAR.get(s, at) + 1, Character.MAX_VALUE));
  }

  /** Adds to a sum, which stays finite. */
  static void sum(byte[] s, int at, double value) {
    DOUBLE.set(s, at, finite((double) DOUBLE.get(s, at) + value));
  }

  /** The value, or the largest double of its sign. */
  static double finite(double value) {
    return Math.max(-Double.MAX_VALUE, Math.min(value, Double.MAX_VALUE));
  }
}
