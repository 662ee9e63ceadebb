package io.keepline.peer;

import static io.keepline.peer.Layout.*;

import java.util.Arrays;

/** The eight newest bills at the end of a state, oldest first, and which payment covers each. */
final class Ledger {
  private static final int KEPT = 8;
  private static final long UNPAID = Long.MIN_VALUE;

  private Ledger() {}

  /** Keeps a bill; one with the id of a kept bill takes its place and its payment. Returns the state. */
  static byte[] withBill(byte[] before, Event bill) {
    byte[] s = before;
    long paid = UNPAID;
    for (int at = BILLS; at < s.length; at += BILL_BYTES) {
      if (getLong(s, at + BILL_ID) == bill.billHash) {
        paid = getLong(s, at + BILL_PAID);
        s = without(s, at);
        break;
      }
    }
    int place = s.length;
    while (place > BILLS && getLong(s, place - BILL_BYTES + BILL_TIME) > bill.time) {
      place -= BILL_BYTES;
    }
    byte[] grown = Arrays.copyOf(s, s.length + BILL_BYTES);
    System.arraycopy(s, place, grown, place + BILL_BYTES, s.length - place);
    putLong(grown, place + BILL_ID, bill.billHash);
    putLong(grown, place + BILL_TIME, bill.time);
    putLong(grown, place + BILL_DUE, bill.dueTime);
    putDouble(grown, place + BILL_AMOUNT, bill.number);
    putLong(grown, place + BILL_PAID, paid);
    return grown.length > BILLS + KEPT * BILL_BYTES ? without(grown, BILLS) : grown;
  }

  private static byte[] without(byte[] s, int at) {
    byte[] shrunk = Arrays.copyOf(s, s.length - BILL_BYTES);
    System.arraycopy(s, at + BILL_BYTES, shrunk, at, shrunk.length - at);
    return shrunk;
  }

  /** Covers the named bill, or the oldest uncovered one where none is named. */
  static void pay(byte[] s, Event payment) {
    for (int at = BILLS; at < s.length; at += BILL_BYTES) {
      boolean named = payment.billHash == 0 || getLong(s, at + BILL_ID) == payment.billHash;
      if (named && getLong(s, at + BILL_PAID) == UNPAID) {
        putLong(s, at + BILL_PAID, payment.time);
        return;
      }
    }
  }

  /** Writes overdue_bills, payment_delay_days, last_bill_amount and bill_rise into the row. */
  static void read(byte[] s, long now, double[] row, int to) {
    int overdue = 0;
    int newest = -1;
    for (int at = BILLS; at < s.length; at += BILL_BYTES) {
      long due = getLong(s, at + BILL_DUE);
      if (due <= now) {
        if (due < now && getLong(s, at + BILL_PAID) == UNPAID) {
          overdue++;
        }
        if (newest < 0 || due >= getLong(s, newest + BILL_DUE)) {
          newest = at;
        }
      }
    }
    double delay = 0;
    if (newest >= 0) {
      long paid = getLong(s, newest + BILL_PAID);
      double until = paid == UNPAID ? now : paid;
      delay = Math.max((until - getLong(s, newest + BILL_DUE)) / CustomerState.DAY_MS, 0);
    }
    int last = s.length - BILL_BYTES;
    double amount = last >= BILLS ? getDouble(s, last + BILL_AMOUNT) : 0;
    row[to] = overdue;
    row[to + 1] = delay;
    row[to + 2] = amount;
    row[to + 3] = last > BILLS ? finite(amount - getDouble(s, last - BILL_BYTES + BILL_AMOUNT)) : 0;
  }
}
