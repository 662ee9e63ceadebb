"""Random policies and random lives: the outputs keep every promise (naive.py), and nothing in how a life is run shows in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.models.contact import ends
from keepline.models.contact.budget import pack_claim, read_claim
from keepline.models.contact.course import advance, on_signal
from keepline.models.contact.records import RECORD_NAMES, Output
from keepline.models.contact.rules import (
    CHANNELS,
    Budget,
    Cap,
    Condition,
    Escalation,
    Fall,
    Happens,
    Holdout,
    Level,
    Offer,
    Policy,
    QuietHours,
    Rise,
    Trigger,
)
from keepline.models.contact.signal import Reason, Scored, Signal
from keepline.models.contact.state import Contact
from keepline.schemas.records import from_record, to_record
from tests.models.contact.lives import DAY, HOUR, REASONS, at, run
from tests.models.contact.naive import Watcher, windows_hold

STARTS = [at(text) for text in ("2026-03-27T17:00:00+00:00", "2026-10-23T20:30:00+00:00", "2026-06-01T05:59:59.999+00:00")]
SPANS = st.sampled_from([1, HOUR, 5 * HOUR, DAY, 3 * DAY, 10 * DAY])
OUTCOMES = ("DELIVERED", "FAILED", "ACCEPTED", "DECLINED", "COMPLAINED", "CHURNED", "RETAINED")
WHEN = st.sampled_from(
    [
        Level("score:churn", 0.5),
        Level("feature:overdue_bills", 1.0),
        Level("score:p_alive", below=0.3),
        Level("score:clv_bgnbd", 20.0, 400.0),
        Rise("score:churn", 0.3, DAY),
        Rise("score:churn", 0.45, 3 * DAY),
        Rise("score:p_alive", 0.2, DAY),
        Fall("score:clv_bgnbd", 0.5, 2 * DAY),
        Fall("score:clv_bgnbd", 0.9, 10 * DAY),
        Fall("score:churn", 0.5, DAY),
        Happens("SupportContact", "topic", ("COMPLAINT",)),
        Happens("Bill"),
    ]
)
CONDITIONS = st.sampled_from(
    [
        (),
        (),
        (),
        (Condition("feature:data", 5.0),),
        (Condition("score:churn", below=0.6),),
        (Condition("score:clv_bgnbd", 100.0),),
        (Condition(reasons=("bill_rise",)),),
        (Condition(reasons=("orders",)),),
    ]
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    whens = draw(st.lists(WHEN, min_size=1, max_size=4))
    triggers = tuple(Trigger(f"t{i}", when, draw(st.integers(0, 2))) for i, when in enumerate(whens))
    names = [trigger.name for trigger in triggers]
    offers = tuple(
        Offer(
            f"k{i}",
            "an offer",
            tuple(draw(st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3, unique=True))),
            tuple(draw(st.lists(st.sampled_from(names), min_size=1, unique=True))),
            draw(CONDITIONS),
            service=draw(st.sampled_from((False, False, False, True))),
            cooldown_ms=draw(st.sampled_from((0, 1, HOUR, DAY, 3 * DAY))),
            valid_ms=draw(st.sampled_from((HOUR, 8 * HOUR, 7 * DAY))),
            campaign=draw(st.sampled_from(("", "", "spring"))),
        )
        for i in range(draw(st.integers(1, 3)))
    )
    quiet = st.builds(QuietHours, st.integers(0, 1439), st.integers(0, 1439), st.sampled_from((CHANNELS, CHANNELS, ("SMS", "CALL"))))
    return Policy(
        "random",
        draw(st.integers(1, 3)),
        triggers,
        offers,
        time_zone=draw(st.sampled_from(("UTC", "Europe/Athens", "Australia/Lord_Howe"))),
        marketing_required=draw(st.booleans()),
        profiling_required=draw(st.sampled_from((False, False, True))),
        caps=tuple(draw(st.lists(st.builds(Cap, st.integers(1, 2), SPANS, st.sampled_from(("", "", "SMS"))), max_size=2))),
        quiet=tuple(draw(st.lists(quiet, max_size=2))),
        holdout=draw(st.sampled_from((None, None, Holdout("p", 0.0), Holdout("p", 1.0)))),
        escalation=draw(st.one_of(st.none(), st.builds(Escalation, SPANS))),
        budgets=draw(st.sampled_from(((), (Budget("spring", 1, 2),)))),
        landing_ms=draw(SPANS),
    )


@dataclass(frozen=True)
class Planned:
    """A signal whose outcome is of the `which`-th offer so far: the life says which that is."""

    after: int
    which: int
    signal: Signal


WORLDS = st.sampled_from([("churn",), ("churn", "p_alive", "clv_bgnbd"), ("p_alive", "clv_bgnbd")])
"""The scores of a job, the main one first."""
ALIVE = st.builds(
    Scored, st.sampled_from((0.1, 0.4, 0.9)), st.integers(0, 2), st.just((Reason("orders", 2.0, 0.4),)), st.just("b"), st.just(7)
)
CLV = st.builds(
    Scored,
    st.sampled_from((0.0, 10.0, 150.0, 400.0)),
    st.integers(0, 2),
    st.sampled_from(((), (Reason("orders", 2.0, 30.0), Reason("bill_rise", 1.0, -5.0)))),
    st.just("bgnbd"),
    st.just(4),
)
GAPS = st.one_of(st.sampled_from((0, 0, 1, 1000, HOUR, 3 * HOUR, DAY)), st.integers(0, 4 * DAY))
ZONE_NAMES = st.sampled_from((None, None, "America/New_York", "Asia/Kathmandu", "Mars/Olympus"))


@st.composite
def planned(draw: st.DrawFn, scores: tuple[str, ...], *, backwards: bool = True, erasures: bool = True) -> Planned:
    kind = draw(
        st.sampled_from(
            ["", "", "Call", "Call", "Call", "SupportContact", "Bill", "Subscription", "Consent", "Consent", "Outcome", "Outcome"]
            + ["Erasure"] * erasures
        )
    )
    fields: dict[str, Any] = {}
    after = draw(GAPS)
    if kind == "SupportContact":
        fields = {"topic": draw(st.sampled_from(("COMPLAINT", "CANCELLATION", "QUESTION")))}
    elif kind == "Subscription":
        fields = {"time_zone": draw(ZONE_NAMES)}
    elif kind == "Consent":
        fields = {
            "purpose": draw(st.sampled_from(("MARKETING", "MARKETING", "PROFILING"))),
            "channel": draw(st.sampled_from(("ALL", "ALL", "ALL", "SMS", "CALL"))),
            "status": draw(st.sampled_from(("GRANTED", "GRANTED", "GRANTED", "DENIED", "REVOKED"))),
            "time_zone": draw(ZONE_NAMES),
        }
    elif kind == "Outcome":
        fields = {"outcome": draw(st.sampled_from(OUTCOMES))}
    elif kind == "Erasure":
        fields = {"request_id": "r"}
    control = kind in ("Consent", "Outcome")
    if control and backwards and draw(st.booleans()):
        after = -after
    churn = draw(st.sampled_from((0.1, 0.4, 0.55, 0.9)))
    computed = {
        "churn": Scored(churn, int(churn > 0.5), REASONS[: draw(st.integers(0, 3))], "churn", 1),
        "p_alive": draw(ALIVE),
        "clv_bgnbd": draw(CLV),
    }
    main, unknown = computed[scores[0]], control and draw(st.booleans())
    return Planned(
        after,
        draw(st.integers(0, 5)),
        Signal(
            customer_id="c1",
            time=0,
            event_type=kind,
            fields=fields,
            value=None if unknown else main.value,
            band=0 if unknown else main.band,
            reasons=() if unknown else main.reasons,
            features={"data": draw(st.sampled_from((0.0, 9.0)))},
            active=draw(st.integers(0, 15)),
            ended=kind == "Subscription" and draw(st.sampled_from((False, True))),
            quiet_until=draw(st.sampled_from((0, 0, 0, STARTS[0] + DAY))),
            model_id=main.model_id,
            model_version=main.model_version,
            score=scores[0],
            others={} if unknown else {name: computed[name] for name in scores[1:]},
        ),
    )


def lives(**options: bool) -> st.SearchStrategy[list[Planned]]:
    return WORLDS.flatmap(lambda scores: st.lists(planned(scores, **options), min_size=1, max_size=25))


def happen(
    policy: Policy, start: int, plan: list[Planned], watcher: Watcher | None = None, *, steady: bool = False
) -> tuple[list[Signal], list[Output]]:
    """The signals of a plan with their times and ids, and their outputs; a watcher looks on. `steady`: no time goes back."""
    contact: Contact | None = None
    clock, ended, signals, outputs = start, False, list[Signal](), list[Output]()
    for number, each in enumerate(plan):
        signal = each.signal
        time = clock + each.after if each.after > 0 or signal.event_type in ("Consent", "Outcome") else clock
        if steady or signal.event_type not in ("Consent", "Outcome", "Erasure"):
            clock = time
        if signal.event_type == "Subscription":
            ended = signal.ended
        fields = dict(signal.fields)
        if signal.event_type == "Outcome":
            ids = [o.record["intervention_id"] for o in outputs if o.kind == "intervention"]
            ids += [o.record["intervention"]["intervention_id"] for o in outputs if o.kind == "claim"]
            fields["intervention_id"] = ids[-1 - each.which] if each.which < len(ids) else "f" * 32
        # Now and then a record comes again: a control record whenever, an event at once (later the customer operator knows it).
        again = number > 0 and each.which == 5 and (time == signals[-1].time or signal.event_type in ("Consent", "Outcome"))
        event_id = "" if not signal.event_type else signals[-1].event_id if again else f"e{number}"
        signal = replace(signal, time=time, event_id=event_id, fields=fields, ended=ended)
        signals.append(signal)
        before: tuple[Output, ...] = ()
        if contact is not None:
            contact, before, _ = advance(contact, time, policy)
        known = contact is not None
        contact, now, wake = on_signal(contact, signal, policy)
        assert wake == (contact.wake if contact else 0)
        outputs += [*before, *now]
        if watcher:
            watcher.saw(signal, before, now, known=known)
            assert windows_hold(policy, watcher.made.values(), watcher.failed)
    if contact is not None:
        forever = clock + 1000 * DAY
        contact, rest, wake = advance(contact, forever, policy)
        outputs += rest
        if watcher:
            for output in rest:
                watcher.put(output)
            assert not watcher.held
            assert not watcher.rows_open()
            assert windows_hold(policy, watcher.made.values(), watcher.failed)
        assert wake == 0
        assert contact is None or contact.consents or contact.zone
        assert contact is None or not (
            contact.held or contact.rows or contact.told or contact.contacts or contact.cooldowns or contact.trails
        )
    return signals, outputs


THOROUGH = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@given(policies(), st.sampled_from(STARTS), lives())
@THOROUGH
def test_every_promise_is_kept(policy: Policy, start: int, plan: list[Planned]) -> None:
    happen(policy, start, plan, Watcher(policy))


@given(policies(), st.sampled_from(STARTS), lives())
@THOROUGH
def test_the_control_group_differs_by_nothing_but_the_offer(policy: Policy, start: int, plan: list[Planned]) -> None:
    """The same life in either group, as long as no outcome of an offer is heard of: the same decisions, rows and times."""
    plan = [each for each in plan if each.signal.event_type != "Outcome"]
    lived = {}
    for share in (0.0, 1.0):
        _, outputs = happen(replace(policy, holdout=Holdout("p", share), escalation=None), start, plan)
        assert not share or all(offer.service for offer in policy.offers for output in outputs if made(output, offer.kind))
        decided = [o.record["decision"] if o.kind == "claim" else o.record for o in outputs if o.kind in ("decision", "claim")]
        rows = [o.record for o in outputs if o.kind == "labelled"]
        lived[share] = (
            [
                (d["decided_at"], d["trigger"], d["kind"], d["intervention_id"], d["hold_until"])
                + (("made", "") if d["result"] == "EMITTED" or d["reason"] == "CONTROL" else (d["result"], d["reason"]))
                for d in decided
            ],
            [(row["decided_at"], row["closed_at"], row["kind"], row["channel"], row["label"], row["features"]) for row in rows],
        )
    assert lived[0.0] == lived[1.0]


def made(output: Output, kind: str) -> bool:
    """Whether it makes or claims an intervention of that kind."""
    return output.kind in ("intervention", "claim") and output.record.get("intervention", output.record)["kind"] == kind


@given(policies(), st.sampled_from(STARTS), lives())
@THOROUGH
def test_records_fit_their_schemas_and_ids_are_unique(policy: Policy, start: int, plan: list[Planned]) -> None:
    _, outputs = happen(policy, start, plan)
    for output in outputs:
        if output.kind == "claim":
            assert read_claim(pack_claim(output.record)) == output.record
        else:
            name = RECORD_NAMES[output.kind]
            assert to_record(from_record(name, output.record)) == (name, output.record)
    # In one life: who is erased and, in the same millisecond, decided on anew from the same event has the same decision again.
    decided: set[str] = set()
    for output in outputs:
        if output.kind == "receipt":
            decided.clear()
        elif output.kind == "decision":
            assert output.record["decision_id"] not in decided
            decided.add(output.record["decision_id"])


@given(policies(), st.sampled_from(STARTS), lives(), st.randoms(use_true_random=False))
@THOROUGH
def test_how_a_life_is_run_does_not_show(policy: Policy, start: int, plan: list[Planned], random: Any) -> None:
    """Through bytes at every step; passing over what may be passed over; with timers that fire eagerly, at times, or only at the end."""
    signals, outputs = happen(policy, start, plan)
    end = max(signal.time for signal in signals) + 1000 * DAY

    def now_and_then(last: int, time: int) -> list[int]:
        return sorted(random.randint(last, time - 1) for _ in range(random.randint(0, 3))) if time > last else []

    assert run(policy, signals, end=end) == outputs
    assert run(policy, signals, stored=True, end=end) == outputs
    assert run(policy, signals, fast=True, end=end) == outputs
    assert run(policy, signals, stored=True, eager=lambda last, time: [time - 1] if time > last else [], end=end) == outputs
    assert run(policy, signals, fast=True, stored=True, eager=now_and_then, end=end) == outputs


@given(policies(), st.sampled_from(STARTS), lives(backwards=False, erasures=False))
@THOROUGH
def test_to_forget_changes_nothing(policy: Policy, start: int, plan: list[Planned]) -> None:
    """With everything remembered for ever the outputs are the same, but for their numbers and for what they were made from."""

    def bare(record: dict[str, Any]) -> dict[str, Any]:
        return {
            key: bare(value) if key == "decision" else value for key, value in record.items() if key not in ("decision_id", "made_from")
        }

    signals, outputs = happen(policy, start, plan, steady=True)
    contact, remembered = None, list[Output]()
    with patch.object(ends, "forget", lambda contact, _: contact), patch.object(ends, "lasts", lambda *_: True):
        for signal in signals:
            contact, more, _ = on_signal(contact, signal, policy)
            remembered += more
    until = signals[-1].time
    assert [(o.at, bare(o.record)) for o in remembered] == [(o.at, bare(o.record)) for o in outputs if o.at <= until]
