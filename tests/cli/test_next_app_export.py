"""`keepline next-app export`, from files and from a real broker: the profile is that of the stream's code on the user's events."""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from keepline.features.next_app.single import User
from keepline.jobs.next_app_export import partition_of
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.models.next_app import manifest as manifests
from keepline.models.next_app.export import phone_of
from keepline.models.on_device import Phone
from keepline.schemas.catalog import event_type
from keepline.schemas.encode import Ok, encode
from tests.cli.conftest import Command, write_lines
from tests.cli.test_kafka_commands import QUIET
from tests.models.next_app.models import made_up
from tests.models.next_app.phones import START, agreement, life, model, side_by_side


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "manifest.json").write_bytes(manifests.dump(model().manifest))
    return tmp_path / "model"


def lives(days: int = 3) -> dict[str, list[dict[str, Any]]]:
    """Three users, each with a Call in between, a repeat, and one event that is too late."""
    found = {}
    for seed, name in enumerate(("c-1", "ü2", "c-3")):
        own = [event | {"customer_id": name} for event in life(seed, days)]
        own.insert(9, {"type": "Call", "customer_id": name, "event_id": "call", "event_time": own[9]["event_time"], "duration_s": 1.0})
        own.insert(20, own[15])
        own.append({"type": "AppOpen", "customer_id": name, "event_id": "late", "event_time": START - 100 * 86_400_000, "app": "late"})
        found[name] = own
    return found


def state_of(events: list[dict[str, Any]]) -> bytes:
    user = User(model().constants)
    for event in events:
        user.apply(event)
    return user.state


def expected(events: list[dict[str, Any]], name: str) -> bytes:
    return phone_of(model(), state_of(events), name).to_bytes()


def send(kafka: EmbeddedKafka, topic_of: dict[str, str], events: list[dict[str, Any]], partitioner: str = "murmur2_random") -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": partitioner}, logger=QUIET)
    for event in events:
        made = encode(event)
        assert isinstance(made, Ok)
        producer.produce(topic_of[event["type"]], made.value, event["customer_id"].encode(), timestamp=event["event_time"])
    assert producer.flush(30) == 0


