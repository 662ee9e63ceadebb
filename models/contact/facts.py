"""What a Decision record carries (`made_from`), under names and in words, with times by the customer's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from keepline.models.contact.clock import local_time, zone_named
from keepline.models.contact.compiled import code
from keepline.models.contact.consent import ALL, MARKETING, PROFILING
from keepline.models.contact.names import PROBABILITIES
from keepline.models.contact.records import EMITTED
from keepline.models.contact.rules import Offer, Policy, Trigger


def shown_score(name: str, value: float | None) -> str:
    """A score as people read it: a probability with three places, an amount of money with two."""
    if value is None:
        return "none"
    return f"{value:.{3 if name in PROBABILITIES else 2}f}"


class Facts:
    """What is known of a decision."""

    def __init__(self, decision: Mapping[str, Any], policy: Policy | None = None, *, ticket: bool | None = None) -> None:
        """`policy` only if it decided; `ticket` None where it is not known whether it is one."""
        self.decision, self.policy = decision, policy
        self.seen: dict[str, Any] = orjson.loads(decision.get("made_from") or "{}")
        self.result, self.reason, self.kind = str(decision["result"]), str(decision["reason"]), str(decision["kind"])
        self.fired, self.now = str(decision.get("trigger", "")), int(decision["decided_at"])
        self.zone = zone_named(self.seen.get("time_zone", "UTC")) or ZoneInfo("UTC")
        self.trigger: Trigger | None = next((each for each in policy.triggers if each.name == self.fired), None) if policy else None
        self.offer: Offer | None = next((each for each in policy.offers if each.kind == self.kind), None) if policy else None
        self.ticket = self._is_ticket() if ticket is None else ticket

    def _is_ticket(self) -> bool:
        if self.policy is not None:
            return self.policy.escalation is not None and self.policy.escalation.kind == self.kind
        return self.result == EMITTED and bool(self.fired) and self.reason != code(self.fired)

    def at(self, ms: int | None) -> str:
        """A moment by the customer's clock."""
        return "a time that the decision does not tell" if ms is None else local_time(self.zone, ms).replace("T", " ")

    def consents(self, purpose: str) -> str:
        """What the customer has said of a purpose; "" nothing."""
        said = [each for each in self.seen.get("consents", ()) if each["purpose"] == purpose]
        return ", ".join(
            f"{'all channels' if each['channel'] == ALL else each['channel']} {each['status']} ({self.at(each['at'])})" for each in said
        )

    def contacts(self) -> str:
        """The contacts that count in caps; "" none."""
        return ", ".join(f"{each['channel']} {self.at(each['at'])}" for each in self.seen.get("contacts", ()))

    def numbers(self) -> list[tuple[str, str]]:
        """All that it was made from, as (name, words), without what is empty."""
        seen = self.seen
        of = seen.get("score_name", "churn")
        score = f"{'' if of == 'churn' else of + ' '}{shown_score(of, seen['score'])} ({seen['band']})" if "score" in seen else ""
        others = {name: value for name, value in seen.get("scores", {}).items() if name != of}
        told = [
            ("score", score),
            ("other scores", ", ".join(f"{name} {shown_score(name, value)}" for name, value in others.items())),
            ("triggers that held", ", ".join(seen.get("active", ()))),
            ("marketing", self.consents(MARKETING)),
            ("profiling", self.consents(PROFILING)),
            ("contacts that count in caps", self.contacts()),
            ("cool-downs", ", ".join(f"{kind} until {self.at(until)}" for kind, until in seen.get("cooldowns", {}).items())),
            ("held", ", ".join(f"{each['kind']} by {each['channel']} until {self.at(each['until'])}" for each in seen.get("held", ()))),
            ("contract", "over" if seen.get("ended") else ""),
        ]
        return [(name, words) for name, words in told if words]
