"""Pseudonyms: exact values, the same in every format, every other field as it was, and nothing in clear."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keepline.jobs.mapping.files import read_mapped
from keepline.jobs.pseudonyms import LEAST_CLEAR, NAMES, PseudonymError, Pseudonyms, load
from keepline.jobs.references import SecretError
from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.encode import Ok, Rejected, encode, varint
from keepline.schemas.errors import FileError
from keepline.schemas.files import lines, read_events
from keepline.schemas.records import to_record
from tests.mapping.support import TIME, mapping
from tests.schemas.event_files import some, write_avro, write_csv, write_foreign_avro, write_json, write_parquet

KEY = b"0123456789abcdef-a key of ours"
NAME = re.compile("[0-9a-f]{32}")


def expected(text: str, key: bytes = KEY) -> str:
    """RFC 2104, spelled out."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + text.encode()).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()[:16].hex()


@pytest.fixture
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(KEY)


def hidden(found: Pseudonyms, event: dict[str, Any]) -> Ok | Rejected:
    made = encode(event)
    assert isinstance(made, Ok), made
    return found.event(made)


def test_values(pseudonyms: Pseudonyms) -> None:
    for text in ("c-1", "4917012345", "ü漢", "x" * 128):
        assert pseudonyms.customer(text) == expected(text) == hmac.new(KEY, text.encode(), "sha256").hexdigest()[:32]
    assert Pseudonyms(KEY + b"!").customer("c-1") == expected("c-1", KEY + b"!") != expected("c-1")
    assert pseudonyms.city("Athens") == expected("city:athens") != pseudonyms.customer("Athens")
    same = {pseudonyms.city(name) for name in ("São Paulo", " sa\u0303o  PAULO\n", "SÃO PAULO")}
    assert same == {expected("city:são paulo")}
    assert pseudonyms.city("straße") == pseudonyms.city("STRASSE")


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.name)
def test_the_names_change_and_nothing_else(pseudonyms: Pseudonyms, kind: Any) -> None:
    dice = random.Random(kind.id)
    for event in some(dice, kind, 60):
        event["customer_id"] = f"customer {dice.randrange(5)}"
        event["event_id"] = dice.choice([f"{event['customer_id']}/{dice.random()}", "", "x" * 300])
        made = encode(event)
        assert isinstance(made, Ok)
        found = pseudonyms.event(made)
        assert isinstance(found, Ok)
        name, fields = to_record(found.value)
        before = to_record(made.value)[1]
        assert name == kind.name
        assert fields == before | {each: expected(before[each]) for each in NAMES if before.get(each) is not None}
        assert (found.type_id, found.event_time, found.customer_id) == (made.type_id, made.event_time, expected(event["customer_id"]))
        assert event["customer_id"].encode() not in found.value


def test_which_fields_are_names() -> None:
    """A field that is added to a schema shows here: is it an id made of the customer's?"""
    ids = {f"{kind.name}.{field.name}" for kind in EVENT_TYPES for field in kind.fields[2:] if field.name.endswith("_id")}
    replaced = {"Bill.bill_id", "Payment.bill_id", "Purchase.order_id"}
    assert ids == replaced | {"PromotionResponse.promotion_id", "Erasure.request_id", "Outcome.intervention_id"}


def test_an_id_in_clear_elsewhere_is_rejected(pseudonyms: Pseudonyms) -> None:
    view = {"type": "PageView", "customer_id": "491701", "event_id": "e", "event_time": TIME, "page": "/account/491701/bill"}
    found = hidden(pseudonyms, view)
    assert isinstance(found, Rejected)
    assert found.message == (
        "PageView.customer_id stands in another field of the event too, where it would be sent in clear: leave it out there"
    )
    assert isinstance(hidden(pseudonyms, view | {"page": "/account"}), Ok)
    assert len("/bill") < LEAST_CLEAR
    assert isinstance(hidden(pseudonyms, view | {"customer_id": "/bill"}), Ok), "so short an id stands anywhere by chance"


