package io.keepline.peer;

import static io.keepline.peer.CustomerState.CALLS;
import static io.keepline.peer.CustomerState.COMPLAINTS;
import static io.keepline.peer.CustomerState.CONTACTS;
import static io.keepline.peer.CustomerState.CONTACTS_14D;
import static io.keepline.peer.CustomerState.DAY_MS;
import static io.keepline.peer.CustomerState.DROPPED;
import static io.keepline.peer.CustomerState.HOUR_MS;
import static io.keepline.peer.CustomerState.MESSAGES;
import static io.keepline.peer.CustomerState.NEVER;
import static io.keepline.peer.CustomerState.TOTAL_24H;
import static io.keepline.peer.CustomerState.TOTAL_30D;
import static io.keepline.peer.CustomerState.TOTAL_7D;

/** The 36 features of `churn`, in the order of the row. */
final class Features {
  static final String[] NAMES = {
    "calls_24h", "calls_7d", "calls_30d",
    "call_seconds_24h", "call_seconds_7d", "call_seconds_30d",
    "dropped_calls_24h", "dropped_calls_7d", "dropped_calls_30d",
    "data_mb_24h", "data_mb_7d", "data_mb_30d",
    "messages_24h", "messages_7d", "messages_30d",
    "support_contacts_7d", "support_contacts_30d",
    "complaints_7d", "complaints_30d",
    "support_contacts_rise_7d",
    "data_trend_7d", "call_trend_7d",
    "hours_since_last_call", "days_since_last_payment",
    "overdue_bills", "payment_delay_days", "last_bill_amount", "bill_rise",
    "tenure_days", "contract_months", "monthly_charge", "autopay", "paperless",
    "internet_dsl", "internet_fiber", "internet_mobile",
  };

  private static final double LONGEST_HOURS = 2160;
  private static final double LONGEST_DAYS = 365;
  private static final int BILLS = 24;

  private Features() {}

  /** Fills the row at the customer's newest event. */
  static void read(CustomerState s, double[] row) {
    int[] totals = s.totals;
    long now = s.newest;
    row[0] = totals[TOTAL_24H + CALLS];
    row[1] = totals[TOTAL_7D + CALLS];
    row[2] = totals[TOTAL_30D + CALLS];
    row[3] = s.seconds24h;
    row[4] = s.seconds7d;
    row[5] = s.seconds30d;
    row[6] = totals[TOTAL_24H + DROPPED];
    row[7] = totals[TOTAL_7D + DROPPED];
    row[8] = totals[TOTAL_30D + DROPPED];
    row[9] = s.megabytes24h;
    row[10] = s.megabytes7d;
    row[11] = s.megabytes30d;
    row[12] = totals[TOTAL_24H + MESSAGES];
    row[13] = totals[TOTAL_7D + MESSAGES];
    row[14] = totals[TOTAL_30D + MESSAGES];
    row[15] = totals[TOTAL_7D + CONTACTS];
    row[16] = totals[TOTAL_30D + CONTACTS];
    row[17] = totals[TOTAL_7D + COMPLAINTS];
    row[18] = totals[TOTAL_30D + COMPLAINTS];
    row[19] = totals[TOTAL_7D + CONTACTS] - (totals[CONTACTS_14D] - totals[TOTAL_7D + CONTACTS]);
    row[20] = trend(s.megabytes7d, s.megabytes30d);
    row[21] = trend(s.seconds7d, s.seconds30d);
    row[22] = s.lastCall == NEVER ? LONGEST_HOURS : Math.min((now - s.lastCall) / (double) HOUR_MS, LONGEST_HOURS);
    row[23] = s.lastPayment == NEVER ? LONGEST_DAYS : Math.min((now - s.lastPayment) / (double) DAY_MS, LONGEST_DAYS);
    s.ledger.read(now, row, BILLS);
    Contract contract = s.contract;
    if (contract == null) {
      for (int j = BILLS + 4; j < row.length; j++) {
        row[j] = 0;
      }
      return;
    }
    row[28] = Math.max(((double) now - contract.startedTime()) / DAY_MS, 0);
    row[29] = contract.months();
    row[30] = contract.monthlyCharge();
    row[31] = contract.autopay() ? 1 : 0;
    row[32] = contract.paperless() ? 1 : 0;
    row[33] = contract.internet() == Contract.DSL ? 1 : 0;
    row[34] = contract.internet() == Contract.FIBER ? 1 : 0;
    row[35] = contract.internet() == Contract.MOBILE ? 1 : 0;
  }

  /** Daily rate of the week over that of the month; 1 for a month without use. */
  private static double trend(double week, double month) {
    return month == 0 ? 1 : week / month * (30.0 / 7.0);
  }
}
