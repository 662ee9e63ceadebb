"""`keepline export`: all of one customer and nothing of another, from every store, in a file that nobody else may read."""

from __future__ import annotations

import base64
import io
import json
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer
from redis import Redis

from keepline.jobs.outcome_tables import of_records
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.operators.spec import CHANNELS, NEXT_APP_CHANNELS
from keepline.schemas.framing import fingerprint, pack
from keepline.schemas.history import released
from keepline.schemas.records import RecordError, from_record, to_record, without_logical_types
from tests.cli.conftest import Command
from tests.cli.test_rebuild_view import intervention, score
from tests.jobs.labelled import labelled, late

WHO = "ex-a"
TIME = 1_767_225_600_000
NOW = time.time_ns() // 1_000_000


def decision(customer: str, at: int = 7) -> dict[str, Any]:
    return {
        "decision_id": f"d{at}", "intervention_id": None, "customer_id": customer, "result": "SUPPRESSED", "reason": "CAP",
        "arm": "TREATMENT", "kind": "k", "decided_at": at, "hold_until": None, "policy_version": 1, "model_version": 1, "trigger": "t",
        "policy": "p", "made_from": "{}",
    }  # fmt: skip


def call_of(customer: str) -> bytes:
    """A Call as it comes in."""
    fields = {"customer_id": customer, "event_id": "e1", "event_time": TIME, "direction": "OUTGOING", "duration_s": 2.5}
    return from_record("Call", fields | {"outcome": "COMPLETED", "roaming": False})


def dead(key: bytes, value: bytes) -> bytes:
    record = {
        "topic": "telemetry", "partition": 0, "offset": 5, "timestamp": 1, "key": key, "value": value, "value_length": len(value),
        "value_sha256": b"\1" * 32, "reason": "KEY_MISMATCH", "message": "m",
    }  # fmt: skip
    return from_record("DeadLetter", record)


def late_event(customer: str) -> bytes:
    record = {
        "topic": "telemetry", "partition": 0, "offset": 5, "timestamp": 1, "key": customer.encode(), "value": call_of(customer),
        "customer_id": customer, "event_time": TIME, "newest_time": TIME + 9, "behind_ms": 9,
    }  # fmt: skip
    return from_record("LateEvent", record)


def of_version_1(record: dict[str, Any]) -> bytes:
    """An Intervention as Keepline 0.1.0 wrote it."""
    schema = released("Intervention")[0]
    stream = io.BytesIO()
    known = {field["name"] for field in schema["fields"]}
    fastavro.schemaless_writer(
        stream, fastavro.parse_schema(without_logical_types(schema)), {name: record[name] for name in record if name in known}
    )
    return pack(stream.getvalue(), fingerprint(schema))


@pytest.fixture
def redis(redis_server: EmbeddedRedis) -> Iterator[Redis]:
    client = Redis.from_url(redis_server.url, decode_responses=True)
    yield client
    for key in client.scan_iter("keepline:*ex-*"):
        client.delete(key)


@pytest.fixture(scope="module")
def topics(kafka: EmbeddedKafka) -> str:
    """Every output topic, with records of two customers and of one whose id begins with the other's."""
    kafka.create_topics(["export.scores"], 2, {"cleanup.policy": "compact"})
    kafka.create_topics(["export.decisions"], 2, {"retention.ms": "86400000"})
    kafka.create_topics(
        [f"export.{name}" for name in CHANNELS if name not in ("scores", "decisions", "erasure-receipts")], 2
    )  # receipts are not read
    producer = Producer({**kafka.admin, "transactional.id": "export-test"})
    producer.init_transactions(30)
    for committed in (True, False):
        producer.begin_transaction()
        for customer in (WHO, f"{WHO}|churn", "ex-b"):
            if not committed and customer == "ex-b":
                continue
            producer.produce("export.scores", from_record("Score", score(customer, 10, 0.5)), f"{customer}|churn|CHAMPION")
            producer.produce("export.interventions", of_version_1(intervention(customer, 5)), customer)
            producer.produce("export.interventions", from_record("Intervention", intervention(customer, 6)), customer)
            producer.produce("export.decisions", from_record("Decision", decision(customer)), customer, timestamp=NOW)
            producer.produce("export.labelled-outcomes", from_record("LabelledOutcome", labelled(customer)), customer)
            producer.produce("export.late-events", late_event(customer), customer)
            producer.produce("export.dead-letters", dead(customer.encode(), b"\xff" + customer.encode()), customer)
        if committed:
            producer.produce("export.scores", None, f"{WHO}|churn|CHAMPION")
            producer.produce("export.dead-letters", dead(b"", call_of(WHO)))  # no key, the value names the customer
            producer.produce("export.dead-letters", dead(b"ex-b", call_of(WHO)), "ex-b")  # another's key
            producer.produce("export.dead-letters", b"no record " + WHO.encode(), "ex-b")
            producer.produce("export.decisions", b"no record", WHO)
        assert producer.flush(30) == 0
        producer.commit_transaction(30) if committed else producer.abort_transaction(30)
    return "export"


