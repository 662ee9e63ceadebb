package io.keepline.peer;

/**
 * The eight newest bills of a customer and which payment covers each, oldest first. Never changed: taking a bill or a payment makes another
 * ledger, which is rare, so states may share it and copying a state does not copy its bills.
 */
final class Ledger {
  static final int KEPT = 8;
  static final long UNPAID = Long.MIN_VALUE;
  static final Ledger EMPTY = new Ledger(new Bill[0]);

  record Bill(long idHash, long time, long due, double amount, long paid) {}

  final Bill[] bills;

  Ledger(Bill[] bills) {
    this.bills = bills;
  }

  /** Keeps a bill; one with the id of a kept bill takes its place and its payment. */
  Ledger withBill(long idHash, long time, long due, double amount) {
    long paid = UNPAID;
    Bill[] grown = new Bill[bills.length + 1];
    int n = 0;
    for (Bill bill : bills) {
      if (bill.idHash == idHash) {
        paid = bill.paid;
      } else {
        grown[n++] = bill;
      }
    }
    int place = n;
    while (place > 0 && grown[place - 1].time > time) {
      grown[place] = grown[place - 1];
      place--;
    }
    grown[place] = new Bill(idHash, time, due, amount, paid);
    n++;
    int dropped = Math.max(0, n - KEPT);
    Bill[] kept = new Bill[n - dropped];
    System.arraycopy(grown, dropped, kept, 0, kept.length);
    return new Ledger(kept);
  }

  /** Covers the named bill, or the oldest uncovered one where none is named ({@code idHash} 0). */
  Ledger withPayment(long idHash, long time) {
    for (int i = 0; i < bills.length; i++) {
      Bill bill = bills[i];
      if (bill.paid == UNPAID && (idHash == 0 || bill.idHash == idHash)) {
        Bill[] covered = bills.clone();
        covered[i] = new Bill(bill.idHash, bill.time, bill.due, bill.amount, time);
        return new Ledger(covered);
      }
    }
    return this;
  }

  /** Writes overdue_bills, payment_delay_days, last_bill_amount and bill_rise into the row. */
  void read(long now, double[] row, int at) {
    int overdue = 0;
    Bill newestDue = null;
    for (Bill bill : bills) {
      if (bill.due <= now) {
        if (bill.due < now && bill.paid == UNPAID) {
          overdue++;
        }
        if (newestDue == null || bill.due >= newestDue.due) {
          newestDue = bill;
        }
      }
    }
    double delay = 0;
    if (newestDue != null) {
      double until = newestDue.paid == UNPAID ? now : newestDue.paid;
      delay = Math.max((until - newestDue.due) / CustomerState.DAY_MS, 0);
    }
    int n = bills.length;
    row[at] = overdue;
    row[at + 1] = delay;
    row[at + 2] = n > 0 ? bills[n - 1].amount : 0;
    row[at + 3] = n > 1 ? CustomerState.finite(bills[n - 1].amount - bills[n - 2].amount) : 0;
  }
}
