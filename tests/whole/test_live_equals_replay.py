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
from tests.whole.history import DAY, HOUR, START, Crowd, closing, no_events, sent, strewn, whole_history
from tests.whole.policies import by_time, kinds_of_decisions, policy_file, with_outcomes
from tests.whole.support import (
    FROM_FILES,
    Outputs,
    alive,
    assert_equal,
    assert_erased,
    assert_view,
    flat,
    live,
    replayed,
    run_job,
    send,
    topics,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("emit", "partitions", "parallelism", "backend"), [("every", 1, 1, "hashmap"), ("delta", 4, 2, "rocksdb")], ids=["p1-every", "p2-delta"]
)
def test_live_equals_replay(
    emit: str, partitions: int, parallelism: int, backend: str, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path
) -> None:
    bad = no_events(partitions)
    settings = RetentionSettings(model=model, emit=emit, policy=policy_file(tmp_path))
    records = strewn(bad, whole_history(seed=partitions, customers=100, partitions=partitions, per_day=800), seed=5)
    records = with_outcomes(records, replayed(settings, records, tmp_path / "first")["interventions"], partitions)
    topic = topics(kafka, name, partitions)
    send(kafka, topic, records)
    with EmbeddedRedis() as redis:
        said = run_job(
            tmp_path, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name, "--redis-url", redis.url,
            "--model", str(model), "--policy", str(settings.policy), "--job-name", name, "--emit", emit, "--parallelism", str(parallelism),
            "--state-backend", backend, "--idle-after", "0s", "--checkpoint-interval", "300ms",
        )  # fmt: skip
        found = live(kafka, name)
        wanted = replayed(settings, records, tmp_path)
        assert_equal(found, wanted, FROM_FILES)
        assert_erased(found, records)
        assert_view(redis.url, found, records)
    assert_dead_letters(found, wanted, bad, topic)
    assert_met(found)
    assert "Traceback" not in said, said[:3000]


def assert_met(found: Outputs) -> None:
    """What the run was meant to meet, it met."""
    scores = alive(flat(found["scores"]))
    assert sum(not score["event_id"] for score in scores) > 500, "by ticks"
    assert {record["band"] for record in scores} == {"LOW", "MEDIUM", "HIGH"}
    assert len(flat(found["late-events"])) > 20
    offered = flat(found["interventions"])
    assert len(offered) > 20
    assert {record["kind"] for record in offered} == {"apology", "reminder", "extra_data", "sms_discount", "ticket"}
    assert kinds_of_decisions(found["decisions"]) >= {
        ("HELD", "QUIET_HOURS"), ("EMITTED", "AT_RISK"), ("EMITTED", "RISING"), ("EMITTED", "DECLINED"), ("EMITTED", "STILL_AT_RISK"),
        ("SUPPRESSED", "CAP"), ("SUPPRESSED", "COOLDOWN"), ("SUPPRESSED", "CONTROL"), ("SUPPRESSED", "OUTRANKED"),
        ("SUPPRESSED", "NO_MARKETING_CONSENT"), ("SUPPRESSED", "NO_PROFILING_CONSENT"),
        ("CANCELLED", "ENDED"), ("CANCELLED", "REASON_GONE"),
    }  # fmt: skip
    landed = flat(found["labelled-outcomes"])
    assert {record["status"] for record in landed} == {"LANDED", "LATE", "UNKNOWN"}
    assert {record["arm"] for record in landed} == {"TREATMENT", "CONTROL"}
    assert {record["label"] for record in landed} == {"CHURNED", "RETAINED", None}
    assert sum(receipt["counts"]["open_rows"] for receipt in flat(found["erasure-receipts"])) > 0


@pytest.mark.slow
def test_customers_who_begin_in_the_past(kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    """As after an erasure: the first event is weeks behind event time, and all ticks since are due together, before the policy's wakes."""
    crowd = Crowd(seed=3, customers=0)
    began = [
        {"type": "DataSession", "customer_id": f"n{number}", "event_id": f"n{number}", "event_time": START + (70 * 24 + number) * HOUR,
         "megabytes": 9.0 * (number % 30), "network": "G4"}
        for number in range(400)
    ]  # fmt: skip
    # More than a block each, so that event time has passed the policy's operator before most of the customers begin.
    records = [*crowd.silent(START, 90), *(sent(event, 1) for event in began), *crowd.silent(START + 90 * DAY, 3)]
    records += closing(records, 1)
    settings = RetentionSettings(model=model, emit="every", policy=policy_file(tmp_path))
    topic = topics(kafka, name, 1)
    send(kafka, topic, records)
    run_job(
        tmp_path, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name, "--redis-url", "",
        "--model", str(model), "--policy", str(settings.policy), "--job-name", name, "--emit", "every", "--idle-after", "0s",
        "--checkpoint-interval", "300ms",
    )  # fmt: skip
    wanted = replayed(settings, records, tmp_path)
    assert sum(made["trigger"] == "rising" for made in flat(wanted["decisions"])) > 100
    assert_equal(live(kafka, name), wanted)


@pytest.mark.slow
def test_budgets(kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    """With room for all, equal to replay in the order of time; with little room, never more than it, and every offer decided once."""
    partitions = 2
    records = whole_history(seed=8, customers=60, partitions=partitions, per_day=500, silence=10)
    for per_day in (1000, 5):
        given = f"{name}-{per_day}"
        settings = RetentionSettings(model=model, emit="band", policy=policy_file(tmp_path, per_day))
        topic = topics(kafka, given, partitions)
        send(kafka, topic, records)
        run_job(
            tmp_path, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", given, "--redis-url", "",
            "--model", str(model), "--policy", str(settings.policy), "--job-name", given, "--emit", "band", "--parallelism", "2",
            "--idle-after", "0s", "--checkpoint-interval", "300ms",
        )  # fmt: skip
        found, wanted = live(kafka, given), replayed(settings, records, tmp_path / given)
        assert_equal(found, wanted, ["scores", "labelled-outcomes", "erasure-receipts"])
        if per_day == 1000:
            for channel in ("interventions", "decisions"):
                found[channel], wanted[channel] = by_time(found[channel]), by_time(wanted[channel])
            assert_equal(found, wanted)
            continue
        refused = [record for record in flat(found["decisions"]) if record["reason"] == "BUDGET"]
        assert len(refused) == sum(record["reason"] == "BUDGET" for record in flat(wanted["decisions"])) > 0
        days = Counter(record["decided_at"] // DAY for record in flat(found["interventions"]) if record["kind"] == "extra_data")
        assert max(days.values()) == per_day
        assert Counter(r["decision_id"] for r in flat(found["decisions"])) == Counter(r["decision_id"] for r in flat(wanted["decisions"]))


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
