"""A small sound policy file, which tests break at one place at a time, and the model that it is for."""

from __future__ import annotations

from keepline.models.contact.document import load
from keepline.models.contact.names import names_of_all
from keepline.models.contact.rules import Policy

FEATURES = ("overdue_bills", "bill_rise", "monthly_charge", "data_mb_30d")
CHURN = ("churn", 0.25, (0.125, 0.5), ())
MODEL = names_of_all([CHURN], FEATURES)
SEVERAL = names_of_all(
    [
        CHURN,
        ("p_alive", None, (0.3, 0.7), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0, 1.0)),
        ("clv_bgnbd", None, (20.0, 400.0), (0.0, 10.0, 20.0, 50.0, 75.5, 100.0, 200.0, 400.0, 900.0)),
        ("clv_regression", None, (15.0, 300.0), ()),
    ],
    (*FEATURES, "orders_90d"),
)
"""A job of four scores; many customers have no value at all, and of many it is sure that they are alive."""
BASE = """\
policy: telecom
version: 3
time_zone: Europe/Berlin
consent: {marketing: assumed, profiling: required}
quiet_hours:
  - {from: "21:00", to: "08:30", channels: [SMS, CALL]}
caps:
  - {at_most: 1, per: 1d}
holdout: {programme: p-1, control: 10%}
triggers:
  at_risk: {score: churn, at_least: threshold, priority: 10}
  rising: {score: churn, rises_by: 0.2, within: 7d}
  complaint: {event: SupportContact, topic: [COMPLAINT, CANCELLATION]}
  missed: {feature: overdue_bills, at_least: 1}
offers:
  bonus:
    for: [at_risk, rising]
    if: [{reason: [bill_rise]}, {feature: monthly_charge, at_least: 70, below: 200}]
    channels: [PUSH, SMS]
    offer: "A bonus"
    campaign: spring
  sorry:
    for: [complaint, missed, at_risk]
    channels: CALL
    offer: "Sorry"
    service: true
    cooldown: 12h
    valid: 30m
escalation: {after: 7d, kind: ticket}
budgets:
  spring: {per_day: 100, shards: 4}
outcomes: {landing: 14d}
"""


def read(text: str) -> Policy:
    return load(text, MODEL, "p.yaml")
