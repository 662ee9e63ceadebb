"""A customer's timeline for people: events, scores, decisions, timers, in local time, with the place of what was expected.

    2026-03-01 09:00  event         Call DROPPED, duration_s 60
                      score         0.82 HIGH, dropped_calls_7d
                      intervention  network_apology by PUSH, trigger at_risk
                      decision      EMITTED AT_RISK network_apology
►   2026-03-01 09:00  expected      an intervention, kind extra_data, at 2026-03-01 09:00
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from keepline.jobs.journey.customer import Customer
from keepline.jobs.journey.run import Entry
from keepline.jobs.journey.scores import DIAL, MODEL_ID
from keepline.jobs.journey.times import shown
from keepline.schemas.catalog import event_type
from keepline.schemas.durations import shown as duration

MOST_LINES = 100
"""Of a longer timeline the end is shown."""
LONGEST_CONTRACT = 1200
"""Of more months it is the dial of the journey's model."""
TREMBLE = 0.005
"""A score that moved by less since the last one shown is not shown."""


class Mark(NamedTuple):
    """What was expected, and when; None: at no certain time."""

    expected: str
    at: int | None


def timeline(customer: Customer, mark: Mark | None = None) -> list[str]:
    """The lines, with a heading."""
    zone, run = customer.zone, customer.world.run
    now = customer.world.begun(customer)
    lines: list[tuple[int, bool, str, str]] = []
    for entry, text in _told([each for each in run.entries if each.customer == customer.customer_id], zone):
        if mark and mark.at is not None and entry.at > mark.at:
            lines.append((mark.at, True, "expected", mark.expected))
            mark = None
        lines.append((entry.at, False, entry.kind, text))
    if mark and mark.at is not None:
        lines.append((mark.at, True, "expected", mark.expected))
    wake = run.next_wake(customer.customer_id)
    lines.append((now, False, "now", f"next timer {shown(wake, zone)}" if wake else "no timer is set"))
    if mark and mark.at is None:
        lines.append((now, True, "expected", mark.expected))
    return [f"{customer.customer_id}, local time in {zone.key}", *_written(lines, zone)]


def _written(lines: list[tuple[int, bool, str, str]], zone: ZoneInfo) -> Iterator[str]:
    if len(lines) > MOST_LINES:
        yield f"    … {len(lines) - MOST_LINES} earlier lines"
        lines = lines[-MOST_LINES:]
    moments = [shown(at, zone) for at, _, _, _ in lines]
    width = max(map(len, moments))
    before = ""
    for (_, marked, kind, text), at in zip(lines, moments, strict=True):
        yield f"{'►' if marked else ' '}   {(at if at != before or marked else '').ljust(width)}  {kind.ljust(12)}  {text}".rstrip()
        before = "" if marked else at


def _told(entries: list[Entry], zone: ZoneInfo) -> Iterator[tuple[Entry, str]]:
    """The entries that are worth a line, each with its words."""
    last: Mapping[str, Any] = {"value": -1.0, "band": ""}
    for entry in entries:
        if entry.kind == "score":
            if entry.record["band"] == last["band"] and abs(entry.record["value"] - last["value"]) < TREMBLE:
                continue
            last = entry.record
        yield entry, words(entry, zone)


def words(entry: Entry, zone: ZoneInfo) -> str:
    """One entry in words."""
    record = entry.record
    match entry.kind:
        case "event":
            return entry.note or _event(record, zone)
        case "timer":
            return "the policy is woken"
        case "score":
            reasons = [each["feature"] for each in record["reasons"] if each["contribution"] > 0]
            reasons = [each for each in reasons if each != DIAL or record["model_id"] != MODEL_ID]
            return ", ".join([f"{record['value']:.2f} {record['band']}{'' if record['event_id'] else ' (tick)'}", *reasons])
        case "intervention":
            after = f", after {brief(record['escalation_of'])}" if record["escalation_of"] else ""
            return f"{record['kind']} by {record['channel']}, trigger {record['trigger']}{after} ({brief(record['intervention_id'])})"
        case "decision":
            return _decision(record, zone)
        case "outcome":
            names = " ".join(each["outcome"] for each in record["outcomes"])
            return " ".join(filter(None, [record["status"], record["label"] or "", record["kind"], f"({names or 'no outcome'})"]))
        case "receipt":
            return f"{record['request_id']}: {', '.join(f'{name} {count}' for name, count in sorted(record['counts'].items()))}"
        case _:
            return "too old for the features: more than 90 days behind"


def _decision(record: Mapping[str, Any], zone: ZoneInfo) -> str:
    made: dict[str, Any] = json.loads(record["made_from"] or "{}")
    more = []
    if record["hold_until"]:
        more.append(f"until {shown(record['hold_until'], zone)}")
    if "cooldown_until" in made:
        more.append(f"until {shown(made['cooldown_until'], zone)}")
    if "held_until" in made:
        more.append(f"held until {shown(made['held_until'], zone)}")
    if "cap" in made:
        cap = made["cap"]
        more.append(f"at most {cap['most']} in {duration(cap['per_ms'])}{' by ' + cap['channel'] if cap['channel'] else ''}")
    if "budget" in made:
        more.append(f"campaign {made['budget']['campaign']} has had {made['budget']['granted']}")
    if record["arm"] == "CONTROL":
        more.append("control group")
    what = " ".join(filter(None, [record["result"], record["reason"], record["kind"]]))
    return ", ".join([f"{what}, trigger {record['trigger']}" if record["reason"] != record["trigger"].upper() else what, *more])


def _event(event: Mapping[str, Any], zone: ZoneInfo) -> str:
    """Type, symbols, and what differs from the schema's defaults."""
    kind = event_type(str(event["type"]))
    symbols, others = [], []
    for field in kind.fields[3:]:
        value = event.get(field.name, field.default)
        if value is None or value == field.default or field.name not in event or (field.name == DIAL and abs(value) > LONGEST_CONTRACT):
            continue
        if field.symbols:
            symbols.append(str(value))
        elif field.time:
            others.append(f"{field.name} {shown(value, zone)}")
        elif field.kind == "boolean":
            others.append(field.name if value else f"not {field.name}")
        else:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            others.append(f"{field.name} {brief(text)}")
    return ", ".join([" ".join([kind.name, *symbols]), *others])


def brief(text: str) -> str:
    """An id's first eight digits; other text as it is."""
    return text[:8] if len(text) == 32 and not set(text) - set("0123456789abcdef") else text
