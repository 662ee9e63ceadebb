"""Kafka values to foreign records, and one packed record to the frames of the ingest job."""

from __future__ import annotations

import io
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.jobs.mapping.frames import DEAD_LETTERS, EVENTS, Ingest, RegistryMissingError
from keepline.jobs.mapping.load import Bundle
from keepline.jobs.mapping.readers import avro_reader, confluent_reader, read_json
from keepline.jobs.stack.registry import EmbeddedRegistry
from keepline.schemas.encode import Rejected
from keepline.schemas.framing import fingerprint, pack, pack_confluent
from keepline.schemas.packed import Frame, Record, frames, pack_record
from keepline.schemas.records import to_record
from keepline.schemas.registry import Registry, RegistryAwayError
from keepline.schemas.status import Reason
from tests.mapping.support import TIME

SCHEMA: dict[str, Any] = {
    "type": "record", "name": "Row", "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "fee", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
    ],
}  # fmt: skip
OTHER = SCHEMA | {"fields": [*SCHEMA["fields"], {"name": "more", "type": "string"}]}
ROW = {"at": datetime(2026, 1, 1, tzinfo=UTC), "fee": Decimal("12.30"), "kind": "B"}


def encoded(schema: dict[str, Any], row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def refused(found: Any) -> Reason:
    assert isinstance(found, Rejected), found
    return found.reason


def test_json() -> None:
    assert read_json('{"a": "ü"}'.encode()) == {"a": "ü"}
    for bad in (b"{", b"", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'{"a": 1} x', b"9" * 5000):
        assert refused(read_json(bad)) == Reason.MALFORMED


def test_avro_raw_and_single_object() -> None:
    read = avro_reader((SCHEMA, OTHER))
    more = ROW | {"more": "m"}
    assert read(encoded(SCHEMA, ROW)) == ROW
    assert read(pack(encoded(SCHEMA, ROW), fingerprint(SCHEMA))) == ROW
    assert read(pack(encoded(OTHER, more), fingerprint(OTHER))) == more
    assert refused(read(b"")) == Reason.MALFORMED
    assert refused(read(encoded(SCHEMA, ROW) + b"\0")) == Reason.MALFORMED
    assert refused(read(encoded(SCHEMA, ROW)[:-1])) == Reason.MALFORMED
    assert refused(read(pack(encoded(SCHEMA, ROW), b"\1" * 8))) == Reason.UNKNOWN_SCHEMA


def test_a_row_that_happens_to_begin_like_a_frame() -> None:
    schema = {"type": "record", "name": "Two", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "bytes"}]}
    value = encoded(schema, {"a": -98, "b": b"123456789"})
    assert value[:1] == b"\xc3"
    assert avro_reader((schema,))(value) == {"a": -98, "b": b"123456789"}


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_a_record_or_a_reason(value: bytes) -> None:
    for read in (read_json, avro_reader((SCHEMA,)), confluent_reader(_Nothing())):
        found = read(value)
        assert not isinstance(found, Rejected) or found.reason in {Reason.MALFORMED, Reason.UNKNOWN_SCHEMA}


class _Nothing:
    def schema(self, schema_id: int) -> None:
        return None


def test_a_registrys_schemas_are_asked_once() -> None:
    with EmbeddedRegistry() as server:
        number = server.register("cdr-value", SCHEMA)
        read = confluent_reader(Registry(server.url, unknown_ttl=30), pauses=())
        for _ in range(3):
            assert read(pack_confluent(encoded(SCHEMA, ROW), number)) == ROW
            assert refused(read(pack_confluent(b"x", 77))) == Reason.UNKNOWN_SCHEMA
        assert len(server.requests) == 2
        assert refused(read(b"{}")) == Reason.MALFORMED
        assert refused(read(pack_confluent(b"", number))) == Reason.MALFORMED


def test_a_registry_that_is_away_is_waited_for_and_then_an_error() -> None:
    with EmbeddedRegistry() as server:
        number = server.register("cdr-value", SCHEMA)
        server.stop()
        with pytest.raises(RegistryAwayError):
            confluent_reader(Registry(server.url), pauses=(0.01, 0.01))(pack_confluent(encoded(SCHEMA, ROW), number))
        registry = _Late(Registry(server.url), server)
        assert confluent_reader(registry, pauses=(0.01, 0.01, 0.01))(pack_confluent(encoded(SCHEMA, ROW), number)) == ROW
        assert registry.asked == 3


