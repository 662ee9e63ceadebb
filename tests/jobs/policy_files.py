"""A small contact policy for tests of the job that are not about the policy: everyone may be contacted, and an offer follows at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keepline.features.churn import CHURN
from keepline.models.contact.carried import to_json
from keepline.models.contact.document import load
from keepline.models.contact.names import names_of_all

TEXT = """\
policy: tests
version: 1
consent: {{marketing: assumed, profiling: assumed}}
triggers:
  at_risk: {{score: churn, at_least: threshold}}
offers:
  extra_data:
    for: at_risk
    if: {{feature: data_mb_30d, at_least: {median}}}
    channels: [PUSH]
    offer: 5 GB extra data this month
    cooldown: {cooldown}
  sms_discount:
    for: at_risk
    channels: [SMS]
    offer: 10 % off the next three bills
    cooldown: {cooldown}
outcomes: {{landing: 5d}}
"""
ESCALATION = "escalation: {after: 2d, kind: support_ticket, channel: CALL, offer: A person calls}\n"


def policy_file(folder: Path, cooldown: str = "30d", median: float = 20.0, more: str = ESCALATION) -> Path:
    """The policy with this cool-down of both offers and `more` lines; who used `median` MB in 30 days is offered data."""
    path = folder / "policy.yaml"
    path.write_text(TEXT.format(cooldown=cooldown, median=median) + more, encoding="utf-8")
    return path


def policy(folder: Path, cooldown: str = "30d", threshold: float = 0.6) -> dict[str, Any]:
    """The same as a job's spec carries it, for a model with this threshold."""
    names = names_of_all([("churn", threshold, (threshold / 2, threshold), ())], CHURN.names)
    return to_json(load(policy_file(folder, cooldown), names))
