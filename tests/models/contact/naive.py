"""A naive oracle of the contact policy. It remembers all that was ever sent and put out, forgets nothing, and knows nothing of the state.

`Watcher.saw` is given each signal with what it brought, and says what should have been decided: consents are searched, quiet hours scanned
minute by minute, caps recounted over every window, cool-downs and holds read off the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from keepline.models.contact.arms import identifier
from keepline.models.contact.records import Output
from keepline.models.contact.rules import Happens, Level, Offer, Policy, Rise, Trigger
from keepline.models.contact.signal import Signal
from keepline.models.contact.state import TOLD_MS

MINUTE = 60_000
CONTROL_RECORDS = ("Consent", "Erasure", "Outcome")
ZONES = available_timezones()


def is_control(policy: Policy, customer: str) -> bool:
    if policy.holdout is None:
        return False
    digest = blake2b(digest_size=16)
    for part in ("arm", policy.holdout.programme, customer):
        digest.update(len(part.encode()).to_bytes(4, "little") + part.encode())
    return int.from_bytes(digest.digest()[:8], "big") / 2**64 < policy.holdout.share


def intervention_id(signal: Signal, kind: str, now: int, policy: Policy) -> str:
    led: tuple[object, ...] = ("event", signal.event_id) if signal.event_id else ("tick", now)
    return identifier("c1", kind, *led, *([now] if signal.event_type in CONTROL_RECORDS else []), policy.version)


def all_scores(signal: Signal) -> dict[str, dict[str, Any]]:
    """All scores of a signal by name, each with what records say of it."""
    asked = ("value", "band", "reasons", "model_id", "model_version")
    found = {name: {key: getattr(each, key) for key in asked} for name, each in signal.others.items()}
    if signal.value is not None:
        found[signal.score] = {key: getattr(signal, key) for key in asked}
    return found


def number_of(signal: Signal, source: str) -> float | None:
    """What a source says: `score:NAME` or `feature:NAME`."""
    kind, name = source.split(":")
    if kind == "feature":
        return signal.features.get(name)
    return all_scores(signal)[name]["value"] if name in all_scores(signal) else None


def rests_on(trigger: Trigger, signal: Signal) -> str:
    """The name of the score that a decision rests on: the trigger's, if there is one, else the main one."""
    kind, _, name = ("" if isinstance(trigger.when, Happens) else trigger.when.source).partition(":")
    return name if kind == "score" and name in all_scores(signal) else signal.score


def told_of(trigger: Trigger, signal: Signal) -> dict[str, Any]:
    """What records say of the scores."""
    name, scores = rests_on(trigger, signal), all_scores(signal)
    nothing = {"value": 0.0, "band": 0, "reasons": (), "model_id": signal.model_id, "model_version": signal.model_version}
    return scores.get(name, nothing) | {"score": name, "scores": {each: scores[each]["value"] for each in scores}}


@dataclass
class Made:
    """An offer or a ticket that was made or claimed, or an offer that was kept back from the control group."""

    record: dict[str, Any]
    at: int
    service: bool
    claimed: bool
    control: bool = False
    outcomes: list[tuple[str, int]] = field(default_factory=list)


