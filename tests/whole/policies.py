"""A contact policy that uses everything there is, for the crowd of history.py and the model of the tests, and outcomes of its offers."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path

from tests.whole.history import DAY, HOUR, Sent, sent
from tests.whole.support import Record

POLICY = """\
policy: everything
version: 5
time_zone: Europe/Berlin
consent: {{marketing: assumed, profiling: assumed}}
quiet_hours:
  - {{from: "20:00", to: "09:30", channels: [SMS, PUSH, CALL]}}
caps:
  - {{at_most: 1, per: 1d}}
  - {{at_most: 4, per: 10d}}
  - {{at_most: 2, per: 10d, channel: SMS}}
holdout: {{programme: whole, control: 15%}}
triggers:
  complaint: {{event: SupportContact, topic: [COMPLAINT, CANCELLATION], priority: 30}}
  overdue: {{feature: overdue_bills, at_least: 1, priority: 20}}
  rising: {{score: churn, rises_by: 0.2, within: 7d, priority: 10}}
  at_risk: {{score: churn, at_least: threshold}}
offers:
  apology:
    for: complaint
    channels: [SMS, EMAIL]
    offer: We are sorry
    cooldown: 4d
  reminder:
    for: overdue
    channels: [EMAIL, SMS]
    offer: A bill is overdue
    service: true
    cooldown: 3d
  extra_data:
    for: [rising, at_risk]
    if: {{feature: data_mb_30d, at_least: 100}}
    channels: [PUSH, SMS]
    offer: 5 GB extra data this month
    cooldown: 2d
    {campaign}
  sms_discount:
    for: [rising, at_risk]
    channels: [SMS, EMAIL]
    offer: 10 % off the next three bills
    cooldown: 2d
escalation: {{after: 2d, kind: ticket, channel: CALL, offer: A person calls, valid: 3d}}
outcomes: {{landing: 5d}}
"""
BUDGETS = "budgets: {{spring: {{per_day: {per_day}, shards: 3}}}}\n"


def policy_file(folder: Path, per_day: int = 0) -> Path:
    """The policy as a file; `per_day`: the budget that one of its offers has, 0 for none."""
    path = folder / "everything.yaml"
    campaign = "campaign: spring" if per_day else "# no campaign"
    path.write_text(POLICY.format(campaign=campaign) + (BUDGETS.format(per_day=per_day) if per_day else ""), encoding="utf-8")
    return path


VALUE_TRIGGERS = """\
triggers:
  loyal: {score: clv_bgnbd, at_least: MEDIUM, priority: 40}
  lapsing: {score: p_alive, below: 0.9, priority: 44}
  poorer: {score: clv_bgnbd, falls_by: 30%, within: 30d, priority: 45}
"""
VALUE_OFFERS = """\
offers:
  reward:
    for: loyal
    channels: [EMAIL, SMS]
    offer: A voucher for those who stay
    cooldown: 4d
  win_back:
    for: [lapsing, poorer]
    if: {feature: orders, at_least: 2}
    channels: [EMAIL, PUSH]
    offer: We miss you
    cooldown: 4d
"""


def policy_of_both(folder: Path, per_day: int = 0) -> Path:
    """The same with triggers and offers of lifetime value in front."""
    path = policy_file(folder, per_day)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("triggers:\n", VALUE_TRIGGERS).replace("offers:\n", VALUE_OFFERS), encoding="utf-8")
    return path


def with_outcomes(records: list[Sent], interventions: Mapping[str, list[Record]], partitions: int, seed: int = 1) -> list[Sent]:
    """The history with outcomes of what a replay of it has offered, from at once to beyond the second landing window.

    They come when their time has come: behind the first record of the clocks that is as late, with a time within the bound of disorder.
    """
    draw, due = random.Random(seed), []
    for made in interventions.values():
        for record in made:
            for _ in range(draw.randrange(3)):
                at = record["decided_at"] + int(draw.choice([2 * HOUR, 2 * DAY, 6 * DAY, 11 * DAY]) * draw.random())
                outcome = draw.choice(["DELIVERED", "FAILED", "ACCEPTED", "DECLINED", "COMPLAINED", "CHURNED", "RETAINED"])
                due.append((at, record["customer_id"], record["intervention_id"], outcome))
    due.sort()
    out: list[Sent] = []
    taken = 0
    for record in records:
        clock = record.event is not None and record.event["customer_id"].startswith("clock-")
        while clock and record.event and taken < len(due) and due[taken][0] <= record.event["event_time"]:
            at, customer, offered, outcome = due[taken]
            taken += 1
            time = max(at, record.event["event_time"] - HOUR // 2)
            event = {"type": "Outcome", "customer_id": customer, "event_id": f"outcome-{taken}", "event_time": time}
            out.append(sent({**event, "intervention_id": offered, "outcome": outcome}, partitions))
        out.append(record)
    return out


def kinds_of_decisions(decisions: Mapping[str, list[Record]]) -> set[tuple[str, str]]:
    """(result, reason) of all."""
    return {(record["result"], record["reason"]) for made in decisions.values() for record in made}


def by_time(outputs: Mapping[str, list[Record]]) -> dict[str, list[Record]]:
    """Each customer's in the order of decision: where a budget's operator has the last word, there are two ways to Kafka."""
    return {customer: sorted(made, key=lambda record: (record["decided_at"], json.dumps(record))) for customer, made in outputs.items()}
