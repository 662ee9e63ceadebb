package io.keepline.peer;

import java.util.Arrays;

/**
 * What is kept of a customer: the ids of the last 32 events, rings of hourly and daily buckets, the newest of some types, the bills.
 *
 * <p>The bucket of hour h stands at h mod 25, that of day d at d mod 31, so a ring is exactly its longest window: 24 hours and the current
 * one, 30 days and the current one. Totals of the windows are kept beside the rings. Counts are carried on exactly; sums of doubles are made
 * again from the buckets whenever a ring moves, so that they do not drift. All arrays are small and flat: Flink's heap backend copies a
 * state when it is first changed after a checkpoint.
 */
final class CustomerState {
  static final long HOUR_MS = 3_600_000L;
  static final long DAY_MS = 24 * HOUR_MS;
  static final long RETENTION_MS = 400 * DAY_MS;
  static final long LATENESS_MS = 90 * DAY_MS;
  static final long NEVER = Long.MIN_VALUE;
  static final int REMEMBERED = 32;

  static final int HOURS = 25;
  static final int DAYS = 31;
  static final int WEEK = 7;
  static final int FORTNIGHT = 14;

  // Sums: buckets of (call seconds, megabytes), the hours, then the days.
  static final int SUMS = 2;
  static final int DAY_SUMS = HOURS * SUMS;
  static final int ALL_SUMS = (HOURS + DAYS) * SUMS;

  // Counts: buckets of (calls, dropped calls, messages), the hours, then of (…, contacts, complaints), the days.
  static final int HOUR_COUNTS = 3;
  static final int DAY_COUNTS = 5;
  static final int FIRST_DAY_COUNT = HOURS * HOUR_COUNTS;
  static final int ALL_COUNTS = FIRST_DAY_COUNT + DAYS * DAY_COUNTS;
  static final int CALLS = 0;
  static final int DROPPED = 1;
  static final int MESSAGES = 2;
  static final int CONTACTS = 3;
  static final int COMPLAINTS = 4;

  // Totals of the counts over windows: 24 h, 7 days, 30 days; for contacts 14 days too.
  static final int TOTAL_24H = 0;
  static final int TOTAL_7D = 3;
  static final int TOTAL_30D = 8;
  static final int CONTACTS_14D = 13;
  static final int ALL_TOTALS = 14;

  final long[] recentIds;
  final double[] sums;
  final int[] counts;
  final int[] totals;
  int nextId;
  long newest;
  long hour;
  long day;
  long lastCall;
  long lastPayment;
  double seconds24h;
  double seconds7d;
  double seconds30d;
  double megabytes24h;
  double megabytes7d;
  double megabytes30d;
  Ledger ledger;
  Contract contract;

  /** A customer's state at the first event. */
  CustomerState(long time) {
    this(new long[REMEMBERED], new double[ALL_SUMS], new int[ALL_COUNTS], new int[ALL_TOTALS]);
    newest = time;
    hour = Math.floorDiv(time, HOUR_MS);
    day = Math.floorDiv(time, DAY_MS);
    lastCall = NEVER;
    lastPayment = NEVER;
    ledger = Ledger.EMPTY;
  }

  /** For the serializer, which fills in the rest. */
  CustomerState(long[] recentIds, double[] sums, int[] counts, int[] totals) {
    this.recentIds = recentIds;
    this.sums = sums;
    this.counts = counts;
    this.totals = totals;
  }

  CustomerState copy() {
    CustomerState copy = new CustomerState(recentIds.clone(), sums.clone(), counts.clone(), totals.clone());
    copy.nextId = nextId;
    copy.newest = newest;
    copy.hour = hour;
    copy.day = day;
    copy.lastCall = lastCall;
    copy.lastPayment = lastPayment;
    copy.seconds24h = seconds24h;
    copy.seconds7d = seconds7d;
    copy.seconds30d = seconds30d;
    copy.megabytes24h = megabytes24h;
    copy.megabytes7d = megabytes7d;
    copy.megabytes30d = megabytes30d;
    copy.ledger = ledger;
    copy.contract = contract;
    return copy;
  }

