"""`keepline pseudonym`, and `produce --pseudonymise` into a real topic: no id in clear, and everything still joins."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.tail import messages
from keepline.schemas.records import to_record
from tests.cli.conftest import Command, write_lines
from tests.schemas.event_files import write_avro, write_csv, write_parquet

KEY = "a secret of more than sixteen bytes"
TIME = 1_767_225_600_000
CUSTOMERS = ["4917012345-a", "customer/ü", "x" * 128]


def expected(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPLINE_PSEUDONYM_KEY", KEY)


@pytest.fixture
def topic(kafka: EmbeddedKafka) -> str:
    name = f"hidden-{uuid.uuid4().hex}"
    kafka.create_topics([name])
    return name


def sent(kafka: EmbeddedKafka, topic: str) -> list[Message]:
    return list(messages(topic, kafka.bootstrap_servers))


def nowhere(text: str, found: list[Message]) -> bool:
    """In no byte of a record: key, value, headers."""
    raw = [part for m in found for part in (m.key(), m.value(), *(value for _, value in m.headers() or ()))]
    return not any(text.encode() in part for part in raw)


def bills(customer: str) -> list[dict[str, Any]]:
    first = {"customer_id": customer, "event_time": TIME}
    return [
        {"type": "Bill", **first, "event_id": f"{customer}-b", "bill_id": f"{customer}/5", "amount": 9.5, "due_time": TIME, "currency": ""},
        {"type": "Payment", **first, "event_id": f"{customer}-p", "bill_id": f"{customer}/5", "amount": 9.5, "currency": ""},
    ]


def test_no_clear_id_in_the_topic_and_all_joins(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    by_type = [[bills(customer)[n] for customer in CUSTOMERS] for n in (0, 1)]
    write_lines(folder / "all.jsonl", [event for events in by_type for event in events])
    for kind, events in zip(("Bill", "Payment"), by_type, strict=True):
        write_csv(folder / f"{kind}.csv.gz", events)
        write_avro(folder / f"{kind}.avro", events)
        write_parquet(folder / f"{kind}.parquet", events)
    (folder / "Unlock.csv").write_text("customer_id,event_id,event_time,city\nabc,u,2026-01-01T00:00:00Z,Thessaloniki\n")
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text("".join(json.dumps({"who": c, "t": TIME, "where": "Thessaloniki"}) + "\n" for c in CUSTOMERS))
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "version: 1\nsources:\n  - files: ['foreign*']\n    events:\n      - type: Unlock\n        customer_id: who\n"
        "        event_id: {hash: [who, t]}\n        event_time: {path: t, format: epoch_ms}\n        city: where\n"
    )
    args = ["--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic, "--json", "--pseudonymise"]
    told = keepline("produce", "--events", folder, *args)
    assert (told.code, told.json) == (0, {"sent": 25, "rejected": 0})
    assert keepline("produce", "--events", foreign, "--mapping", rules, *args).json == {"sent": 3, "rejected": 0, "skipped": 0}

    found = sent(kafka, topic)
    records = [to_record(message.value()) for message in found]
    assert len(records) == 28
    for clear in [*CUSTOMERS, "abc", "hessaloniki"]:
        assert nowhere(clear, found), clear
    assert KEY not in told.out + told.err
    for message, (_, fields) in zip(found, records, strict=True):
        assert message.key() == fields["customer_id"].encode()
    for customer in CUSTOMERS:
        own = [(name, fields) for name, fields in records if fields["customer_id"] == expected(customer)]
        assert sorted(name for name, _ in own) == ["Bill"] * 4 + ["Payment"] * 4 + ["Unlock"]
        assert {fields["bill_id"] for name, fields in own if name != "Unlock"} == {expected(f"{customer}/5")}
        assert {fields["event_id"] for name, fields in own if name == "Bill"} == {expected(f"{customer}-b")}
    hashes = {fields["city_hash"] for name, fields in records if name == "Unlock"}
    assert hashes == {expected("city:thessaloniki")}
    assert keepline("pseudonym", *CUSTOMERS, "--city", "Thessaloniki").out.splitlines() == [*map(expected, CUSTOMERS), *hashes]


def test_what_cannot_be_hidden_is_not_sent(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    first = {"event_id": "e", "event_time": TIME}
    path = write_lines(tmp_path / "e.jsonl", [
        {"type": "Message", "customer_id": "", **first}, {"type": "Message", "customer_id": "y" * 129, **first},
        {"type": "PageView", "customer_id": "491701", "page": "/account/491701", **first}, {"type": "Message", "customer_id": "c", **first},
    ])  # fmt: skip
    told = keepline(
        "produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic, "--pseudonymise", "--strict"
    )
    assert (told.code, told.out) == (1, f"{topic}: 1 events sent, 3 lines rejected\n")
    assert [line.split(": ")[:2] for line in told.err.splitlines()] == [[f"e.jsonl:{n}", "INVALID_FIELD"] for n in (1, 2, 3)]
    assert "491701" not in told.err
    assert [message.key().decode() for message in sent(kafka, topic)] == [expected("c")]


def test_without_the_flag_all_is_as_it_was(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "e.jsonl", [{"type": "Unlock", "customer_id": "c", "event_id": "e", "event_time": TIME, "city": "Athens"}]
    )
    assert keepline("produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic).code == 0
    (message,) = sent(kafka, topic)
    fields = to_record(message.value())[1]
    assert (message.key(), fields["customer_id"], fields["event_id"], fields["city_hash"]) == (b"c", "c", "e", None)
    assert nowhere("Athens", [message])


def test_a_dry_run_shows_what_would_be_sent(keepline: Command, tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text(json.dumps({"who": "4917012345", "t": TIME, "page": "/p/4917012345"}) + "\n")
    rules = tmp_path / "rules.yaml"
    event = "        customer_id: who\n        event_id: {constant: e}\n        event_time: {path: t, format: epoch_ms}\n"
    rules.write_text(f"version: 1\nsources:\n  - files: ['*']\n    events:\n      - type: Message\n{event}")
    args = ["produce", "--mapping", rules, "--events", tmp_path / "v.jsonl", "--dry-run", "--json"]
    (sample,) = keepline(*args, "--pseudonymise").json[0]["samples"]
    assert sample["events"][0]["customer_id"] == expected("4917012345")
    assert keepline(*args).json[0]["samples"][0]["events"][0]["customer_id"] == "4917012345"
    rules.write_text(f"version: 1\nsources:\n  - files: ['*']\n    events:\n      - type: PageView\n{event}        page: page\n")
    (report,) = keepline(*args, "--pseudonymise").json
    assert report["rejected"] == {"INVALID_FIELD": 1}


def test_pseudonyms_of_standard_input(keepline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("c-1\nü x\r\nc-2"))
    told = keepline("pseudonym", "a", "-")
    assert told.out.splitlines() == [expected(text) for text in ("a", "c-1", "ü x", "c-2")]


def test_refused(keepline: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "whose pseudonym?" in keepline("pseudonym").err
    assert "an id of 0 bytes" in keepline("pseudonym", "").err
    path = write_lines(tmp_path / "e.jsonl", [])
    for key, words in (("short", "KEEPLINE_PSEUDONYM_KEY holds 5 bytes"), ("", "KEEPLINE_PSEUDONYM_KEY is not set")):
        monkeypatch.setenv("KEEPLINE_PSEUDONYM_KEY", key)
        for args in (["pseudonym", "c"], ["produce", "--events", path, "--bootstrap-servers", "127.0.0.1:1", "--pseudonymise"]):
            told = keepline(*args)
            assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
            assert words in told.err
            assert "short" not in told.err