@pytest.mark.parametrize("wrong", [b"", b"x" * 129, b"a\0b", b"\xff\xfe"])
def test_what_is_no_id_gets_no_pseudonym(pseudonyms: Pseudonyms, wrong: bytes) -> None:
    """It would be one by then, and all of them one customer."""
    whole = encode({"type": "Message", "customer_id": "c", "event_id": "e", "event_time": TIME})
    assert isinstance(whole, Ok)
    bad = whole._replace(value=whole.value[:10] + varint(len(wrong)) + wrong + whole.value[12:])
    found = pseudonyms.event(bad)
    assert isinstance(found, Rejected)
    assert (found.reason.name, found.field, found.customer_id) == ("INVALID_FIELD", "customer_id", "")
    assert pseudonyms.events([whole, bad]) == found
    if b"x" not in wrong:
        with pytest.raises(PseudonymError):
            pseudonyms.customer(wrong.decode(errors="surrogateescape"))


def test_every_format_has_the_same_pseudonyms(pseudonyms: Pseudonyms, tmp_path: Path) -> None:
    events = some(random.Random(3), next(kind for kind in EVENT_TYPES if kind.name == "Payment"), 200, whole=True)
    events = [event | {"currency": "", "bill_id": event["bill_id"] or None} for event in events]
    writers: list[tuple[str, Callable[[Path, Any], Path]]] = [
        ("Payment.jsonl", write_json), ("Payment.csv.gz", write_csv), ("Payment.avro", write_avro),
        ("Payment.1.avro", write_foreign_avro), ("Payment.parquet", write_parquet),
    ]  # fmt: skip
    told = []
    for name, write in writers:
        found = [pseudonyms.event(line.event) for line in lines_of(write(tmp_path / name, events))]
        assert all(isinstance(event, Ok) for event in found)
        told.append(found)
    assert all(found == told[0] for found in told)
    assert [event.customer_id for event in told[0] if isinstance(event, Ok)] == [expected(event["customer_id"]) for event in events]


def lines_of(path: Path, **options: Any) -> list[Any]:
    return list(read_events([path], **options))


CITIES = ["Athens", " ATHENS ", "", None, "Thessaloníki", "Athens"]
GIVEN = [None, None, None, None, None, "given"]
HASHES = [expected("city:athens")] * 2 + [None] * 2 + [expected("city:thessaloníki"), "given"]


def unlocks(kind: str = "Unlock") -> list[dict[str, Any]]:
    more = {"app": "maps"} if kind == "AppOpen" else {}
    return [
        {"customer_id": "c", "event_id": f"e{n}", "event_time": TIME + n, "city": city, "city_hash": given, **more}
        for n, (city, given) in enumerate(zip(CITIES, GIVEN, strict=True))
    ]


