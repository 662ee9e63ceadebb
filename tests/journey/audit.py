"""A naive recount of a journey from its events and outputs alone: what was promised to customers, whatever the policy is made of.

It walks through what happened in order, and keeps for each customer what they have said. Nothing of the policy's own code is used, but the
rules as data.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from keepline.jobs.journey.journey import Journey
from keepline.jobs.journey.run import Entry
from keepline.models.contact.rules import Level, Policy, Rise

Record = dict[str, Any]


@dataclass
class Said:
    """What a customer has said so far, and has been sent."""

    zone: str = ""
    ended: bool = False
    consents: list[tuple[str, str, str]] = field(default_factory=list)
    sent: list[Record] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    held: dict[str, Record] = field(default_factory=dict)


class Audit:
    """Recounts one journey; AssertionError with what was broken."""

    def __init__(self, journey: Journey) -> None:
        self.policy: Policy = journey.world.rules
        self.offers = {offer.kind: offer for offer in self.policy.offers}
        self.said: dict[str, Said] = defaultdict(Said)
        self.ids: set[str] = set()
        self.granted: dict[tuple[str, int], int] = defaultdict(int)
        self.sent = 0
        for entry in journey.entries:
            getattr(self, f"_{entry.kind.replace('-', '_')}")(entry, self.said[entry.customer])

    def _event(self, entry: Entry, said: Said) -> None:
        event = entry.record
        match event["type"]:
            case "Consent":
                said.consents.append((event["purpose"], event["channel"], event["status"]))
            case "Subscription":
                said.ended = event.get("ended", False)
            case "Outcome" if event["outcome"] == "FAILED":
                said.failed.add(event["intervention_id"])
            case "Erasure":
                self.said[entry.customer] = Said(ended=False)
                return
        said.zone = event.get("time_zone") or said.zone

    def _intervention(self, entry: Entry, said: Said) -> None:
        made = entry.record
        offer = self.offers.get(made["kind"])
        ticket = made["escalation_of"] is not None
        assert ticket == (offer is None), made
        assert made["intervention_id"] not in self.ids, f"sent twice: {made}"
        assert made["not_before"] == made["decided_at"] == entry.at < made["expires_at"], made
        assert not said.ended, f"sent to one who has left: {made}"
        assert not self._quiet(made, said), f"sent in quiet hours: {made}"
        self.ids.add(made["intervention_id"])
        self.sent += 1
        held = said.held.pop(made["intervention_id"], None)
        if held:
            assert made["not_before"] >= held["hold_until"], (held, made)
        if offer is None:
            assert any(each["intervention_id"] == made["escalation_of"] for each in said.sent), f"a ticket after nothing: {made}"
            return
        trigger = next(each for each in self.policy.triggers if each.name == made["trigger"])
        assert made["channel"] in offer.channels
        assert made["trigger"] in offer.triggers
        if isinstance(trigger.when, Rise) or (isinstance(trigger.when, Level) and trigger.when.source == "score:churn"):
            assert self._allowed(said, "PROFILING", made["channel"], required=self.policy.profiling_required), f"profiled: {made}"
        if not offer.service:
            assert self._allowed(said, "MARKETING", made["channel"], required=self.policy.marketing_required), f"without consent: {made}"
        for before in said.sent:
            if before["kind"] == made["kind"]:
                assert made["not_before"] - before["not_before"] >= offer.cooldown_ms, f"too soon: {before} {made}"
        said.sent.append(made)
        if offer.campaign:
            self.granted[offer.campaign, made["decided_at"] // 86_400_000] += 1
            for budget in self.policy.budgets:
                assert self.granted[budget.campaign, made["decided_at"] // 86_400_000] <= budget.per_day, f"over budget: {made}"
        if not offer.service:
            self._capped(made, said)

    def _capped(self, made: Record, said: Said) -> None:
        for cap in self.policy.caps:
            if cap.channel not in ("", made["channel"]):
                continue
            window = [
                each
                for each in said.sent
                if made["not_before"] - cap.per_ms < each["not_before"] <= made["not_before"]
                and not self.offers[each["kind"]].service
                and cap.channel in ("", each["channel"])
                and each["intervention_id"] not in said.failed
            ]
            assert len(window) <= cap.most, f"more than {cap}: {window}"

    @staticmethod
    def _allowed(said: Said, purpose: str, channel: str, *, required: bool) -> bool:
        for of, by, status in reversed(said.consents):
            if of == purpose and by in (channel, "ALL"):
                return status == "GRANTED"
        return not required

    def _quiet(self, made: Record, said: Said) -> bool:
        clock = datetime.fromtimestamp(made["not_before"] / 1000, UTC).astimezone(ZoneInfo(said.zone or self.policy.time_zone))
        minute = 60 * clock.hour + clock.minute
        for hours in self.policy.quiet:
            spans = [(hours.start, hours.end)] if hours.start < hours.end else [(0, hours.end), (hours.start, 1440)]
            if made["channel"] in hours.channels and any(start <= minute < end for start, end in spans):
                return True
        return False

    def _decision(self, entry: Entry, said: Said) -> None:
        made = entry.record
        assert made["decision_id"] not in self.ids, f"decided twice: {made}"
        self.ids.add(made["decision_id"])
        match made["result"]:
            case "HELD":
                assert made["hold_until"] > made["decided_at"], made
                assert all(each["kind"] != made["kind"] for each in said.held.values()), f"held twice: {made}"
                said.held[made["intervention_id"]] = made
            case "CANCELLED":
                assert said.held.pop(made["intervention_id"], None), f"cancelled, but not held: {made}"
            case "SUPPRESSED" if made["reason"] == "BUDGET":
                said.held.pop(made["intervention_id"], None)
            case "EMITTED":
                assert made["intervention_id"] in self.ids, f"emitted without an intervention: {made}"

    def _outcome(self, entry: Entry, said: Said) -> None:
        row = entry.record
        if row["status"] == "LANDED":
            assert ("landed", row["decision_id"]) not in self.ids, f"landed twice: {row}"
            self.ids.add(("landed", row["decision_id"]))  # type: ignore[arg-type]

    def _score(self, entry: Entry, said: Said) -> None: ...

    def _timer(self, entry: Entry, said: Said) -> None: ...

    def _receipt(self, entry: Entry, said: Said) -> None: ...
