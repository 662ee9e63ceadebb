"""The `churn` feature set, version 1: usage, support, billing and contract of one customer.

Reads like the table of the contract: 36 features, in its order. Every name and meaning here is fixed; a change of
meaning is a new version.
"""

from __future__ import annotations

from keepline.features.spec import (
    DAY,
    HOUR,
    Age,
    Billing,
    ContractFlag,
    FeatureSet,
    Ledger,
    Measure,
    Newest,
    NewestIs,
    OneOf,
    Rise,
    Since,
    Trend,
    Window,
    over,
)

H24 = Window("24h", 24 * HOUR, hop=HOUR)
D7 = Window("7d", 7 * DAY, hop=DAY)
D14 = Window("14d", 14 * DAY, hop=DAY)
D30 = Window("30d", 30 * DAY, hop=DAY)

CALLS = Measure("Call")
CALL_SECONDS = Measure("Call", "duration_s")
DROPPED_CALLS = Measure("Call", where=OneOf("outcome", ("DROPPED", "FAILED")))
DATA_MB = Measure("DataSession", "megabytes")
MESSAGES = Measure("Message")
CONTACTS = Measure("SupportContact")
COMPLAINTS = Measure("SupportContact", where=OneOf("topic", ("COMPLAINT", "CANCELLATION")))
BILLS = Ledger(keep=8, bill="Bill", payment="Payment", key="bill_id", due="due_time", amount="amount")

CHURN = FeatureSet(
    name="churn",
    id=1,
    version=1,
    retention=400 * DAY,
    lateness=90 * DAY,
    contract=ContractFlag("Subscription", "ended"),
    features=(
        *over("calls", CALLS, H24, D7, D30),
        *over("call_seconds", CALL_SECONDS, H24, D7, D30),
        *over("dropped_calls", DROPPED_CALLS, H24, D7, D30),
        *over("data_mb", DATA_MB, H24, D7, D30),
        *over("messages", MESSAGES, H24, D7, D30),
        *over("support_contacts", CONTACTS, D7, D30),
        *over("complaints", COMPLAINTS, D7, D30),
        Rise("support_contacts_rise_7d", CONTACTS, D7, D14),
        Trend("data_trend_7d", DATA_MB, D7, D30),
        Trend("call_trend_7d", CALL_SECONDS, D7, D30),
        Since("hours_since_last_call", "Call", HOUR, cap=2160),
        Since("days_since_last_payment", "Payment", DAY, cap=365),
        Billing("overdue_bills", BILLS, "overdue"),
        Billing("payment_delay_days", BILLS, "delay"),
        Billing("last_bill_amount", BILLS, "amount"),
        Billing("bill_rise", BILLS, "rise"),
        Age("tenure_days", "Subscription", "started_time", DAY),
        Newest("contract_months", "Subscription", "contract_months"),
        Newest("monthly_charge", "Subscription", "monthly_charge"),
        Newest("autopay", "Subscription", "autopay"),
        Newest("paperless", "Subscription", "paperless"),
        NewestIs("internet_dsl", "Subscription", "internet", "DSL"),
        NewestIs("internet_fiber", "Subscription", "internet", "FIBER"),
        NewestIs("internet_mobile", "Subscription", "internet", "MOBILE"),
    ),
)
