"""A small sound policy file, which tests break at one place at a time, and the model that it is for."""

from __future__ import annotations

from keepline.models.contact.document import load
from keepline.models.contact.names import ModelNames
from keepline.models.contact.rules import Policy

MODEL = ModelNames(("overdue_bills", "bill_rise", "monthly_charge", "data_mb_30d"), 0.25, (0.125, 0.5))
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
