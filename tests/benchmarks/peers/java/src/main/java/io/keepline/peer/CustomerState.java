package io.keepline.peer;

import static io.keepline.peer.Layout.*;

/**
 * What is kept of a customer: the ids of the last 32 events, rings of hourly and daily buckets with the totals of the windows beside them,
 * the newest Subscription, the bills. All of it is one byte array of 2 KB ({@link Layout}): the heap backend copies it
 * in one piece when it is first changed after a checkpoint, and RocksDB's serializer has nothing to convert.
 *
 * <p>The bucket of hour h stands at h mod 25, that of day d at d mod 31, so a ring is exactly its longest window. Counts are carried on
 * exactly. Sums of doubles are carried on within a day and made again from the buckets when the day changes, so that they do not drift.
 */
final class CustomerState {
  static final long HOUR_MS = 3_600_000L;
  static final long DAY_MS = 24 * HOUR_MS;
  static final long NEVER = Long.MIN_VALUE;
  private static final long RETENTION_MS = 400 * DAY_MS;
  private static final long LATENESS_MS = 90 * DAY_MS;
  private static final int WEEK = 7;
  private static final int FORTNIGHT = 14;

  /** Beyond it, what is taken from a sum would leave an error that shows. */
  private static final double LARGE = 1e8;

  // Places among the totals of a window.
  static final int CALLS = 0;
  static final int DROPPED = 4;
  static final int MESSAGES = 8;
  static final int CONTACTS = 12;
  static final int COMPLAINTS = 16;

  private CustomerState() {}

  /** The state of a customer whose first event is at this time. */
  static byte[] create(long time) {
    byte[] s = new byte[BILLS];
    putLong(s, NEWEST, time);
    putLong(s, HOUR, Math.floorDiv(time, HOUR_MS));
    putLong(s, DAY, Math.floorDiv(time, DAY_MS));
    putLong(s, LAST_CALL, NEVER);
    putLong(s, LAST_PAYMENT, NEVER);
    putLong(s, CONTRACT_TIME, NEVER);
    return s;
  }

  static boolean isForgotten(byte[] s, long time) {
    return time - getLong(s, NEWEST) >= RETENTION_MS;
  }

  static boolean isLate(byte[] s, long time) {
    return getLong(s, NEWEST) - time > LATENESS_MS;
  }

  static boolean remembers(byte[] s, long idHash) {
    boolean found = false;
    for (int at = IDS; at < IDS + 8 * REMEMBERED; at += 8) {
      found |= getLong(s, at) == idHash;
    }
    return found;
  }

  /** Takes an event that is neither duplicate nor late; returns the state, which is another array where its length has changed. */
  static byte[] apply(byte[] s, Event event) {
    int next = getInt(s, NEXT_ID);
    putLong(s, IDS + 8 * next, event.idHash);
    putInt(s, NEXT_ID, (next + 1) & (REMEMBERED - 1));
    long time = event.time;
    long hour = Math.floorDiv(time, HOUR_MS);
    long day = Math.floorDiv(time, DAY_MS);
    if (time > getLong(s, NEWEST)) {
      putLong(s, NEWEST, time);
      if (hour > getLong(s, HOUR)) {
        moveHours(s, hour);
        if (day > getLong(s, DAY)) {
          moveDays(s, day);
        }
      }
    }
    switch (event.type) {
      case Event.DATA_SESSION:
        addNumber(s, hour, day, BUCKET_MEGABYTES, MEGABYTES_24H, event.number);
        break;
      case Event.CALL:
        addNumber(s, hour, day, BUCKET_SECONDS, SECONDS_24H, event.number);
        addCall(s, hour, day, event.symbol != 0); // DROPPED or FAILED
        putLong(s, LAST_CALL, Math.max(getLong(s, LAST_CALL), time));
        break;
      case Event.MESSAGE:
        addMessage(s, hour, day);
        break;
      case Event.SUPPORT_CONTACT:
        addContact(s, day, event.symbol == 1 || event.symbol == 2); // COMPLAINT or CANCELLATION
        break;
      case Event.BILL:
        return Ledger.withBill(s, event);
      case Event.PAYMENT:
        Ledger.pay(s, event);
        putLong(s, LAST_PAYMENT, Math.max(getLong(s, LAST_PAYMENT), time));
        break;
      default:
        if (time >= getLong(s, CONTRACT_TIME)) {
          putLong(s, CONTRACT_TIME, time);
          putLong(s, CONTRACT_STARTED, event.startedTime);
          putDouble(s, CONTRACT_CHARGE, event.number);
          putInt(s, CONTRACT_MONTHS, event.months);
          s[CONTRACT_INTERNET] = (byte) event.symbol;
          s[CONTRACT_AUTOPAY] = (byte) (event.autopay ? 1 : 0);
          s[CONTRACT_PAPERLESS] = (byte) (event.paperless ? 1 : 0);
        }
    }
    return s;
  }