  boolean forgottenAt(long time) {
    return time - newest >= RETENTION_MS;
  }

  boolean isLate(long time) {
    return newest - time > LATENESS_MS;
  }

  boolean remembers(long idHash) {
    long[] ids = recentIds;
    boolean found = false;
    for (int i = 0; i < REMEMBERED; i++) {
      found |= ids[i] == idHash;
    }
    return found;
  }

  /** Takes an event that is neither duplicate nor late. */
  void apply(Event event) {
    recentIds[nextId] = event.idHash;
    nextId = (nextId + 1) & (REMEMBERED - 1);
    long time = event.time;
    if (time > newest) {
      newest = time;
    }
    long eventHour = Math.floorDiv(time, HOUR_MS);
    if (eventHour > hour) {
      moveHours(eventHour);
      long eventDay = Math.floorDiv(time, DAY_MS);
      if (eventDay > day) {
        moveDays(eventDay);
      }
    }
    switch (event.type) {
      case Event.DATA_SESSION:
        addMegabytes(time, event.number);
        break;
      case Event.CALL:
        addSeconds(time, event.number);
        count(time, CALLS);
        if (event.symbol != 0) { // DROPPED or FAILED
          count(time, DROPPED);
        }
        lastCall = Math.max(lastCall, time);
        break;
      case Event.MESSAGE:
        count(time, MESSAGES);
        break;
      case Event.SUPPORT_CONTACT:
        countDay(time, CONTACTS);
        if (event.symbol == 1 || event.symbol == 2) { // COMPLAINT or CANCELLATION
          countDay(time, COMPLAINTS);
        }
        break;
      case Event.BILL:
        ledger = ledger.withBill(event.billHash, time, event.dueTime, event.number);
        break;
      case Event.PAYMENT:
        ledger = ledger.withPayment(event.billHash, time);
        lastPayment = Math.max(lastPayment, time);
        break;
      default:
        if (contract == null || time >= contract.time()) {
          contract = event.contract;
        }
    }
  }

  private void addSeconds(long time, double seconds) {
    long behind = hour - Math.floorDiv(time, HOUR_MS);
    if (behind < HOURS) {
      int at = hourSlot(hour - behind) * SUMS;
      sums[at] = finite(sums[at] + seconds);
      seconds24h = finite(seconds24h + seconds);
    }
    behind = day - Math.floorDiv(time, DAY_MS);
    if (behind < DAYS) {
      int at = DAY_SUMS + daySlot(day - behind) * SUMS;
      sums[at] = finite(sums[at] + seconds);
      seconds30d = finite(seconds30d + seconds);
      if (behind <= WEEK) {
        seconds7d = finite(seconds7d + seconds);
      }
    }
  }

  private void addMegabytes(long time, double megabytes) {
    long behind = hour - Math.floorDiv(time, HOUR_MS);
    if (behind < HOURS) {
      int at = hourSlot(hour - behind) * SUMS + 1;
      sums[at] = finite(sums[at] + megabytes);
      megabytes24h = finite(megabytes24h + megabytes);
    }
    behind = day - Math.floorDiv(time, DAY_MS);
    if (behind < DAYS) {
      int at = DAY_SUMS + daySlot(day - behind) * SUMS + 1;
      sums[at] = finite(sums[at] + megabytes);
      megabytes30d = finite(megabytes30d + megabytes);
      if (behind <= WEEK) {
        megabytes7d = finite(megabytes7d + megabytes);
      }
    }
  }

  private void count(long time, int measure) {
    long behind = hour - Math.floorDiv(time, HOUR_MS);
    if (behind < HOURS) {
      counts[hourSlot(hour - behind) * HOUR_COUNTS + measure]++;
      totals[TOTAL_24H + measure]++;
    }
    countDay(time, measure);
  }

