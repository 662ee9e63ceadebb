"""The whole job, Kafka → features → score → Kafka (exactly once) and Redis, equal record for record to `replay` of the same events.

What is exact and why. Events, and the ticks that events bring up, follow from a customer's records alone. Ticks of silence
follow the watermark: they are the same set when the run's last watermark is replay's, the newest event time less the bound
less 1 ms. A source puts out a watermark at once when the hour of the newest event moves, ticks lie on hours, and the last record
of every partition is a clock's at the same time in a new hour (tests/whole/history.py): so the last watermark is replay's for any number of
partitions and subtasks, whatever the order in which they end. Without such an end only one partition would be exact; with
several, the ticks of the last hours would depend on which partition ends last.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections import Counter
from pathlib import Path

import pytest

from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.schemas.packed import MAX_VALUE
from tests.whole.history import no_events, strewn, whole_history
from tests.whole.support import Outputs, assert_equal, assert_view, flat, live, replayed, run_job, send, topics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("emit", "partitions", "parallelism", "backend"), [("every", 1, 1, "hashmap"), ("delta", 4, 2, "rocksdb")], ids=["p1-every", "p2-delta"]
)
def test_live_equals_replay(
    emit: str, partitions: int, parallelism: int, backend: str, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path
) -> None:
    bad = no_events(partitions)
    records = strewn(bad, whole_history(seed=partitions, customers=100, partitions=partitions, per_day=800), seed=5)
    topic = topics(kafka, name, partitions)
    send(kafka, topic, records)
    with EmbeddedRedis() as redis:
        said = run_job(
            tmp_path, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name, "--redis-url", redis.url,
            "--model", str(model), "--job-name", name, "--emit", emit, "--parallelism", str(parallelism), "--state-backend", backend,
            "--idle-after", "0s", "--checkpoint-interval", "300ms",
        )  # fmt: skip
        found = live(kafka, name)
        wanted = replayed(RetentionSettings(model=model, emit=emit), records, tmp_path)
        assert_equal(found, wanted, ["scores", "interventions", "decisions", "late-events"])
        assert_view(redis.url, found)
    assert_dead_letters(found, wanted, bad, topic)
    # What the run was meant to meet, it met.
    by_ticks = [score for score in flat(found["scores"]) if not score["event_id"]]
    assert len(by_ticks) > 500
    assert len(flat(found["interventions"])) > 20
    assert {record["kind"] for record in flat(found["interventions"])} == {"sms_discount", "extra_data"}
    assert len(flat(found["late-events"])) > 20
    assert {record["band"] for record in flat(found["scores"])} == {"LOW", "MEDIUM", "HIGH"}
    assert "Traceback" not in said, said[:3000]


def assert_dead_letters(found: Outputs, wanted: Outputs, bad: list, topic: str) -> None:
    """Those that a file can hold equal replay's; all have their reason, key, value and hash."""
    letters = flat(found["dead-letters"])
    assert {record["topic"] for record in letters} == {topic}

    def known(key: bytes, value: bytes, reason: str) -> tuple[bytes, bytes, int, bytes, str]:
        return key, value[:MAX_VALUE], len(value), hashlib.sha256(value).digest(), reason

    expected = Counter(known(record.key or b"", record.value or b"", record.reason) for record in bad)
    made = Counter(
        (b64decode(r["key"]), b64decode(r["value"]), r["value_length"], b64decode(r["value_sha256"]), r["reason"]) for r in letters
    )
    assert made == expected
    assert all(record["message"] for record in letters)

    def sayings(outputs: Outputs) -> Counter[tuple[str, str, str]]:
        return Counter((r["key"], r["value"], r["message"]) for r in flat(outputs["dead-letters"]))

    assert sayings(wanted) <= sayings(found)
    assert sum(sayings(wanted).values()) == sum(record.event is not None for record in bad)
