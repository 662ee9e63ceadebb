"""What is wrong with a mapping file is said all at once, each with its line and column, what was expected and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepline.jobs.mapping.document import MappingError
from keepline.jobs.mapping.load import load
from tests.mapping.support import mapping

BASE = """\
version: 1
sources:
  - topics: [cdr]
    format: json
    events:
      - type: Call
        customer_id: sub
        event_id: id
        event_time: {path: start, format: epoch_s}
        duration_s: dur
"""
ERRORS = [
    # what is put in place of what, line:column, words
    ("version: 1", "version: 2", "1:10", "version is '2' (int): expected 1"),
    ("version: 1\n", "", "1:1", "version is missing: expected version: 1"),
    ("version: 1", "version: 1\nunmatched: drop", "2:12", "unmatched is 'drop': expected one of skip, reject"),
    ("version: 1", "version: 1\nversoin: 1", "2:1", "unknown key 'versoin' in the file; did you mean version?"),
    ("version: 1", "version: 1\nversion: 1", "2:1", "version comes twice in the file"),
    ("topics:", "topcis:", "3:5", "unknown key 'topcis' in a source; did you mean topics?"),
    ("topics: [cdr]\n    ", "", "3:5", "the source has no topics and no files"),
    ("[cdr]", "[cdr, cdr]", "3:19", "the topic cdr comes twice"),
    ("[cdr]", "[a b]", "3:14", "'a b' is no topic"),
    ("[cdr]", "[]", "3:13", "topics is an empty list"),
    ("format: json", "format: jsno", "4:13", "format is 'jsno': expected one of json, avro, avro-confluent; did you mean json?"),
    ("    format: json\n", "", "3:5", "the source has topics and no format"),
    ("format: json", "format: avro", "3:5", "format avro needs its schema"),
    ("format: json", "format: json\n    schema: x.avsc", "5:5", "schema goes with format: avro only"),
    ("format: json", "format: json\n    delimiter: ';;'", "5:16", "delimiter is ';;': expected one character"),
    ("type: Call", "type: Cal", "6:15", "type is 'Cal': expected one of Call, "),
    ("type: Call", "kind: Call", "6:9", "the event has no type"),
    ("        customer_id: sub\n", "", "6:15", "Call needs customer_id: expected customer_id: here, or in the source's fields:"),
    ("        duration_s: dur\n", "", "6:15", "Call needs duration_s"),
    ("duration_s:", "duration:", "10:9", "Call has no field 'duration'; did you mean duration_s?"),
    ("duration_s: dur", "duration_s: 60", "10:21", "expected a path; write {constant: …} for a value of its own"),
    ("duration_s: dur", "duration_s:", "10:9", "Call.duration_s is empty: expected a path"),
    ("duration_s: dur", "duration_s: [a]", "10:21", "Call.duration_s is a list: expected key: value lines"),
    ("duration_s: dur", "duration_s: a..b", "10:21", "'a..b' is not a path at '..b'"),
    ("duration_s: dur", "duration_s: {unit: ms}", "10:21", "no source: expected exactly one of path, sum, constant, hash"),
    ("duration_s: dur", "duration_s: {path: a, constant: 1}", "10:21", "has path and constant: expected exactly one"),
    ("duration_s: dur", "duration_s: {pth: a}", "10:22", "unknown key 'pth' in Call.duration_s; did you mean path?"),
    ("duration_s: dur", "duration_s: {path: dur, unit: sec}", "10:39", "unit of Call.duration_s is 'sec': expected one of ns, us, ms, s"),
    ("duration_s: dur", "duration_s: {path: dur, format: epoch_s}", "10:33", "format is for times, and Call.duration_s is none"),
    ("duration_s: dur", "duration_s: {path: dur, default: x}", "10:42", "default of Call.duration_s is 'x': expected a number"),
    ("duration_s: dur", "duration_s: {path: dur, default: -1}", "10:42",
     "default of Call.duration_s is '-1' (int): expected a number >= 0"),
    ("duration_s: dur", "duration_s: {path: dur, default: null}", "10:42", "is null: expected a value; the field cannot be null"),
    ("duration_s: dur", "duration_s: {path: dur, prefix: x}", "10:33", "prefix is for texts"),
    ("duration_s: dur", "duration_s: {hash: [a]}", "10:22", "hash makes a text, and Call.duration_s is none"),
    ("event_id: id", "event_id: {sum: [a, b]}", "8:20", "sum makes a number, and Call.event_id is none"),
    ("duration_s: dur", "duration_s: {path: a, unit: ms, values: {1: 2}}", "10:31", "unit does not go with values"),
    ("duration_s: dur", "duration_s: {constant: 1, unit: ms}", "10:35", "unit does not go with constant"),
    ("event_id: id", "event_id: {path: id, unit: ms}", "8:30", "Call.event_id has no unit"),
    ("event_id: id", "event_id: {hash: []}", "8:26", "hash is an empty list"),
    ("event_id: id", "event_id: {hash: [a], default: x}", "8:31", "default does not go with hash"),
    ("duration_s: dur", "duration_s: dur\n        outcome: {path: c, values: {16: COMPLTED}}", "11:41",
     "a value of Call.outcome is 'COMPLTED': expected one of COMPLETED, DROPPED, FAILED; did you mean COMPLETED?"),
    ("duration_s: dur", "duration_s: dur\n        outcome: {path: c, values: {16: DROPPED, 16: FAILED}}", "11:50", "16 comes twice"),
    ("duration_s: dur", "duration_s: dur\n        outcome: {path: c, values: {null: DROPPED}}", "11:37", "default: is for the others"),
    ("duration_s: dur", "duration_s: dur\n        outcome: {path: c, otherwise: NONE}", "11:39", "otherwise of Call.outcome is 'NONE'"),
    ("duration_s: dur", "duration_s: dur\n        direction: OUTGOING", "11:20", "write {constant: OUTGOING}"),
    ("duration_s: dur", "duration_s: dur\n        roaming: {constant: 'yes'}", "11:29", "Call.roaming is 'yes': expected true or false"),
    ("epoch_s", "epoch_sec", "9:43", "expected one of rfc3339, epoch_s, epoch_ms, epoch_us, epoch_ns, or a pattern"),
    ("epoch_s", "'%d.%m.%Y %H:%M'", "9:43", "gives local times: expected time_zone: beside it"),
    ("epoch_s", "'%d.%m.%Y %H:%M', time_zone: Europe/Berln", "9:72",
     "expected an IANA name such as Europe/Berlin; did you mean Europe/Berlin?"),
    ("epoch_s", "'%d.%m. %H:%M', time_zone: UTC", "9:43", "the pattern does not give day and hour"),
    ("epoch_s", "'%c', time_zone: UTC", "9:43", "%c is not read: expected %Y"),
    ("epoch_s", "epoch_s, time_zone: UTC", "9:52", "time_zone does not go with epoch_s"),
    ("epoch_s", "epoch_s, ambiguous: later", "9:52", "ambiguous goes with time_zone only"),
    ("epoch_s", "'%Y%m%d%H', time_zone: UTC, ambiguous: both", "9:82", "ambiguous of Call.event_time is 'both'"),
    ("type: Call", "type: Call\n        when: MOC", "7:15", "when is 'MOC': expected path: value lines"),
    ("type: Call", "type: Call\n        when: {a: {over: 1}}", "7:20", "unknown key 'over' in when"),
    ("type: Call", "type: Call\n        when: {a: {above: x}}", "7:27", "above is 'x': expected a number"),
    ("type: Call", "type: Call\n        when: {a: {exists: 1}}", "7:28", "exists is '1' (int): expected true or false"),
    ("type: Call", "type: Call\n        when: {a: []}", "7:19", "when is an empty list"),
    ("type: Call", "type: Call\n        when: {a..b: 1}", "7:16", "'a..b' is not a path"),
    ("type: Call", "type: Call\n        when: {a: {starts_with: ''}}", "7:33", "starts_with has an empty text"),
    ("format: json", "format: json\n    fields: {plan: p}", "5:14", "none of the source's events has the field plan"),
    ("format: json", "format: json\n    fields: {durations: p}", "5:14", "unknown key 'durations' in fields; did you mean duration_s?"),
    ("- type: Call", "- <<: {a: b}\n        type: Call", "6:9", "<< is not merged here"),
    ("    events:", "    events: []\n    fields:", "5:13", "events is a list: expected a list (lines with -) of at least one"),
    ("[cdr]", "[cdr", "4:11", "not YAML: while parsing a flow sequence"),
    ("  - topics", "\t- topics", "3:1", "not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "words"), ERRORS, ids=[f"{place} {words[:40]}" for _, _, place, words in ERRORS])
def test_one_error(old: str, new: str, place: str, words: str) -> None:
    assert BASE.count(old) >= 1
    with pytest.raises(MappingError) as error:
        mapping(BASE.replace(old, new, 1))
    lines = str(error.value).splitlines()
    assert any(line.startswith(f"m.yaml:{place}: ") and words in line for line in lines), str(error.value)


def test_the_base_is_sound() -> None:
    assert mapping(BASE).topics == ("cdr",)


def test_all_errors_at_once_in_the_order_of_the_file() -> None:
    text = BASE.replace("format: json", "format: jsn").replace("type: Call", "type: Call\n        outcoem: x").replace("id\n", "a..b\n", 1)
    with pytest.raises(MappingError) as error:
        mapping(text.replace("duration_s: dur", "duration_s: {path: dur, unit: sec}"))
    assert [line.split(" ")[0] for line in str(error.value).splitlines()] == [
        "m.yaml:4:13:",
        "m.yaml:7:9:",
        "m.yaml:9:19:",
        "m.yaml:11:39:",
    ]


def test_no_mapping() -> None:
    for text, words in (("", "m.yaml:1:1: the file is empty"), ("- a", "the file is a list"), ("x" * (2 << 20), "expected at most")):
        with pytest.raises(MappingError, match=words):
            mapping(text)


SCHEMA = {
    "type": "record", "name": "cdr", "fields": [
        {"name": "sub", "type": {"type": "record", "name": "Sub", "fields": [{"name": "msisdn", "type": "string"}]}},
        {"name": "peer", "type": ["null", "Sub"]},
        {"name": "start", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "legs", "type": {"type": "array", "items": {"type": "record", "name": "Leg", "fields": [{"name": "secs",
     "type": "int"}]}}},
    ],
}  # fmt: skip
AVRO = """\
version: 1
sources:
  - topics: [cdr]
    format: avro
    schema: cdr.avsc
    events:
      - type: Call
        customer_id: sub.msisdn
        event_id: {hash: [peer.msisdn, tags.any, start]}
        event_time: start
        duration_s: "legs[0].secs"
      - type: Call
        each: legs
        customer_id: $record.sub.msisdn
        event_id: $offset
        event_time: $record.start
        duration_s: secs
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("sub.msisdn", "sub.msisdnn", "8:22", "the schema has no 'msisdnn' there; did you mean msisdn?; expected one of msisdn"),
        ("sub.msisdn", "sub.msisdn.x", "8:22", "the schema has nothing below 'x'"),
        ("peer.msisdn", "peer.nr", "9:27", "the schema has no 'nr' there"),
        ("legs[0].secs", "legs.secs", "11:21", "the schema has nothing below 'secs'"),
        ("event_time: $record.start", "event_time: $record.strat", "16:21", "did you mean start?"),
        ("duration_s: secs", "duration_s: start", "17:21", "the schema has no 'start' there; expected one of secs"),
        ("each: legs", "each: sub", "13:15", "'sub' is no list by the schema"),
        ("event_time: start", "event_time: start\n        when: {kind: 1}", "11:16", "the schema has no 'kind' there"),
        ("schema: cdr.avsc", "schema: none.avsc", "5:13", "none.avsc cannot be read"),
        ("schema: cdr.avsc", "schema: bad.avsc", "5:13", "bad.avsc is no Avro schema"),
    ],
)
def test_paths_are_checked_against_the_schema(tmp_path: Path, old: str, new: str, place: str, words: str) -> None:
    (tmp_path / "cdr.avsc").write_text(json.dumps(SCHEMA))
    (tmp_path / "bad.avsc").write_text('{"type": "record", "name": "x", "fields": [{"name": "y", "type": "nothing"}]}')
    file = tmp_path / "m.yaml"
    file.write_text(AVRO)
    assert load(file).bundle.schemas == {"cdr.avsc": json.dumps(SCHEMA)}
    file.write_text(AVRO.replace(old, new, 1))
    with pytest.raises(MappingError) as error:
        load(file)
    assert any(line.startswith(f"{file}:{place}: ") and words in line for line in str(error.value).splitlines()), str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="the mapping cannot be read: No such file or directory; check --mapping"):
        load(tmp_path / "m.yaml")
    (tmp_path / "m.yaml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(MappingError, match="it is not UTF-8"):
        load(tmp_path / "m.yaml")
