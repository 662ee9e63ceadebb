"""Every rule of a mapping as a line: what is written, a record, what becomes of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from keepline.jobs.mapping.paths import Origin, PathError, parse
from keepline.schemas.encode import Rejected
from keepline.schemas.status import Reason
from keepline.schemas.times import from_rfc3339
from tests.mapping.support import ORIGIN, RECORD, TIME, events, field, of_events

D = "duration_s: "
FIELDS: list[tuple[str, dict[str, Any], dict[str, Any] | str]] = [
    # paths
    (D + "d", {"d": 61.5}, {"duration_s": 61.5}),
    (D + "a.b.c", {"a": {"b": {"c": 1}}}, {"duration_s": 1.0}),
    (D + "a[1].c", {"a": [0, {"c": 2}]}, {"duration_s": 2.0}),
    (D + "a[-1]", {"a": [1, 2, 3]}, {"duration_s": 3.0}),
    (D + '{path: "a[\\"x.y\\"]"}', {"a": {"x.y": 4}}, {"duration_s": 4.0}),
    (D + "{path: [neu, alt]}", {"alt": 5}, {"duration_s": 5.0}),
    (D + "{path: [neu, alt]}", {"neu": 6, "alt": 5}, {"duration_s": 6.0}),
    (D + "{path: [neu, alt]}", {"neu": None, "alt": 5}, {"duration_s": 5.0}),
    (D + "$record.d", {"d": 7}, {"duration_s": 7.0}),
    # absent, null, defaults
    (D + "d", {}, "Call.duration_s from d is not there, and the field has no default"),
    (D + "d", {"d": None}, "Call.duration_s from d is not there"),
    (D + "a.b", {"a": 3}, "is not there"),
    (D + "a[4]", {"a": [1]}, "is not there"),
    (D + "{path: d, default: 9}", {}, {"duration_s": 9.0}),
    (D + "{path: d, default: 9}", {"d": None}, {"duration_s": 9.0}),
    (D + "{path: d, default: 9}", {"d": "x"}, 'is "x": expected a finite number'),
    (D + "{path: d, otherwise: 9}", {"d": "x"}, {"duration_s": 9.0}),
    (D + "{path: d, otherwise: 9}", {}, "is not there"),
    (D + "1\nroaming: r".replace("1", "d"), {"d": 1}, {"roaming": False}),  # the canonical default
    # constants
    (D + "{constant: 60}", {}, {"duration_s": 60.0}),
    (D + "d\ndirection: {constant: INCOMING}", {"d": 1}, {"direction": "INCOMING"}),
    (D + "d\nroaming: {constant: true}", {"d": 1}, {"roaming": True}),
    # numbers and units
    (D + "d", {"d": "61.5"}, {"duration_s": 61.5}),
    (D + "d", {"d": Decimal("61.5")}, {"duration_s": 61.5}),
    (D + "d", {"d": True}, "is true: expected a finite number"),
    (D + "d", {"d": "12,5"}, 'is "12,5": expected a finite number, or its text with a decimal point'),
    (D + "d", {"d": float("inf")}, "expected a finite number"),
    (D + "d", {"d": -1}, "is -1: expected a number >= 0"),
    (D + "d", {"d": [1]}, "is [1]: expected a finite number"),
    (D + "{path: d, unit: ms}", {"d": 61_500}, {"duration_s": 61.5}),
    (D + "{path: d, unit: us}", {"d": 61_500_000}, {"duration_s": 61.5}),
    (D + "{path: d, unit: min}", {"d": "2"}, {"duration_s": 120.0}),
    (D + "{path: d, unit: h}", {"d": 0.5}, {"duration_s": 1800.0}),
    # sums
    (D + "{sum: [a, b], unit: ms}", {"a": 1000, "b": "500"}, {"duration_s": 1.5}),
    (D + "{sum: [a, b]}", {"a": 1000}, {"duration_s": 1000.0}),
    (D + "{sum: [a, b]}", {"a": Decimal("1.5"), "b": 1}, {"duration_s": 2.5}),
    (D + "{sum: [a, b]}", {"a": 1, "b": "x"}, 'Call.duration_s from a, b is "x": expected a finite number'),
    (D + "{sum: [a, b]}", {}, "Call.duration_s from a, b is not there"),
    (D + "{sum: [a, b], default: 0}", {}, {"duration_s": 0.0}),
    # values
    (D + "d\noutcome: {path: cause, values: {16: COMPLETED, '31': DROPPED}}", {"d": 1, "cause": 16}, {"outcome": "COMPLETED"}),
    (D + "d\noutcome: {path: cause, values: {16: COMPLETED, '31': DROPPED}}", {"d": 1, "cause": "31"}, {"outcome": "DROPPED"}),
    (D + "d\noutcome: {path: cause, values: {16: COMPLETED}}", {"d": 1, "cause": 17}, "Call.outcome from cause is 17: expected one of 16"),
    (D + "d\noutcome: {path: cause, values: {16: COMPLETED}, otherwise: FAILED}", {"d": 1, "cause": 17}, {"outcome": "FAILED"}),
    (D + "d\noutcome: {path: cause, values: {16: COMPLETED}, otherwise: FAILED}", {"d": 1}, {"outcome": "COMPLETED"}),
    (D + "d\noutcome: {path: cause, values: {16: COMPLETED}, default: DROPPED}", {"d": 1}, {"outcome": "DROPPED"}),
    (D + "d\noutcome: {path: cause, values: {0016: FAILED, 16: DROPPED}}", {"d": 1, "cause": "0016"}, {"outcome": "FAILED"}),
    (D + "d\noutcome: {path: cause, values: {16: FAILED}}", {"d": 1, "cause": 16.0}, {"outcome": "FAILED"}),
    (D + "d\nroaming: {path: r, values: {'1': true, '0': false, true: true}}", {"d": 1, "r": "1"}, {"roaming": True}),
    (D + "d\nroaming: {path: r, values: {'1': true, '0': false, true: true}}", {"d": 1, "r": True}, {"roaming": True}),
    (D + "d\nroaming: r", {"d": 1, "r": "TRUE"}, {"roaming": True}),
    (D + "d\nroaming: r", {"d": 1, "r": 1}, "is 1: expected true or false"),
    (D + "d\noutcome: cause", {"d": 1, "cause": "DROPPED"}, {"outcome": "DROPPED"}),
    (D + "d\noutcome: cause", {"d": 1, "cause": "dropped"}, 'is "dropped": expected one of COMPLETED, DROPPED, FAILED'),
]


@pytest.mark.parametrize(("lines", "more", "wanted"), FIELDS, ids=[f"{lines} {more}".replace("\n", "; ") for lines, more, _ in FIELDS])
def test_a_field(lines: str, more: dict[str, Any], wanted: dict[str, Any] | str) -> None:
    check(events(field(lines), RECORD | more), wanted)


def check(found: list[dict[str, Any]] | Rejected, wanted: dict[str, Any] | str) -> None:
    if isinstance(wanted, str):
        assert isinstance(found, Rejected), found
        assert wanted in found.message
        assert found.message.startswith("m.yaml:")
        return
    assert not isinstance(found, Rejected), found
    ((event),) = found
    assert {name: event[name] for name in wanted} == wanted


OTHERS = [
    ("DataSession", "megabytes: {path: b, unit: bytes}", {"b": 1_500_000}, {"megabytes": 1.5}),
    ("DataSession", "megabytes: {path: b, unit: KiB}", {"b": 1000}, {"megabytes": 1.024}),
    ("DataSession", "megabytes: {path: b, unit: GB}", {"b": "2.5"}, {"megabytes": 2500.0}),
    ("DataSession", "megabytes: b\nnetwork: {path: rat, values: {6: G4, 10: G5}, otherwise: UNKNOWN}",
     {"b": 1, "rat": 10}, {"network": "G5"}),
    ("Bill", "bill_id: n\namount: {path: a, unit: cents}\ndue_time: {path: d, format: '%Y-%m-%d %H', time_zone: UTC}",
     {"n": 4711, "a": 9250, "d": "2026-02-01 00"}, {"bill_id": "4711", "amount": 92.5, "due_time": from_rfc3339("2026-02-01T00:00:00Z")}),
    ("Payment", "amount: a\nbill_id: n", {"a": "12.30"}, {"amount": 12.3, "bill_id": None}),
    ("Payment", "amount: a\nbill_id: {path: n, prefix: b-}", {"a": 1, "n": 7}, {"bill_id": "b-7"}),
    ("Subscription", "plan: p\nstarted_time: $timestamp\nmonthly_charge: m\ncontract_months: {path: y, unit: years}",
     {"p": "x", "m": 1, "y": 2}, "is 1767225600005: expected a time in RFC 3339 with its zone"),
    ("Subscription",
     "started_time: {path: $timestamp, format: epoch_ms}\nplan: p\nmonthly_charge: m\ncontract_months: {path: y, unit: years}",
     {"p": "x", "m": 1, "y": 2}, {"contract_months": 24, "started_time": TIME + 5}),
    ("Subscription", "plan: p\nstarted_time: {constant: '2024-01-01T00:00:00Z'}\nmonthly_charge: m\ncontract_months: y",
     {"p": "x", "m": 1, "y": 2.5}, "expected a whole number"),
    ("Unlock", "battery_percent: {path: b, unit: fraction}", {"b": 0.5}, {"battery_percent": 50}),
    ("Unlock", "utc_offset_minutes: {path: o, unit: h}", {"o": -3.5}, {"utc_offset_minutes": -210}),
    ("SupportContact", "resolved: r", {"r": False}, {"resolved": False}),
    ("SupportContact", "resolved: {path: r, values: {open: null, done: true}}", {"r": "open"}, {"resolved": None}),
    ("PageView", "page: p", {"p": "nul \0"}, "expected 0 to"),
    ("PageView", "page: p", {"p": "\ud800"}, "text that UTF-8 can carry"),
    ("PageView", "page: p", {"p": 1.5}, "is 1.5: expected a text or a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "lines", "more", "wanted"), OTHERS)
def test_other_types(type_: str, lines: str, more: dict[str, Any], wanted: dict[str, Any] | str) -> None:
    check(events(field(lines, type_), RECORD | more), wanted)


TIMES: list[tuple[str, Any, str]] = [
    ("t", "2026-03-01T12:30:00.250+01:00", "2026-03-01T11:30:00.250Z"),
    ("{path: t, format: rfc3339}", "2026-03-01T12:30:00Z", "2026-03-01T12:30:00Z"),
    ("{path: t, format: epoch_s}", 1_772_368_200, "2026-03-01T12:30:00Z"),
    ("{path: t, format: epoch_s}", "1772368200", "2026-03-01T12:30:00Z"),
    ("{path: t, format: epoch_s}", 1_772_368_200.1, "2026-03-01T12:30:00.100Z"),
    ("{path: t, format: epoch_ms}", 1_772_368_200_250, "2026-03-01T12:30:00.250Z"),
    ("{path: t, format: epoch_us}", 1_772_368_200_250_999, "2026-03-01T12:30:00.250Z"),
    ("{path: t, format: epoch_ns}", 1_772_368_200_250_999_999, "2026-03-01T12:30:00.250Z"),
    ("{path: t, format: '%d.%m.%Y %H:%M:%S', time_zone: Europe/Berlin}", "01.03.2026 13:30:00", "2026-03-01T12:30:00Z"),
    ("{path: t, format: '%Y%m%d%H%M%S', time_zone: UTC}", 20260301123000, "2026-03-01T12:30:00Z"),
    ("{path: t, format: '%Y-%m-%dT%H:%M:%S%z'}", "2026-03-01T12:30:00+0200", "2026-03-01T10:30:00Z"),
    ("{path: t, format: '%d %b %y %I:%M %p', time_zone: America/New_York}", "01 Mar 26 07:30 AM", "2026-03-01T12:30:00Z"),
    # clocks are set back: 02:30 comes twice
    ("{path: t, format: '%Y-%m-%d %H:%M', time_zone: Europe/Berlin}", "2025-10-26 02:30", "2025-10-26T00:30:00Z"),
    ("{path: t, format: '%Y-%m-%d %H:%M', time_zone: Europe/Berlin, ambiguous: later}", "2025-10-26 02:30", "2025-10-26T01:30:00Z"),
    ("{path: t, format: '%Y-%m-%d %H:%M', time_zone: Europe/Berlin, ambiguous: later}", "2025-10-26 03:30", "2025-10-26T02:30:00Z"),
    ("{path: t, format: '%Y-%m-%d %H:%M', time_zone: Europe/Berlin, ambiguous: reject}", "2025-10-26 02:30", "!Europe/Berlin has once"),
    ("{path: t, format: '%Y-%m-%d %H:%M', time_zone: Europe/Berlin}", "2026-03-29 02:30", "!the clocks were set forward over it"),
    ("{path: t, format: '%Y-%m-%d %H:%M', time_zone: Europe/Berlin}", "2026-03-29", "!expected a time as %Y-%m-%d %H:%M"),
    # Avro and Parquet
    ("t", datetime(2026, 3, 1, 12, 30, 0, 250_000, UTC), "2026-03-01T12:30:00.250Z"),
    ("{path: t, time_zone: Europe/Berlin}", datetime(2026, 3, 1, 13, 30), "2026-03-01T12:30:00Z"),  # noqa: DTZ001
    ("{path: t, time_zone: Europe/Berlin}", date(2026, 3, 1), "2026-02-28T23:00:00Z"),
    ("t", date(2026, 3, 1), "!give time_zone: for local times and dates"),
    # what is none
    ("t", 1_772_368_200, "!for a number give format: epoch_s or epoch_ms"),
    ("t", "01.03.2026", "!for another form give format:"),
    ("{path: t, format: epoch_s}", "soon", "!expected a number of epoch_s"),
    ("{path: t, format: epoch_s}", True, "!expected a number of epoch_s"),
    ("{path: t, format: epoch_s}", 1e300, "!a number of epoch_s that is a time"),
]


@pytest.mark.parametrize(("written", "value", "wanted"), TIMES)
def test_a_time(written: str, value: Any, wanted: str) -> None:
    found = of_events(f"- {{type: Message, customer_id: c, event_id: id, event_time: {written}}}")
    told = events(found, RECORD | {"t": value})
    if wanted.startswith("!"):
        assert isinstance(told, Rejected), told
        assert (told.reason, wanted[1:] in told.message) == (Reason.INVALID_FIELD, True), told.message
    else:
        assert not isinstance(told, Rejected), told
        assert told[0]["event_time"] == from_rfc3339(wanted)


def test_event_times_out_of_bounds() -> None:
    found = of_events("- {type: Message, customer_id: c, event_id: id, event_time: {path: t, format: epoch_ms}}")
    told = events(found, RECORD | {"t": 1_772_368_200})
    assert isinstance(told, Rejected)
    assert told.reason == Reason.OUT_OF_BOUNDS_TIME
    assert "Message.event_time is 1970-01-21T12:19:28.200Z" in told.message
    assert told.customer_id == "c1"


WHENS: list[tuple[str, dict[str, Any], bool]] = [
    ("{k: MOC}", {"k": "MOC"}, True),
    ("{k: MOC}", {"k": "MTC"}, False),
    ("{k: MOC}", {}, False),
    ("{k: [MOC, MTC]}", {"k": "MTC"}, True),
    ("{k: 1}", {"k": "1"}, True),
    ("{k: 1}", {"k": 1.0}, True),
    ("{k: true}", {"k": True}, True),
    ("{k: true}", {"k": "true"}, True),
    ("{k: null}", {"k": None}, True),
    ("{k: null}", {}, True),
    ("{k: null}", {"k": 0}, False),
    ("{k: {is: MOC}}", {"k": "MOC"}, True),
    ("{k: {not: MOC}}", {"k": "MTC"}, True),
    ("{k: {not: [MOC, null]}}", {}, False),
    ("{k: {not: MOC}}", {}, True),
    ("{k: {above: 0}}", {"k": 1}, True),
    ("{k: {above: 0}}", {"k": "0.5"}, True),
    ("{k: {above: 0}}", {"k": 0}, False),
    ("{k: {above: 0}}", {}, False),
    ("{k: {above: 0}}", {"k": "x"}, False),
    ("{k: {at_least: 0, below: 5}}", {"k": 0}, True),
    ("{k: {at_least: 0, below: 5}}", {"k": 5}, False),
    ("{k: {at_most: 5}}", {"k": 5}, True),
    ("{k: {exists: true}}", {"k": 0}, True),
    ("{k: {exists: true}}", {"k": None}, False),
    ("{k: {exists: false}}", {}, True),
    ("{k: {starts_with: '49'}}", {"k": 4917}, True),
    ("{k: {starts_with: ['49', '+49']}}", {"k": "+4917"}, True),
    ("{k: {starts_with: '49'}}", {"k": "0049"}, False),
    ("{k: A, l: B}", {"k": "A", "l": "B"}, True),
    ("{k: A, l: B}", {"k": "A", "l": "C"}, False),
    ("[{k: A}, {l: B}]", {"k": "X", "l": "B"}, True),
    ("[{k: A}, {l: B}]", {"k": "X", "l": "X"}, False),
    ('{"a.b[0]": A}', {"a": {"b": ["A"]}}, True),
    ("{$topic: cdr}", {}, True),
    ("{k: {is: [A]}}", {"k": ["A"]}, False),
    ("{k: null}", {"k": ["A"]}, False),
    ("{k: {not: null}}", {"k": {}}, True),
]


@pytest.mark.parametrize(("written", "more", "taken"), WHENS)
def test_when(written: str, more: dict[str, Any], taken: bool) -> None:
    found = of_events(f"- {{type: Message, when: {written}, customer_id: c, event_id: id, event_time: {{path: t, format: epoch_ms}}}}")
    told = events(found, RECORD | more)
    assert not isinstance(told, Rejected)
    assert bool(told) == taken


BATCH = """
- type: Call
  each: legs
  when: {kind: voice}
  customer_id: $record.sub
  event_id: {hash: [$record.id, start]}
  event_time: {path: start, format: epoch_s}
  duration_s: secs