def words(kafka: EmbeddedKafka, redis_url: str, prefix: str) -> tuple[str, ...]:
    return ("--bootstrap-servers", kafka.bootstrap_servers, "--redis-url", redis_url, "--output-prefix", prefix)


def test_all_of_one_customer(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, redis: Redis, topics: str, keepline: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "outcomes"
    folder.mkdir()
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps(each) + "\n" for each in (labelled(WHO, "d-1"), labelled("ex-b", "d-2"), late(labelled(WHO, "d-1"), "ACCEPTED")))
    )
    assert keepline("outcomes", "export", "--from", tmp_path / "rows.jsonl", "--out", folder).code == 0
    redis.hset(
        f"keepline:score:{WHO}:churn",
        mapping={"as_of": 1, "sequence": 2, "customer_id": WHO, "value": "1.0E-5", "reasons": '[{"value":1.0}]'},
    )
    redis.hset(f"keepline:decision:{WHO}", mapping={"as_of": 1, "sequence": 2, "customer_id": WHO, "made_from": "{}"})
    redis.expire(f"keepline:decision:{WHO}", 1000)
    redis.hset("keepline:score:ex-b:churn", mapping={"as_of": 1, "sequence": 2})

    out = tmp_path / "mine.json"
    out.write_text("older")
    out.chmod(0o644)
    told = keepline("export", WHO, "--out", out, *words(kafka, redis_server.url, topics), "--outcomes", folder, "--json")
    assert told.code == 0, told.err
    assert told.json["stores"] == {
        "Redis view": 2, "Kafka topic export.scores": 2, "Kafka topic export.interventions": 2, "Kafka topic export.decisions": 2,
        "Kafka topic export.dead-letters": 3, "Kafka topic export.late-events": 1, "Kafka topic export.labelled-outcomes": 1,
        "Exported outcomes": 1,
    }  # fmt: skip
    assert told.json["found"] == 14
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert sorted(tmp_path.glob(".*")) == [], "nothing unfinished is left"

    found = json.loads(out.read_text(encoding="utf-8"))
    stores = {each["store"].rpartition(".")[2]: each for each in found["stores"]}
    assert (found["customer_id"], found["found"]) == (WHO, 14)
    # Only a dead letter may name another: one under another's key, whose value is this customer's.
    others = json.dumps([each for each in found["stores"] if each["store"] != "Kafka topic export.dead-letters"])
    assert "ex-b" not in others
    assert f"{WHO}|churn|churn" not in json.dumps(found["stores"])

    view = {each["key"]: each for each in stores["Redis view"]["records"]}
    assert view[f"keepline:score:{WHO}:churn"]["record"] | {"sequence": 2} == {
        "as_of": 1, "sequence": 2, "customer_id": WHO, "value": 1e-5, "reasons": [{"value": 1.0}],
    }  # fmt: skip
    assert view[f"keepline:score:{WHO}:churn"]["kept"] == "for ever"
    left = re.fullmatch(r"for (\d+) s from now", view[f"keepline:decision:{WHO}"]["kept"])
    assert left
    assert 900 < int(left[1]) <= 1000

    first, tombstone = sorted(stores["scores"]["records"], key=lambda each: each["offset"])
    assert first["record"] == score(WHO, 10, 0.5)
    assert (tombstone["tombstone"], tombstone["key"]) == (True, f"{WHO}|churn|CHAMPION")
    assert stores["scores"]["kept"] == "the newest record of a key without end, older ones until the topic is compacted"
    assert stores["interventions"]["kept"] == "without end"
    assert stores["decisions"]["kept"] == "for 1d by Kafka's time"
    new = {"trigger": "", "escalation_of": None}
    assert [each["record"] for each in stores["interventions"]["records"]] == [intervention(WHO, 5) | new, intervention(WHO, 6) | new]
    whole, broken = sorted(stores["decisions"]["records"], key=lambda each: "unreadable" in each)
    assert (whole["record"], whole["timestamp"]) == (decision(WHO), NOW)
    assert base64.b64decode(broken["value"]) == b"no record"
    assert stores["labelled-outcomes"]["records"][0]["record"] == labelled(WHO)
    (came_late,) = stores["late-events"]["records"]
    assert (came_late["event"]["type"], came_late["event"]["duration_s"]) == ("Call", 2.5)
    letters = stores["dead-letters"]["records"]
    assert sorted(base64.b64decode(each["record"]["key"]) for each in letters) == [b"", WHO.encode(), b"ex-b"]
    assert [each["event"]["customer_id"] for each in letters if "event" in each] == [WHO, WHO]
    (row,) = stores["Exported outcomes"]["records"]
    assert (row["row"]["decision_id"], row["row"]["decided_at"]) == ("d-1", labelled(WHO)["decided_at"])
    assert [(each["outcome"], each["late"]) for each in row["row"]["outcomes"]] == [("ACCEPTED", True)]
    elsewhere = {each["store"] for each in found["not_in_this_file"]}
    assert "Kafka topics telemetry" in elsewhere
    assert "Exported outcomes" not in elsewhere
    assert any("Flink's state" in each for each in elsewhere)