  private void countDay(long time, int measure) {
    long behind = day - Math.floorDiv(time, DAY_MS);
    if (behind < DAYS) {
      counts[FIRST_DAY_COUNT + daySlot(day - behind) * DAY_COUNTS + measure]++;
      totals[TOTAL_30D + measure]++;
      if (behind <= WEEK) {
        totals[TOTAL_7D + measure]++;
      }
      if (behind <= FORTNIGHT && measure == CONTACTS) {
        totals[CONTACTS_14D]++;
      }
    }
  }

  /** Clears the buckets of the hours up to this one, and sums the others. */
  private void moveHours(long to) {
    for (long next = Math.max(hour + 1, to - HOURS + 1); next <= to; next++) {
      int slot = hourSlot(next);
      sums[slot * SUMS] = 0;
      sums[slot * SUMS + 1] = 0;
      for (int measure = 0; measure < HOUR_COUNTS; measure++) {
        int at = slot * HOUR_COUNTS + measure;
        totals[TOTAL_24H + measure] -= counts[at];
        counts[at] = 0;
      }
    }
    hour = to;
    double seconds = 0;
    double megabytes = 0;
    double evenSeconds = 0;
    double evenMegabytes = 0;
    for (int at = 0; at < DAY_SUMS - SUMS; at += 2 * SUMS) { // two sums at a time: additions wait for each other
      seconds += sums[at];
      megabytes += sums[at + 1];
      evenSeconds += sums[at + 2];
      evenMegabytes += sums[at + 3];
    }
    seconds24h = finite(seconds + evenSeconds + sums[DAY_SUMS - 2]);
    megabytes24h = finite(megabytes + evenMegabytes + sums[DAY_SUMS - 1]);
  }

  private void moveDays(long to) {
    if (to - day >= DAYS) {
      Arrays.fill(sums, DAY_SUMS, ALL_SUMS, 0);
      Arrays.fill(counts, FIRST_DAY_COUNT, ALL_COUNTS, 0);
      Arrays.fill(totals, TOTAL_7D, ALL_TOTALS, 0);
      day = to;
    }
    for (long next = day + 1; next <= to; next++) {
      int leavesWeek = FIRST_DAY_COUNT + daySlot(next - WEEK - 1) * DAY_COUNTS;
      int leavesFortnight = FIRST_DAY_COUNT + daySlot(next - FORTNIGHT - 1) * DAY_COUNTS;
      int slot = daySlot(next);
      sums[DAY_SUMS + slot * SUMS] = 0;
      sums[DAY_SUMS + slot * SUMS + 1] = 0;
      totals[CONTACTS_14D] -= counts[leavesFortnight + CONTACTS];
      for (int measure = 0; measure < DAY_COUNTS; measure++) {
        int at = FIRST_DAY_COUNT + slot * DAY_COUNTS + measure;
        totals[TOTAL_7D + measure] -= counts[leavesWeek + measure];
        totals[TOTAL_30D + measure] -= counts[at];
        counts[at] = 0;
      }
    }
    day = to;
    double seconds = 0;
    double megabytes = 0;
    for (int back = 0; back < DAYS; back++) {
      int at = DAY_SUMS + daySlot(to - back) * SUMS;
      seconds += sums[at];
      megabytes += sums[at + 1];
      if (back == WEEK) {
        seconds7d = finite(seconds);
        megabytes7d = finite(megabytes);
      }
    }
    seconds30d = finite(seconds);
    megabytes30d = finite(megabytes);
  }

  private static int hourSlot(long hour) {
    return (int) Math.floorMod(hour, (long) HOURS);
  }

  private static int daySlot(long day) {
    return (int) Math.floorMod(day, (long) DAYS);
  }

  /** The value, or the largest double of its sign. */
  static double finite(double value) {
    return Math.max(-Double.MAX_VALUE, Math.min(value, Double.MAX_VALUE));
  }
}
