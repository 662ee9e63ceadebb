package io.keepline.peer;

import static io.keepline.peer.CustomerState.CALLS;
import static io.keepline.peer.CustomerState.COMPLAINTS;
import static io.keepline.peer.CustomerState.CONTACTS;
import static io.keepline.peer.CustomerState.DROPPED;
import static io.keepline.peer.CustomerState.MESSAGES;
import static io.keepline.peer.CustomerState.NEVER;
import static io.keepline.peer.Layout.*;

import java.util.Arrays;

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
  private static final int BILL_FIGURES = 24;
  private static final int CONTRACT = 28;
  private static final int DSL = 1; // of the enum Internet
  private static final int FIBER = 2;
  private static final int MOBILE = 3;

  private Features() {}

  /** Fills the row at the customer's newest event. */
  static void read(byte[] s, double[] row) {
    long now = getLong(s, NEWEST);
    row[0] = getInt(s, TOTALS_24H + CALLS);
    row[1] = getInt(s, TOTALS_7D + CALLS);
    row[2] = getInt(s, TOTALS_30D + CALLS);
    row[3] = getDouble(s, SECONDS_24H);
    row[4] = getDouble(s, SECONDS_7D);
    row[5] = getDouble(s, SECONDS_30D);
    row[6] = getInt(s, TOTALS_24H + DROPPED);
    row[7] = getInt(s, TOTALS_7D + DROPPED);
    row[8] = getInt(s, TOTALS_30D + DROPPED);
    row[9] = getDouble(s, MEGABYTES_24H);
    row[10] = getDouble(s, MEGABYTES_7D);
    row[11] = getDouble(s, MEGABYTES_30D);
    row[12] = getInt(s, TOTALS_24H + MESSAGES);
    row[13] = getInt(s, TOTALS_7D + MESSAGES);
    row[14] = getInt(s, TOTALS_30D + MESSAGES);
    int contacts = getInt(s, TOTALS_7D + CONTACTS);
    row[15] = contacts;
    row[16] = getInt(s, TOTALS_30D + CONTACTS);
    row[17] = getInt(s, TOTALS_7D + COMPLAINTS);
    row[18] = getInt(s, TOTALS_30D + COMPLAINTS);
    row[19] = contacts - (getInt(s, CONTACTS_14D) - contacts);
    row[20] = trend(row[10], row[11]);
    row[21] = trend(row[4], row[5]);
    row[22] = since(now, getLong(s, LAST_CALL), CustomerState.HOUR_MS, LONGEST_HOURS);
    row[23] = since(now, getLong(s, LAST_PAYMENT), CustomerState.DAY_MS, LONGEST_DAYS);
    Ledger.read(s, now, row, BILL_FIGURES);
    if (getLong(s, CONTRACT_TIME) == NEVER) {
      Arrays.fill(row, CONTRACT, row.length, 0);
      return;
    }
    row[28] = Math.max(((double) now - getLong(s, CONTRACT_STARTED)) / CustomerState.DAY_MS, 0);
    row[29] = getInt(s, CONTRACT_MONTHS);
    row[30] = getDouble(s, CONTRACT_CHARGE);
    row[31] = s[CONTRACT_AUTOPAY];
    row[32] = s[CONTRACT_PAPERLESS];
    int internet = s[CONTRACT_INTERNET];
    row[33] = internet == DSL ? 1 : 0;
    row[34] = internet == FIBER ? 1 : 0;
    row[35] = internet == MOBILE ? 1 : 0;
  }

  private static double since(long now, long then, long unit, double most) {
    return then == NEVER ? most : Math.min((now - then) / (double) unit, most);
  }

  /** Daily rate of the week over that of the month; 1 for a month without use. */
  private static double trend(double week, double month) {
    return month == 0 ? 1 : week / month * (30.0 / 7.0);
  }
}