class _Late:
    """Starts the server before the third try."""

    def __init__(self, registry: Registry, server: EmbeddedRegistry) -> None:
        self._registry, self._server, self.asked = registry, server, 0

    def schema(self, schema_id: int) -> Any:
        self.asked += 1
        if self.asked == 3:
            self._server.start()
        return self._registry.schema(schema_id)


MAPPING = """
version: 1
sources:
  - topics: [other, cdr]
    format: json
    events:
      - type: Message
        when: {k: 1}
        customer_id: c
        event_id: {hash: [$topic, $partition, $offset]}
        event_time: {path: t, format: epoch_ms}
      - type: PageView
        when: {key: null, k: 1}
        customer_id: $key
        event_id: {path: $offset, prefix: p}
        event_time: {path: t, format: epoch_ms}
        page: {path: p, default: none}
"""


def through(value: bytes, key: bytes | None = b"k", **more: Any) -> list[Frame]:
    record = Record(key, value, 1, 2, 33, TIME + 9, **more)
    found = Ingest(Bundle("m.yaml", MAPPING), None).frames(pack_record(record))
    return [frame for one in found for frame in frames(one)]


def test_events_and_their_frames() -> None:
    first, second = through(json.dumps({"k": 1, "c": "ü", "t": TIME}).encode(), created_ms=5)
    assert (first.channel, first.key, first.as_of, first.created_ms) == (EVENTS, "ü".encode(), TIME, 5)
    assert to_record(first.value)[0] == "Message"
    assert to_record(second.value)[1]["event_id"] == "p33"
    assert second.key == b"k"
    assert [frame.created_ms for frame in through(json.dumps({"k": 1, "c": "c", "t": TIME}).encode())] == [TIME + 9] * 2
    assert through(b"") == through(b'{"k": 2}') == []


def test_dead_letters_hold_the_foreign_record() -> None:
    value = json.dumps({"k": 1, "c": "c", "t": "?"}).encode()
    (frame,) = through(value, b"\xff")
    name, letter = to_record(frame.value)
    assert (frame.channel, frame.key, name) == (DEAD_LETTERS, b"\xff", "DeadLetter")
    assert {part: letter[part] for part in ("topic", "partition", "offset", "timestamp", "key", "value", "reason")} == {
        "topic": "cdr", "partition": 2, "offset": 33, "timestamp": TIME + 9, "key": b"\xff", "value": value, "reason": "INVALID_FIELD",
    }  # fmt: skip
    assert letter["message"].startswith('m.yaml:7: Message.event_time from t is "?": expected a number of epoch_ms')
    (frame,) = through(b"x" * 300_000, None)
    letter = to_record(frame.value)[1]
    assert (frame.key, letter["reason"], letter["value_length"], len(letter["value"])) == (b"", "OVERSIZED", 300_000, 262_144)


def test_a_record_without_a_key() -> None:
    (frame,) = through(json.dumps({"k": 1, "c": "c", "t": TIME}).encode(), None)
    assert to_record(frame.value)[1]["message"].startswith("m.yaml:12: PageView.customer_id from $key is not there")


def test_avro_of_a_registry_needs_one() -> None:
    with pytest.raises(RegistryMissingError, match="expected --registry-url"):
        Ingest(Bundle("m.yaml", MAPPING.replace("json", "avro-confluent")), None)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(1) | st.just(TIME)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["k", "c", "t", "p"]), inner, max_size=4)


@given(st.recursive(SCALARS, _nested, max_leaves=12))
@settings(deadline=None)
def test_any_json_gives_frames(record: Any) -> None:
    """Whatever the record is: events that are sound, or one dead letter that says why."""
    value = json.dumps(record).encode()
    found = through(value, None)
    assert len({frame.channel for frame in found}) <= 1
    for frame in found:
        name, fields = to_record(frame.value)
        assert fields["value"] == value if name == "DeadLetter" else math.isfinite(fields["event_time"])


def test_the_bundle_is_all_that_travels(tmp_path: Path) -> None:
    import pickle

    from keepline.jobs.mapping.load import load, unpack

    (tmp_path / "row.avsc").write_text(json.dumps(SCHEMA))
    text = (
        MAPPING.replace("format: json", "format: avro\n    schema: row.avsc").replace("{k: 1}", "{kind: A}").replace(": c\n", ": kind\n", 1)
    )
    text = text[: text.index("      - type: PageView")].replace("{path: t, format: epoch_ms}", "at")
    (tmp_path / "m.yaml").write_text(text)
    bundle = pickle.loads(pickle.dumps(load(tmp_path / "m.yaml").bundle))
    (tmp_path / "row.avsc").unlink()
    assert unpack(bundle).sources[0].schemas == (SCHEMA,)