  /** Adds to the buckets, and to the totals over 24 hours, 7 and 30 days, which stand in this order from {@code totals} on. */
  private static void addNumber(byte[] s, long hour, long day, int column, int totals, double number) {
    if (getLong(s, HOUR) - hour < HOUR_BUCKETS) {
      sum(s, hourBucket(hour) + column, number);
      sum(s, totals, number);
    }
    long behind = getLong(s, DAY) - day;
    if (behind < DAY_BUCKETS) {
      sum(s, dayBucket(day) + column, number);
      sum(s, totals + 16, number);
      if (behind <= WEEK) {
        sum(s, totals + 8, number);
      }
    }
  }

  private static void addCall(byte[] s, long hour, long day, boolean dropped) {
    int one = dropped ? 1 : 0;
    if (getLong(s, HOUR) - hour < HOUR_BUCKETS) {
      int bucket = hourBucket(hour);
      count(s, bucket + BUCKET_CALLS);
      add(s, TOTALS_24H + CALLS, 1);
      if (dropped) {
        count(s, bucket + BUCKET_DROPPED);
        add(s, TOTALS_24H + DROPPED, 1);
      }
    }
    long behind = getLong(s, DAY) - day;
    if (behind < DAY_BUCKETS) {
      int bucket = dayBucket(day);
      count(s, bucket + BUCKET_CALLS);
      add(s, TOTALS_30D + CALLS, 1);
      if (dropped) {
        count(s, bucket + BUCKET_DROPPED);
        add(s, TOTALS_30D + DROPPED, 1);
      }
      if (behind <= WEEK) {
        add(s, TOTALS_7D + CALLS, 1);
        add(s, TOTALS_7D + DROPPED, one);
      }
    }
  }

  private static void addMessage(byte[] s, long hour, long day) {
    if (getLong(s, HOUR) - hour < HOUR_BUCKETS) {
      add(s, hourBucket(hour) + BUCKET_MESSAGES, 1);
      add(s, TOTALS_24H + MESSAGES, 1);
    }
    long behind = getLong(s, DAY) - day;
    if (behind < DAY_BUCKETS) {
      add(s, dayBucket(day) + BUCKET_MESSAGES, 1);
      add(s, TOTALS_30D + MESSAGES, 1);
      if (behind <= WEEK) {
        add(s, TOTALS_7D + MESSAGES, 1);
      }
    }
  }

  private static void addContact(byte[] s, long day, boolean complaint) {
    long behind = getLong(s, DAY) - day;
    if (behind < DAY_BUCKETS) {
      int bucket = dayBucket(day);
      int one = complaint ? 1 : 0;
      count(s, bucket + BUCKET_CONTACTS);
      add(s, TOTALS_30D + CONTACTS, 1);
      add(s, TOTALS_30D + COMPLAINTS, one);
      if (complaint) {
        count(s, bucket + BUCKET_COMPLAINTS);
      }
      if (behind <= WEEK) {
        add(s, TOTALS_7D + CONTACTS, 1);
        add(s, TOTALS_7D + COMPLAINTS, one);
      }
      if (behind <= FORTNIGHT) {
        add(s, CONTACTS_14D, 1);
      }
    }
  }