- type: Bill
  when: {fee: {above: 0}}
  customer_id: sub
  event_id: {path: id, prefix: fee-}
  event_time: {path: at, format: epoch_s}
  bill_id: id
  amount: fee
  due_time: {path: at, format: epoch_s}
"""


def test_one_record_gives_several_events() -> None:
    legs = [{"kind": "voice", "start": 1_772_368_200 + i, "secs": i} for i in range(3)] + [{"kind": "sms"}]
    told = events(of_events(BATCH), {"sub": "s", "id": "i", "at": 1_772_368_200, "fee": 2, "legs": legs})
    assert not isinstance(told, Rejected)
    assert [(event["type"], event["customer_id"]) for event in told] == [("Call", "s")] * 3 + [("Bill", "s")]
    assert [event["duration_s"] for event in told[:3]] == [0.0, 1.0, 2.0]
    assert len({event["event_id"] for event in told}) == 4
    assert told[3]["event_id"] == "fee-i"
    assert events(of_events(BATCH), {"sub": "s", "id": "i"}) == []
    assert events(of_events(BATCH), {"sub": "s", "id": "i", "legs": []}) == []


def test_a_record_is_taken_whole_or_not_at_all() -> None:
    legs = [{"kind": "voice", "start": 1_772_368_200, "secs": 1}, {"kind": "voice", "start": 1_772_368_201, "secs": "?"}]
    told = events(of_events(BATCH), {"sub": "s", "id": "i", "legs": legs})
    assert isinstance(told, Rejected)
    assert told.message.startswith('m.yaml:7: Call.duration_s from secs is "?": expected a finite number')
    told = events(of_events(BATCH), {"sub": "s", "id": "i", "legs": {"no": "list"}})
    assert isinstance(told, Rejected)
    assert 'legs is {"no": "list"}: expected a list' in told.message


def test_two_events_of_a_record_need_two_ids() -> None:
    text = """
    - {type: Message, customer_id: c, event_id: id, event_time: {path: t, format: epoch_ms}}
    - {type: Message, customer_id: %s, event_id: id, event_time: {path: t, format: epoch_ms}}
    """
    told = events(of_events(text % "c"), RECORD)
    assert isinstance(told, Rejected)
    assert "two events of the record have the event_id 'e1': expected an id each; give one of them a prefix" in told.message
    assert len(events(of_events(text % "d"), RECORD | {"d": "other"})) == 2


def test_hashes_are_stable_and_tell_records_apart() -> None:
    def ids(record: dict[str, Any], origin: Origin = ORIGIN, paths: str = "[a, b.c]", type_: str = "Message") -> str:
        found = of_events(f"- {{type: {type_}, customer_id: c, event_id: {{hash: {paths}}}, event_time: {{path: t, format: epoch_ms}}}}")
        told = events(found, RECORD | record, origin)
        assert not isinstance(told, Rejected), told
        return str(told[0]["event_id"])

    one = ids({"a": 1, "b": {"c": "x"}})
    # Pinned: ids of records that were read before must stay.
    assert one == ids({"a": "1", "b": {"c": "x"}, "more": 1}) == "baf29003576068d3dad9a983b5b20f20"
    assert len({one, ids({"a": 1}), ids({"a": 1, "b": {"c": "y"}}), ids({"a": "1x"}), ids({"a": 1, "b": {"c": "x"}}, type_="Unlock")}) == 5
    place = "[$topic, $partition, $offset]"
    assert ids({}, ORIGIN, place) != ids({}, ORIGIN._replace(offset=78), place)
    found = of_events("- {type: Message, customer_id: c, event_id: {hash: [a, b]}, event_time: {path: t, format: epoch_ms}}")
    told = events(found, RECORD)
    assert isinstance(told, Rejected)
    assert "none of a, b is there" in told.message


def test_where_a_record_came_from() -> None:
    text = "- {type: PageView, customer_id: $key, event_id: $offset, event_time: {path: $timestamp, format: epoch_ms}, page: $topic}"
    told = events(of_events(text), {})
    assert not isinstance(told, Rejected)
    wanted = {"customer_id": "49-key", "event_id": "77", "event_time": TIME + 5, "page": "cdr"}
    assert {name: told[0][name] for name in wanted} == wanted


def test_ids() -> None:
    for value, wanted in ((49_170, "49170"), (UUID(int=1), str(UUID(int=1))), ("ü" * 64, "ü" * 64)):
        told = events(field(D + "{constant: 1}"), RECORD | {"c": value})
        assert not isinstance(told, Rejected)
        assert told[0]["customer_id"] == wanted
    for bad in ("", "ü" * 65, 1.5, True, ["x"]):
        assert isinstance(events(field(D + "{constant: 1}"), RECORD | {"c": bad}), Rejected), bad


def test_records_that_are_no_objects() -> None:
    for record in ([], "x", 3, None):
        told = events(field(D + "{constant: 1}"), record)
        assert isinstance(told, Rejected)
        assert told.reason == Reason.MALFORMED


def test_unmatched_records_are_skipped_or_rejected() -> None:
    text = "- {type: Message, when: {k: 1}, customer_id: c, event_id: id, event_time: {path: t, format: epoch_ms}}"
    assert events(of_events(text), RECORD) == []
    from tests.mapping.support import HEAD, mapping

    strict = mapping(HEAD.replace("version: 1", "version: 1\nunmatched: reject") + "      " + text)
    told = events(strict, RECORD)
    assert isinstance(told, Rejected)
    assert "no event of the mapping takes the record" in told.message


def test_shared_fields_are_of_the_whole_record() -> None:
    from tests.mapping.support import mapping

    found = mapping("""
version: 1
sources:
  - topics: [cdr]
    format: json
    fields:
      customer_id: c
      event_time: {path: t, format: epoch_ms}
      event_id: id
      duration_s: {constant: 3}
    events:
      - {type: Call, each: legs, event_id: id}
      - {type: Message, when: {legs: null}, customer_id: other}
""")
    told = events(found, RECORD | {"legs": [{"id": "l1", "c": "not this"}, {"id": "l2"}]})
    assert not isinstance(told, Rejected)
    assert [(one["customer_id"], one["event_id"], one["duration_s"]) for one in told] == [("c1", "l1", 3.0), ("c1", "l2", 3.0)]
    told = events(found, RECORD | {"other": "o"})
    assert not isinstance(told, Rejected)
    assert [(one["type"], one["customer_id"]) for one in told] == [("Message", "o")]


@pytest.mark.parametrize(
    "text", ["", ".a", "a.", "a..b", "a[", "a[x]", "a[0]b", "$nothing", "$topic.x", "$record", "$record.", '["a', "'a'"]
)
def test_no_paths(text: str) -> None:
    if text == "":
        assert parse(text).steps == ()
        return
    with pytest.raises(PathError):
        parse(text)