def hashes(path: Path, **options: Any) -> list[str | None]:
    return [to_record(line.event.value)[1]["city_hash"] for line in lines_of(path, **options)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(rows[0])
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        text = [",".join(names), *(",".join("" if row[name] is None else str(row[name]) for name in names) for row in rows)]
        path.write_text("\n".join(text) + "\n", encoding="utf-8")
    elif path.suffix == ".avro":
        kinds = [{"name": n, "type": ["null", "long" if n == "event_time" else "string"]} for n in names]
        with path.open("wb") as file:
            fastavro.writer(file, {"type": "record", "name": path.name.split(".")[0], "fields": kinds}, rows)
    else:
        table = pa.Table.from_pylist(rows)
        if "dictionary" in path.name:
            table = table.set_column(names.index("city"), "city", table["city"].combine_chunks().dictionary_encode())
        elif "binary" in path.name:
            for name in ("city", "city_hash"):
                table = table.set_column(table.schema.names.index(name), name, table[name].cast(pa.binary()))
        pq.write_table(table, path)
    return path


@pytest.mark.parametrize("kind", ["Unlock", "AppOpen"])
@pytest.mark.parametrize("name", ["jsonl", "csv", "avro", "parquet", "dictionary.parquet", "binary.parquet"])
def test_cities_of_every_format(pseudonyms: Pseudonyms, tmp_path: Path, kind: str, name: str) -> None:
    path = write(tmp_path / f"{kind}.{name}", unlocks(kind))
    assert hashes(path, type_name=kind, city=pseudonyms.city) == HASHES
    assert hashes(path, type_name=kind) == GIVEN, "without pseudonyms a city is an unknown field"
    alone = write(
        tmp_path / f"{kind}.alone.{name.rpartition('.')[2]}", [{n: v for n, v in row.items() if n != "city_hash"} for row in unlocks(kind)]
    )
    assert hashes(alone, type_name=kind, city=pseudonyms.city) == [*HASHES[:5], HASHES[0]]
    assert hashes(alone, type_name=kind) == [None] * 6


def test_an_event_without_a_hash_has_no_city(pseudonyms: Pseudonyms, tmp_path: Path) -> None:
    for name in ("jsonl", "csv", "avro", "parquet"):
        path = write(tmp_path / f"Message.{name}", [row | {"city": 5 if name == "jsonl" else "Athens"} for row in unlocks()])
        found = lines_of(path, type_name="Message", city=pseudonyms.city)
        assert [line.event.value for line in found] == [line.event.value for line in lines_of(path, type_name="Message")]


def test_what_is_no_city(pseudonyms: Pseudonyms, tmp_path: Path) -> None:
    path = tmp_path / "Unlock.jsonl"
    path.write_bytes(
        b"".join(json.dumps(row | {"city": city}).encode() + b"\n" for row, city in zip(unlocks(), [5, "\ud800", []], strict=False))
    )
    for line in lines_of(path, type_name="Unlock", city=pseudonyms.city):
        assert isinstance(line.event, Rejected)
        assert line.event.message.startswith("Unlock.city_hash is ")
    table = pa.Table.from_pylist([{name: value for name, value in unlocks()[0].items() if name != "city"}])
    pq.write_table(table.append_column("city", pa.array([7])), tmp_path / "Unlock.parquet")
    with pytest.raises(FileError, match="the column city is int64: expected text"):
        lines_of(tmp_path / "Unlock.parquet", city=pseudonyms.city)
    pq.write_table(table.append_column("city", pa.array([b"\xff"])), tmp_path / "Unlock.parquet")
    with pytest.raises(FileError, match="is not text in UTF-8"):
        lines_of(tmp_path / "Unlock.parquet", city=pseudonyms.city)


MAPPING = """
version: 1
sources:
  - files: ["*"]
    fields:
      customer_id: who
      event_id: {hash: [who, t]}
      event_time: {path: t, format: epoch_ms}
      city: where.city
    events:
      - {type: Unlock}
      - {type: AppOpen, event_id: {hash: [who, t]}, app: {constant: maps}, city: other}
      - {type: Message}
"""


def test_cities_of_a_mapping(pseudonyms: Pseudonyms, tmp_path: Path) -> None:
    path = tmp_path / "foreign.jsonl"
    path.write_text(json.dumps({"who": "c", "t": TIME, "where": {"city": "Athens"}, "other": None}) + "\n")
    found, counts = mapping(MAPPING), 0
    for city, wanted in ((None, None), (pseudonyms.city, expected("city:athens"))):
        for line in lines(read_mapped([path], found, city=city)):
            assert isinstance(line.event, Ok), line
            name, fields = to_record(line.event.value)
            assert fields.get("city_hash") == (wanted if name == "Unlock" else None)
            assert b"thens" not in line.event.value
            counts += 1
    assert counts == 6


def test_the_key(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_bytes(KEY + b"\n")
    for given in ({"KEEPLINE_PSEUDONYM_KEY": KEY.decode()}, {"KEEPLINE_PSEUDONYM_KEY": f"${{file:{secret}}}"},
                  {"KEEPLINE_PSEUDONYM_KEY": "${env:OTHER}", "OTHER": KEY.decode()}):  # fmt: skip
        assert load(given).customer("c-1") == expected("c-1")
    for given in ({}, {"KEEPLINE_PSEUDONYM_KEY": ""}):
        with pytest.raises(PseudonymError, match="KEEPLINE_PSEUDONYM_KEY is not set: expected a secret of at least 16 bytes"):
            load(given)
    with pytest.raises(PseudonymError, match="holds 15 bytes: expected at least 16") as short:
        load({"KEEPLINE_PSEUDONYM_KEY": "s3cret-s3cret-s"})
    assert "s3cret" not in str(short.value)
    assert Pseudonyms(b"x" * 16).customer("c")
    with pytest.raises(SecretError, match=r"KEEPLINE_PSEUDONYM_KEY: .*cannot be read"):
        load({"KEEPLINE_PSEUDONYM_KEY": f"${{file:{tmp_path}/none}}"})
    assert "0123456789abcdef" not in repr(Pseudonyms(KEY))
    assert NAME.fullmatch(Pseudonyms(KEY).customer("c"))
