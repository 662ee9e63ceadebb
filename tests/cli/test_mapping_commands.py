"""`mapping check`, `produce --mapping` and the dry runs, on a real broker."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import jsonschema
import pytest
from confluent_kafka import Producer
from ruamel.yaml import YAML

from keepline.jobs.mapping.editors import json_schema
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.tail import records
from tests.cli.conftest import Command

EXAMPLE = ROOT / "docs" / "examples" / "mapping"


@pytest.fixture
def topic(kafka: EmbeddedKafka) -> str:
    name = f"mapping-{uuid.uuid4().hex}"
    kafka.create_topics([name], partitions=2)
    return name


def test_check(keepline: Command, tmp_path: Path) -> None:
    good = keepline("mapping", "check", EXAMPLE / "cdr.yaml")
    assert (good.code, good.out.splitlines()[-1], good.err) == (0, f"{EXAMPLE}/cdr.yaml: sound", "")
    bad = tmp_path / "m.yaml"
    bad.write_text((EXAMPLE / "cdr.yaml").read_text().replace("unit: ms", "unit: sec").replace("MO}", "MO"))
    found = keepline("mapping", "check", bad)
    assert (found.code, found.out) == (2, "")
    assert "m.yaml:2" in found.err
    assert "not YAML" in found.err


def test_the_schema_for_editors_takes_the_example_and_no_slip(keepline: Command) -> None:
    schema = keepline("mapping", "schema").json
    assert schema == json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    text = (EXAMPLE / "cdr.yaml").read_text()
    yaml = YAML(typ="safe", pure=True)
    checker.validate(_plain(yaml.load(text)))
    for old, new in (
        ("unit: ms", "unit: sec"),
        ("type: Message", "type: Mesage"),
        ("OUTGOING", "OUT"),
        ("above: 0", "over: 0"),
        ("hash:", "hsh:"),
    ):
        assert not checker.is_valid(_plain(yaml.load(text.replace(old, new)))), new


def _plain(value: object) -> object:
    """As JSON has it: keys are texts."""
    return json.loads(json.dumps(value))


def test_produce_maps_files(keepline: Command, kafka: EmbeddedKafka, topic: str) -> None:
    args = ["produce", "--mapping", EXAMPLE / "cdr.yaml", "--events", EXAMPLE, "--topic", topic]
    result = keepline(*args, "--bootstrap-servers", kafka.bootstrap_servers, "--json")
    assert (result.code, result.json) == (0, {"sent": 8, "rejected": 1, "skipped": 2})
    assert result.err.startswith(f"voice.jsonl:5: INVALID_FIELD: {EXAMPLE}/cdr.yaml:14: Call.event_time from start is")
    found = list(records(topic, kafka.bootstrap_servers))
    assert sorted(event["type"] for event in found) == ["Bill"] * 2 + ["Call"] * 2 + ["DataSession"] * 2 + ["Message", "Payment"]
    result = keepline(*args, "--bootstrap-servers", kafka.bootstrap_servers, "--strict")
    assert (result.code, result.out) == (1, f"{topic}: 8 events sent, 1 lines rejected, 2 records skipped\n")


def test_a_dry_run_of_files_sends_nothing(keepline: Command) -> None:
    args = ["produce", "--mapping", EXAMPLE / "cdr.yaml", "--events", EXAMPLE, "--dry-run", "--bootstrap-servers", "127.0.0.1:1"]
    shown = keepline(*args)
    assert shown.code == 0
    assert "voice.jsonl: 5 records read; events: 2 Call, 1 Message; skipped: 1; rejected: 1 INVALID_FIELD" in shown.out
    told = {report["name"]: report for report in keepline(*args, "--json", "--samples", 2).json}
    assert {name: report["read"] for name, report in told.items()} == {"voice.jsonl": 2, "sessions.csv": 2, "invoices.jsonl": 2}
    assert told["sessions.csv"]["events"] == {"DataSession": 1}
    assert told["sessions.csv"]["samples"][0]["events"][0]["megabytes"] == 2.5
    assert told["voice.jsonl"]["paths_never_there"] == [f"{EXAMPLE}/cdr.yaml:21: when: direction"]
    wrong = keepline("produce", "--events", EXAMPLE, "--dry-run")
    assert (wrong.code, "give --mapping" in wrong.err) == (2, True)


def test_a_dry_run_of_topics(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "session.avsc", tmp_path)
    text = (EXAMPLE / "cdr.yaml").read_text().replace("cdr.voice", topic)
    file = tmp_path / "cdr.yaml"
    file.write_text(text[: text.index("  # Data sessions")])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    lines = (EXAMPLE / "voice.jsonl").read_bytes().splitlines()
    for number, line in enumerate([b"not json", *lines]):
        producer.produce(topic, line, f"k{number}", partition=number % 2, timestamp=1_772_000_000_000 + number)
    producer.flush(30)
    args = ["run", "ingest", "--mapping", file, "--bootstrap-servers", kafka.bootstrap_servers, "--dry-run"]
    (report,) = keepline(*args, "--json").json
    assert (report["read"], report["events"], report["skipped"]) == (6, {"Call": 2, "Message": 1}, 1)
    assert report["rejected"] == {"MALFORMED": 1, "INVALID_FIELD": 1}
    assert [(one["partition"], one["offset"]) for one in report["samples"]] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert report["samples"][0]["record"] == "not json"
    (newest,) = keepline(*args, "--json", "--samples", 2).json
    assert [one["record"]["record_id"] for one in newest["samples"]] == ["v-4", "v-5"]
    (oldest,) = keepline(*args, "--json", "--samples", 2, "--oldest").json
    assert [(one["partition"], one["offset"]) for one in oldest["samples"]] == [(0, 0), (1, 0)]
    shown = keepline(*args).out
    assert f"{topic}: 6 records read; events: 2 Call, 1 Message; skipped: 1; rejected: 1 MALFORMED, 1 INVALID_FIELD" in shown
    away = keepline("run", "ingest", "--mapping", file, "--bootstrap-servers", "127.0.0.1:1", "--dry-run")
    assert (away.code, "Kafka at 127.0.0.1:1" in away.err) == (2, True)