  /** Clears the buckets of the hours up to this one, and takes what they held from the totals. */
  private static void moveHours(byte[] s, long to) {
    boolean large = getDouble(s, SECONDS_24H) > LARGE || getDouble(s, MEGABYTES_24H) > LARGE;
    for (long next = Math.max(getLong(s, HOUR) + 1, to - HOUR_BUCKETS + 1); next <= to; next++) {
      int bucket = hourBucket(next);
      sum(s, SECONDS_24H, -getDouble(s, bucket + BUCKET_SECONDS));
      sum(s, MEGABYTES_24H, -getDouble(s, bucket + BUCKET_MEGABYTES));
      add(s, TOTALS_24H + CALLS, -getChar(s, bucket + BUCKET_CALLS));
      add(s, TOTALS_24H + DROPPED, -getChar(s, bucket + BUCKET_DROPPED));
      add(s, TOTALS_24H + MESSAGES, -getInt(s, bucket + BUCKET_MESSAGES));
      clear(s, bucket, HOUR_BYTES);
    }
    putLong(s, HOUR, to);
    if (large) {
      sumHours(s);
    }
  }

  /** The same for days; then makes all sums again from the buckets. */
  private static void moveDays(byte[] s, long to) {
    long from = getLong(s, DAY);
    if (to - from >= DAY_BUCKETS) {
      clear(s, DAYS, DAY_BUCKETS * DAY_BYTES);
      clear(s, TOTALS_7D, CONTACTS_14D + 4 - TOTALS_7D);
      from = to;
    }
    for (long next = from + 1; next <= to; next++) {
      int bucket = dayBucket(next);
      takeDay(s, TOTALS_7D, dayBucket(next - WEEK - 1));
      takeDay(s, TOTALS_30D, bucket);
      add(s, CONTACTS_14D, -getChar(s, dayBucket(next - FORTNIGHT - 1) + BUCKET_CONTACTS));
      clear(s, bucket, DAY_BYTES);
    }
    putLong(s, DAY, to);
    double seconds = 0;
    double megabytes = 0;
    for (int back = 0; back < DAY_BUCKETS; back++) {
      int bucket = dayBucket(to - back);
      seconds += getDouble(s, bucket + BUCKET_SECONDS);
      megabytes += getDouble(s, bucket + BUCKET_MEGABYTES);
      if (back == WEEK) {
        putDouble(s, SECONDS_7D, finite(seconds));
        putDouble(s, MEGABYTES_7D, finite(megabytes));
      }
    }
    putDouble(s, SECONDS_30D, finite(seconds));
    putDouble(s, MEGABYTES_30D, finite(megabytes));
    sumHours(s);
  }

  private static void takeDay(byte[] s, int totals, int bucket) {
    add(s, totals + CALLS, -getChar(s, bucket + BUCKET_CALLS));
    add(s, totals + DROPPED, -getChar(s, bucket + BUCKET_DROPPED));
    add(s, totals + MESSAGES, -getInt(s, bucket + BUCKET_MESSAGES));
    add(s, totals + CONTACTS, -getChar(s, bucket + BUCKET_CONTACTS));
    add(s, totals + COMPLAINTS, -getChar(s, bucket + BUCKET_COMPLAINTS));
  }

  private static void sumHours(byte[] s) {
    double seconds = 0;
    double megabytes = 0;
    for (int bucket = HOURS; bucket < DAYS; bucket += HOUR_BYTES) {
      seconds += getDouble(s, bucket + BUCKET_SECONDS);
      megabytes += getDouble(s, bucket + BUCKET_MEGABYTES);
    }
    putDouble(s, SECONDS_24H, finite(seconds));
    putDouble(s, MEGABYTES_24H, finite(megabytes));
  }

  private static void clear(byte[] s, int from, int length) {
    for (int at = from; at < from + length; at += 4) {
      putInt(s, at, 0);
    }
  }

  private static int hourBucket(long hour) {
    return HOURS + HOUR_BYTES * (int) Math.floorMod(hour, (long) HOUR_BUCKETS);
  }

  private static int dayBucket(long day) {
    return DAYS + DAY_BYTES * (int) Math.floorMod(day, (long) DAY_BUCKETS);
  }
}