def shuffled(users: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The events of all users, mixed; each user's in order."""
    turns = [name for name, events in users.items() for _ in events]
    random.Random(3).shuffle(turns)
    left = {name: iter(events) for name, events in users.items()}
    return [next(left[name]) for name in turns]


def test_from_files(keepline: Command, model_dir: Path, tmp_path: Path) -> None:
    users = lives()
    path = write_lines(tmp_path / "e.jsonl", ["{bad", *shuffled(users)])
    for name, events in users.items():
        result = keepline("next-app", "export", name, "--out", tmp_path / "p.klna", "--model", model_dir, "--events", path, "--json")
        data = (tmp_path / "p.klna").read_bytes()
        assert data == expected(events, name)
        phone = Phone.from_bytes(data)
        assert (result.code, result.json) == (
            0,
            {
                "out": str(tmp_path / "p.klna"), "bytes": len(data), "events": len(events) - 2, "apps": len(phone.apps),
                "refused": {"DUPLICATE": 1, "LATE": 1, "MALFORMED": 1}, "model_id": "next-app", "model_version": 3,
            },
        )  # fmt: skip
        assert (tmp_path / "p.klna").stat().st_mode & 0o777 == 0o600
    told = keepline("next-app", "export", "c-1", "--out", "p.klna", "--model", model_dir, "--events", path)
    size, kept = len(expected(users["c-1"], "c-1")), len(Phone.load("p.klna").apps)
    assert told.out == f"p.klna: {size} bytes, {kept} apps, from {len(users['c-1']) - 2} events\n"
    assert "app1" not in told.out + told.err


def test_check_tells_the_agreement(keepline: Command, model_dir: Path, tmp_path: Path) -> None:
    """On the last 30 % of the events, as a count by hand finds it."""
    events = [event for event in lives(9)["c-1"] if event["event_id"] not in ("late", "call")]
    path = write_lines(tmp_path / "e.jsonl", events)
    args = ["next-app", "export", "c-1", "--out", "p.klna", "--model", model_dir, "--events", path, "--check"]
    accepted = [
        event for i, event in enumerate(events) if event["event_id"] not in {each["event_id"] for each in events[max(i - 32, 0) : i]}
    ]
    told = list(side_by_side(model(), accepted, 7 * len(accepted) // 10))
    order, sets = agreement(told)
    found = keepline(*args, "--json").json["agreement"]
    assert found == {"unlocks": len(told), "same_order": round(order * len(told)), "same_apps": round(sets * len(told))}
    assert found["same_order"] >= 0.99 * found["unlocks"] > 20
    line = f"of {len(told)} unlocks the same five apps in {found['same_apps']}, in the same order in {found['same_order']}\n"
    assert keepline(*args).out.endswith(line)


def test_from_one_topic(keepline: Command, kafka: EmbeddedKafka, model_dir: Path, tmp_path: Path) -> None:
    """All types in one topic of several partitions; all partitions are read, or the user's alone."""
    topic, users = f"phones-{uuid.uuid4().hex}", lives()
    kafka.create_topics([topic], partitions=5)
    send(kafka, dict.fromkeys(("AppOpen", "Unlock", "Call"), topic), shuffled(users))
    where = ["--model", model_dir, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--out", "p.klna"]
    for name, events in users.items():
        for flags in ([], ["--own-partition"]):
            assert keepline("next-app", "export", name, *where, *flags).code == 0
            assert Path("p.klna").read_bytes() == expected(events, name)


def test_from_a_topic_a_type_and_what_an_erasure_leaves(keepline: Command, kafka: EmbeddedKafka, model_dir: Path) -> None:
    """Opens and unlocks apart are merged by time; of what was before an erasure nothing is in the file."""
    names = {name: f"{event_type(name).topic}-{uuid.uuid4().hex}" for name in ("AppOpen", "Unlock", "Erasure")}
    kafka.create_topics(names.values(), partitions=3)
    events = [event | {"customer_id": "c-1"} for event in life(1, 4)]
    moment = events[len(events) // 2]["event_time"]
    send(kafka, names, [{"type": "Erasure", "customer_id": "c-1", "event_id": "x", "event_time": moment, "request_id": "r"}, *events])
    where = ["--model", model_dir, "--bootstrap-servers", kafka.bootstrap_servers, "--out", "p.klna"]
    both = f"{names['AppOpen']},{names['Unlock']}"
    assert keepline("next-app", "export", "c-1", *where, "--topics", both).code == 0
    assert Path("p.klna").read_bytes() == expected(events, "c-1")
    assert keepline("next-app", "export", "c-1", *where, "--topics", f"{both},{names['Erasure']}").code == 0
    left = [event for event in events if event["event_time"] > moment]
    found = Path("p.klna").read_bytes()
    assert found in {expected(left, "c-1"), expected(events[len(events) // 2 :], "c-1")}


def test_keys_are_found_where_other_clients_put_them(keepline: Command, kafka: EmbeddedKafka, model_dir: Path) -> None:
    """librdkafka's own partitioner is another: then only a read of all partitions finds the user."""
    topic = f"phones-{uuid.uuid4().hex}"
    kafka.create_topics([topic], partitions=7)
    events = [event | {"customer_id": f"c-{i}"} for i in range(7) for event in life(1, 1)]
    send(kafka, dict.fromkeys(("AppOpen", "Unlock"), topic), events, "consistent_random")
    where = ["--model", model_dir, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--out", "p.klna"]
    codes = []
    for i in range(7):
        assert keepline("next-app", "export", f"c-{i}", *where).code == 0
        assert Path("p.klna").read_bytes() == expected(life(1, 1), f"c-{i}")
        codes.append(keepline("next-app", "export", f"c-{i}", *where, "--own-partition").code)
    assert 1 in codes


@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_partitions_are_java_s(kafka: EmbeddedKafka, count: int) -> None:
    """As librdkafka's murmur2, which has to be as Java's, really places keys."""
    topic = f"phones-{uuid.uuid4().hex}"
    kafka.create_topics([topic], partitions=count)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2"}, logger=QUIET)
    placed: dict[bytes, int] = {}
    for key in [b"a", b"ab", b"abc", b"abcd", b"c-1001", "ü".encode() * 9, *(f"c-{i}".encode() for i in range(50))]:
        producer.produce(topic, b"", key, on_delivery=lambda error, message: placed.update({message.key(): message.partition()}))
    assert producer.flush(30) == 0
    assert placed == {key: partition_of(key, count) for key in placed}
    assert len(placed) == 56


def test_a_user_without_events_gets_the_prior(keepline: Command, model_dir: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "e.jsonl", lives(1)["c-1"])
    result = keepline("next-app", "export", "nobody", "--out", "p.klna", "--model", model_dir, "--events", path)
    assert (result.code, "no event of nobody: the file holds the prior of 'next-app' version 3 alone" in result.err) == (1, True)
    assert Path("p.klna").read_bytes() == phone_of(model(), b"", "nobody").to_bytes()


def test_what_is_refused(keepline: Command, model_dir: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "e.jsonl", lives(1)["c-1"])
    args = ["next-app", "export", "c-1", "--out", "p.klna", "--events", path]
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "manifest.json").write_bytes(manifests.dump(made_up("trees")))
    trees = keepline(*args, "--model", tmp_path / "trees")
    assert (trees.code, trees.err.count("\n"), "--family logistic" in trees.err) == (2, 1, True)
    both = keepline(*args, "--model", model_dir, "--topics", "t")
    assert (both.code, "--events takes the place of the topics" in both.err) == (2, True)
    nobody = keepline("next-app", "export", "", "--out", "p.klna", "--events", path, "--model", model_dir)
    assert (nobody.code, "expected a customer_id of 1 to 128 bytes" in nobody.err) == (2, True)
    nowhere = keepline("next-app", "export", "c-1", "--out", "no/such/p.klna", "--events", path, "--model", model_dir)
    assert (nowhere.code, "choose another --out" in nowhere.err) == (2, True)
    assert not Path("p.klna").exists()
    unreadable = keepline("next-app", "export", "c-1", "--out", "p.klna", "--events", "absent.jsonl", "--model", model_dir)
    assert unreadable.code == 2


def test_help_has_an_example(keepline: Command) -> None:
    for command in ("export", "sync"):
        assert f"keepline next-app {command} " in keepline("next-app", command, "--help").out