def test_nothing_of_who_is_not_known(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, topics: str, keepline: Command, tmp_path: Path
) -> None:
    told = keepline("export", "ex-", "--out", tmp_path / "none.json", *words(kafka, redis_server.url, topics))
    assert (told.code, told.out) == (1, f"{tmp_path / 'none.json'}: 0 records of ex-\n")
    assert "not in it: Flink's state" in told.err
    found = json.loads((tmp_path / "none.json").read_text())
    assert found["found"] == 0
    assert "Exported outcomes" in {each["store"] for each in found["not_in_this_file"]}


def test_a_store_that_cannot_be_read_leaves_no_file(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, topics: str, keepline: Command, tmp_path: Path
) -> None:
    out = tmp_path / "part.json"
    broken = tmp_path / "rows.parquet"
    broken.write_bytes(b"PAR1 no")
    for flags, part in (
        (words(kafka, redis_server.url, "no-such-prefix"), "no-such-prefix.scores"),
        (words(kafka, "redis://localhost:1/0", topics), "check --redis-url"),
        ((*words(kafka, redis_server.url, topics), "--outcomes", tmp_path / "none"), "check --outcomes"),
        ((*words(kafka, redis_server.url, topics), "--outcomes", broken), "the customer may be in it"),
    ):
        told = keepline("export", WHO, "--out", out, *flags)
        assert told.code == 2, flags
        assert part in told.err
        assert not out.exists()
    told = keepline("export", WHO, "--out", tmp_path / "no" / "such.json", *words(kafka, redis_server.url, topics))
    assert "no/such.json: cannot be written: No such file or directory" in told.err


def test_foreign_outcome_files_are_looked_through(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, topics: str, keepline: Command, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    deep = tmp_path / "o" / "a" / "b"
    deep.mkdir(parents=True)
    pq.write_table(pa.table({"customer_id": [7, 8], "x": [b"\xff", None]}), deep / "numbers.parquet")
    pq.write_table(pa.table({"customer": ["7"]}), deep / "others.parquet")
    pq.write_table(of_records([labelled("7")]), tmp_path / "o" / "rows.parquet")
    keepline("export", "7", "--out", tmp_path / "7.json", *words(kafka, redis_server.url, topics), "--outcomes", tmp_path / "o")
    found = json.loads((tmp_path / "7.json").read_text())
    (section,) = [each for each in found["stores"] if each["store"] == "Exported outcomes"]
    assert [(Path(each["file"]).name, each["row"]["customer_id"]) for each in section["records"]] == [
        ("numbers.parquet", 7),
        ("rows.parquet", "7"),
    ]
    assert section["records"][0]["row"]["x"] == base64.b64encode(b"\xff").decode()


def test_records_of_every_released_version_are_read() -> None:
    old = intervention("ü", 5)
    assert to_record(of_version_1(old)) == ("Intervention", old | {"trigger": "", "escalation_of": None})
    assert to_record(call_of("ü"))[1]["customer_id"] == "ü"
    with pytest.raises(RecordError, match="are not a Intervention"):
        to_record(of_version_1(old)[:30])
    with pytest.raises(RecordError):
        to_record(b"")
    damaged = from_record("Decision", decision("c"))[:-1]
    with pytest.raises(RecordError, match="are not a Decision:"):
        to_record(damaged)


def test_the_topics_of_a_next_app_job(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, redis: Redis, topics: str, keepline: Command, tmp_path: Path
) -> None:
    names = [f"phones.{name}" for name in NEXT_APP_CHANNELS if name]
    kafka.create_topics(names)
    told = {
        "customer_id": WHO,
        "event_id": "u1",
        "as_of": 5,
        "apps": [{"app": "mail", "probability": 0.5}],
        "model_id": "m",
        "model_version": 1,
    }
    producer = Producer(kafka.admin)
    for customer in (WHO, "ex-b"):
        producer.produce("phones.app-predictions", from_record("AppPrediction", told | {"customer_id": customer}), customer)
    producer.produce("phones.app-predictions", None, WHO)
    assert producer.flush(30) == 0
    redis.hset(f"keepline:next-app:{WHO}", mapping={"as_of": 5, "sequence": 2, "customer_id": WHO, "apps": json.dumps(told["apps"])})
    out = tmp_path / "phone.json"
    made = keepline("export", WHO, "--out", out, *words(kafka, redis_server.url, topics), "--next-app-prefix", "phones", "--json")
    assert made.code == 0, made.err
    assert made.json["stores"]["Kafka topic phones.app-predictions"] == 2
    assert set(names) - {"phones.erasure-receipts"} <= {store.removeprefix("Kafka topic ") for store in made.json["stores"]}
    found = json.loads(out.read_text(encoding="utf-8"))
    stores = {each["store"]: each["records"] for each in found["stores"]}
    assert [each.get("record") for each in stores["Kafka topic phones.app-predictions"]] == [told, None]
    view = {each["key"]: each["record"] for each in stores["Redis view"]}
    assert view[f"keepline:next-app:{WHO}"]["apps"] == told["apps"]
    assert not any("next-app" in each["store"] for each in found["not_in_this_file"])