class Watcher:
    """All that one customer has heard and said since the last erasure."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.offers = {offer.kind: offer for offer in policy.offers}
        self.levels = [trigger for trigger in policy.triggers if isinstance(trigger.when, Level)]
        self.reset()

    def reset(self) -> None:
        self.now = self.last = 0
        self.consents: list[tuple[int, str, str, str]] = []
        self.zones: list[tuple[int, str]] = []
        self.scores: list[tuple[int, dict[str, float]]] = []
        self.rested: dict[str, dict[str, Any]] = {}
        self.row_of: dict[str, dict[str, Any]] = {}
        self.complaints: list[int] = []
        self.active = 0
        self.ended = False
        self.made: dict[str, Made] = {}
        self.failed: set[str] = set()
        self.held: dict[str, tuple[dict[str, Any], int]] = {}
        self.closed: set[str] = set()
        self.channel_of: dict[str, str] = {}
        self.holding = ("", 0)
        self.told: dict[str, tuple[str, str, int]] = {}
        self.landed: set[str] = set()
        self.decisions: set[str] = set()

    # What may be known from outside.

    def permits(self, purpose: str, channel: str) -> bool:
        required = self.policy.marketing_required if purpose == "MARKETING" else self.policy.profiling_required
        known = [(at, place) for place, (at, of, by, _) in enumerate(self.consents) if of == purpose and by in ("ALL", channel)]
        return not required if not known else self.consents[max(known)[1]][3] == "GRANTED"

    def zone(self) -> ZoneInfo:
        known = [(at, place) for place, (at, name) in enumerate(self.zones) if name in ZONES]
        return ZoneInfo(self.zones[max(known)[1]][1] if known else self.policy.time_zone)

    def quiet(self, channel: str, at: int) -> bool:
        local = datetime.fromtimestamp(at / 1000, self.zone())
        minute = local.hour * 60 + local.minute
        for hours in self.policy.quiet:
            inside = hours.start <= minute < hours.end if hours.start <= hours.end else minute >= hours.start or minute < hours.end
            if channel in hours.channels and inside:
                return True
        return False

    def free(self, channel: str, at: int) -> int | None:
        if not self.quiet(channel, at):
            return at
        first = (at // MINUTE + 1) * MINUTE
        return next((moment for moment in range(first, first + 3 * 24 * 60 * MINUTE, MINUTE) if not self.quiet(channel, moment)), None)

    def contacts(self, but: str = "") -> list[tuple[int, str]]:
        made = [(m.at, m.record["channel"]) for id_, m in self.made.items() if not m.service and id_ not in self.failed]
        held = [(due, self.channel_of[id_]) for id_, (d, due) in self.held.items() if id_ != but and not self.is_service(d)]
        return made + held

    def is_service(self, record: dict[str, Any]) -> bool:
        return record["kind"] not in self.offers or self.offers[record["kind"]].service

    def overfull(self, contacts: list[tuple[int, str]]) -> bool:
        for cap in self.policy.caps:
            times = [at for at, by in contacts if cap.channel in ("", by)]
            if any(sum(end - cap.per_ms < at <= end for at in times) > cap.most for end in times):
                return True
        return False

    # What should be decided.

    def fired(self, signal: Signal) -> list[Trigger]:
        informs = signal.value is not None or bool(signal.others) or signal.event_type not in CONTROL_RECORDS
        found = []
        for trigger in self.policy.triggers:
            when = trigger.when
            if isinstance(when, Level):
                fires = informs and bool(signal.active >> self.levels.index(trigger) & 1)
            elif isinstance(when, Happens):
                fires = when.event == signal.event_type and (not when.field or signal.fields.get(when.field) in when.symbols)
            else:
                name, value = when.source.removeprefix("score:"), number_of(signal, when.source)
                window = [scores[name] for at, scores in self.scores if at >= self.now - when.within_ms and name in scores]
                if value is None:
                    fires = False
                elif isinstance(when, Rise):
                    fires = any(value - before >= when.by for before in window)
                else:
                    fires = any(before > 0 and before - value >= when.by * before for before in window)
            if fires:
                found.append(trigger)
        return sorted(found, key=lambda trigger: -trigger.priority)

    def suits(self, offer: Offer, trigger: Trigger, signal: Signal) -> bool:
        for condition in offer.conditions:
            if condition.reasons:
                reasons = told_of(trigger, signal)["reasons"]
                if not any(reason.feature in condition.reasons and reason.contribution > 0 for reason in reasons):
                    return False
                continue
            value = number_of(signal, condition.source)
            if value is None or not condition.at_least <= value < condition.below:
                return False
        return True

    def expected(self, trigger: Trigger, signal: Signal) -> tuple[str, str, str, int]:
        """(result or reason, kind, channel, moment)."""
        suited = [offer for offer in self.policy.offers if trigger.name in offer.triggers and self.suits(offer, trigger, signal)]
        if not suited:
            return "NO_OFFER", "", "", 0

        def profiled(offer: Offer) -> list[str]:
            return [c for c in offer.channels if not trigger.scored or self.permits("PROFILING", c)]

        def usable(offer: Offer) -> list[str]:
            return [c for c in profiled(offer) if offer.service or self.permits("MARKETING", c)]

        offer = next((offer for offer in suited if usable(offer)), None)
        if self.ended:
            return "ENDED", (offer or suited[0]).kind, "", 0
        if offer is None:
            reason = "NO_MARKETING_CONSENT" if any(profiled(each) for each in suited) else "NO_PROFILING_CONSENT"
            return reason, suited[0].kind, "", 0
        kind = offer.kind
        earlier = [m.at for m in self.made.values() if m.record["kind"] == kind]
        if self.now < max([signal.quiet_until, *(at + offer.cooldown_ms for at in earlier)]):
            return "COOLDOWN", kind, "", 0
        if any(d["kind"] == kind for d, _ in self.held.values()):
            return "ALREADY_HELD", kind, "", 0
        if self.remembers(intervention_id(signal, kind, self.now, self.policy)):
            return "REPEATED", kind, "", 0
        reason = "QUIET_HOURS"
        for channel in usable(offer):
            at = self.free(channel, self.now)
            if at is None:
                continue
            if offer.service or not self.overfull([*self.contacts(), (at, channel)]):
                now = "CONTROL" if not offer.service and is_control(self.policy, signal.customer_id) else "EMITTED"
                return (now if at == self.now else "HELD"), kind, channel, at
            reason = "CAP"
        return reason, kind, "", 0

    def remembers(self, id_: str) -> bool:
        """Whether an offer's row is there still: for its window, as long again for what comes late, and while it may need a ticket."""
        made = self.made.get(id_)
        if made is None:
            return False
        if self.now <= made.at + 2 * self.policy.landing_ms:
            return True
        ticket = any(m.record["escalation_of"] == id_ for m in self.made.values())
        return bool(
            self.policy.escalation
            and not made.service
            and not made.control
            and not ticket
            and self.now < made.at + self.policy.escalation.after_ms
        )

    # What was put out.

    def saw(self, signal: Signal, before: Iterable[Output], outputs: Iterable[Output], *, known: bool) -> None:
        """A signal, what was due before it, and what it brought. `known`: something was remembered in between; else there is no clock."""
        for output in before:
            assert output.at <= signal.time
            self.put(output)
        for id_ in self.held:
            self.wait_on(id_, signal.time + 1)
        if signal.event_type == "Erasure":
            (receipt,) = outputs
            assert receipt.kind == "receipt"
            assert receipt.record["counts"]["held"] == len(self.held)
            assert receipt.record["counts"]["open_rows"] == len(self.rows_open())
            self.reset()
            return
        self.now = self.now if known else 0
        self.heard(signal)
        outputs = list(outputs)
        fired = self.fired(signal)
        wanted = []
        for place, trigger in enumerate(fired):
            result, kind, channel, at = self.expected(trigger, signal) if place == 0 else ("OUTRANKED", "", "", 0)
            wanted.append((trigger, result, kind, channel, at))
        decided = []
        for output in outputs:
            record = output.record["decision"] if output.kind == "claim" else output.record
            if output.kind in ("decision", "claim") and record["result"] != "CANCELLED":
                self.rests(record, signal)
            ticket = record.get("escalation_of") or record.get("kind") == (self.policy.escalation and self.policy.escalation.kind)
            if output.kind in ("decision", "claim") and not ticket and record["result"] != "CANCELLED":
                decided.append(
                    (record["trigger"], record["result"] if record["result"] != "SUPPRESSED" else record["reason"], record["kind"])
                )
        expected = []
        for trigger, result, kind, channel, at in wanted:
            old = self.told.get(trigger.name)
            if result in ("EMITTED", "HELD", "CONTROL") or old is None or old[:2] != (kind, result) or self.now - old[2] >= TOLD_MS:
                expected.append((trigger.name, result, kind))
            if result in ("HELD", "CONTROL"):
                self.holding = channel, at
        assert decided == expected, (decided, expected)
        for output in outputs:
            self.put(output)

    def rests(self, record: dict[str, Any], signal: Signal) -> None:
        """The numbers of a new decision; of a ticket they are those of the offer that it follows."""
        if self.policy.escalation and record["kind"] == self.policy.escalation.kind:
            return
        trigger = next(each for each in self.policy.triggers if each.name == record["trigger"])
        told, made_from = told_of(trigger, signal), json.loads(record["made_from"])
        if signal.value is not None or signal.others:
            assert made_from["score"] == told["value"]
        assert made_from["score_name"] == told["score"]
        assert made_from["scores"] == told["scores"]
        assert made_from["band"] == ("LOW", "MEDIUM", "HIGH")[told["band"]]
        assert record["model_version"] == told["model_version"]
        if record["intervention_id"]:
            self.rested[record["intervention_id"]] = told

    def numbers(self, record: dict[str, Any], told: dict[str, Any]) -> None:
        """An intervention or a row says of the scores what they were when the offer was decided on."""
        assert {key: record[key] for key in ("score", "value", "model_id", "model_version")} == {
            key: told[key] for key in ("score", "value", "model_id", "model_version")
        }
        if "reasons" in record:
            assert [each["feature"] for each in record["reasons"]] == [each.feature for each in told["reasons"]]

    def heard(self, signal: Signal) -> None:
        self.now = max(self.now, signal.time)
        fields = signal.fields
        if signal.value is not None or signal.others or signal.event_type not in CONTROL_RECORDS:
            self.active, self.ended = signal.active, signal.ended
        self.scores.append((self.now, told_of(Trigger("", Happens("")), signal)["scores"]))
        if signal.event_type in ("Consent", "Subscription") and fields.get("time_zone"):
            self.zones.append((signal.time, fields["time_zone"]))
        if signal.event_type == "Consent":
            self.consents.append((signal.time, fields["purpose"], fields["channel"], fields["status"]))
        if signal.event_type == "SupportContact" and fields.get("topic") in ("COMPLAINT", "CANCELLATION"):
            self.complaints.append(self.now)
        if signal.event_type == "Outcome":
            if fields["outcome"] == "FAILED":
                self.failed.add(fields["intervention_id"])
            if fields["intervention_id"] in self.made:
                self.made[fields["intervention_id"]].outcomes.append((fields["outcome"], signal.time))

    def rows_open(self) -> set[str]:
        return self.decisions - self.landed

    def put(self, output: Output) -> None:
        if output.kind != "labelled":
            assert output.at >= self.last, "decided_at goes back"
            self.last = output.at
        self.now = max(self.now, output.at)
        if output.kind == "intervention":
            self.offered(output.record, output.at, claimed=False)
        elif output.kind == "claim":
            self.offered(output.record["intervention"], output.at, claimed=True)
            self.decided(output.record["decision"], output.at)
        elif output.kind == "decision":
            self.decided(output.record, output.at)
        elif output.record["status"] == "LANDED":
            row = output.record
            assert row["decision_id"] in self.decisions - self.landed
            self.numbers(row, self.row_of[row["decision_id"]])
            self.landed.add(row["decision_id"])
            assert output.at == row["closed_at"] == row["decided_at"] + self.policy.landing_ms + 1
            assert all(each["event_time"] <= row["decided_at"] + self.policy.landing_ms for each in row["outcomes"])

    def offered(self, record: dict[str, Any], at: int, *, claimed: bool, control: bool = False) -> None:
        """An offer or a ticket is made, or an offer kept back from the control group: by everyone's rules at this moment?"""
        id_, channel, follows = record["intervention_id"], record["channel"], record["escalation_of"]
        assert at == record["decided_at"] == record["not_before"]
        assert id_ not in self.made, "twice in one life"
        assert not self.quiet(channel, at)
        assert not self.ended
        if not control:
            self.numbers(record, self.rested[follows or id_])
        if follows:
            self.escalated(record, at, follows)
        else:
            offer = self.offers[record["kind"]]
            assert record["expires_at"] == at + offer.valid_ms
            trigger = next(each for each in self.policy.triggers if each.name == record["trigger"])
            if trigger.scored:
                assert self.permits("PROFILING", channel)
            if not offer.service:
                assert self.permits("MARKETING", channel)
                assert is_control(self.policy, record["customer_id"]) == control
                assert not self.overfull([*self.contacts(but=id_), (at, channel)])
        assert not (control and self.is_service(record))
        self.made[id_] = Made(record, at, self.is_service(record), claimed, control)

    def escalated(self, record: dict[str, Any], at: int, follows: str) -> None:
        escalation, offer = self.policy.escalation, self.made[follows]
        assert escalation is not None
        assert not offer.service
        assert not offer.control
        others = [m for m in self.made.values() if m.record["escalation_of"]]
        assert all(m.record["escalation_of"] != follows for m in others), "two tickets of one offer"
        assert all(at - m.at >= escalation.after_ms for m in others), "a ticket while another is young"
        assert (record["kind"], record["channel"], record["trigger"]) == (escalation.kind, escalation.channel, offer.record["trigger"])
        refused = any(what in ("DECLINED", "COMPLAINED") for what, _ in offer.outcomes)
        assert refused or at >= offer.at + escalation.after_ms
        assert offer.outcomes or not offer.claimed

    def decided(self, record: dict[str, Any], at: int) -> None:
        assert record["decided_at"] == at
        result, id_ = record["result"], record["intervention_id"]
        ticket = self.policy.escalation is not None and record["kind"] == self.policy.escalation.kind
        assert record["decision_id"] not in self.decisions
        if result == "HELD":
            assert id_ not in self.held
            assert id_ not in self.closed
            assert all(d["kind"] != record["kind"] for d, _ in self.held.values())
            channel = self.policy.escalation.channel if ticket and self.policy.escalation else self.holding[0]
            self.channel_of[id_] = channel
            assert record["hold_until"] == self.free(channel, at) > at
            self.held[id_] = record, record["hold_until"]
        elif id_ in self.held:
            if record["reason"] != "ENDED":
                self.wait_on(id_, at)
            first, due = self.held.pop(id_)
            self.closed.add(id_)
            assert result in ("EMITTED", "CANCELLED") or record["reason"] == "CONTROL"
            if record["reason"] != "ENDED":
                assert due == at
                self.still_stands(first, record, at, self.channel_of[id_])
        else:
            assert result in ("EMITTED", "SUPPRESSED")
        if result == "EMITTED":
            assert id_ in self.made
        if record["reason"] == "CONTROL":
            assert result == "SUPPRESSED"
            assert record["arm"] == "CONTROL"
            channel, offer = self.channel_of.get(id_, self.holding[0]), self.offers[record["kind"]]
            kept_back = {"channel": channel, "escalation_of": None, "not_before": at, "expires_at": at + offer.valid_ms}
            self.offered(record | kept_back, at, claimed=False, control=True)
        if result == "EMITTED" or record["reason"] == "CONTROL":
            self.decisions.add(record["decision_id"])
            self.row_of[record["decision_id"]] = self.rested[self.made[id_].record["escalation_of"] or id_]
        if not ticket:
            self.told[record["trigger"]] = record["kind"], record["reason"] if result == "SUPPRESSED" else result, at

    def wait_on(self, id_: str, until: int) -> None:
        """What was not closed when it was due, before `until`, waits on, for the customer's clock is another one by then."""
        record, due = self.held[id_]
        while due < until:
            assert self.quiet(self.channel_of[id_], due)
            later = self.free(self.channel_of[id_], due)
            assert later is not None
            due = later
        self.held[id_] = record, due

    def still_stands(self, first: dict[str, Any], record: dict[str, Any], at: int, channel: str) -> None:
        """A held offer was made or given up for a reason that is there."""
        trigger = next(each for each in self.policy.triggers if each.name == record["trigger"])
        if self.policy.escalation and record["kind"] == self.policy.escalation.kind:
            assert record["result"] == "EMITTED"
            return
        offer = self.offers[record["kind"]]
        against = []
        if trigger.scored and not self.permits("PROFILING", channel):
            against.append("NO_PROFILING_CONSENT")
        if not offer.service and not self.permits("MARKETING", channel):
            against.append("NO_MARKETING_CONSENT")
        if isinstance(trigger.when, Level) and not self.active >> self.levels.index(trigger) & 1:
            against.append("REASON_GONE")
        if not isinstance(trigger.when, Level) and at > first["decided_at"] + offer.valid_ms:
            against.append("EXPIRED")
        if record["result"] == "EMITTED" or record["reason"] == "CONTROL":
            assert against == []
        elif record["reason"] == "CAP":
            assert against == []
            assert self.quiet(channel, at)
        else:
            assert record["reason"] == against[0]


def windows_hold(policy: Policy, made: Iterable[Made], failed: set[str]) -> bool:
    """Recounts every window of every cap over all marketing contacts of a life, but for those that failed."""
    kept = [m for m in made if not m.service and m.record["intervention_id"] not in failed]
    for cap in policy.caps:
        times = [m.at for m in kept if cap.channel in ("", m.record["channel"])]
        if any(sum(end - cap.per_ms < at <= end for at in times) > cap.most for end in times):
            return False
    return True
