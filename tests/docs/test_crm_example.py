"""docs/examples/crm/consumer.py against a real broker: each committed intervention is acted on once, wherever the program is killed."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.view_keys import VIEW_KEYS
from keepline.models.contact.told import OF_0_1_0, SENTENCES, TICKETS
from keepline.operators.host import HostOperator
from keepline.operators.hostpolicy import HostPolicy
from keepline.schemas.catalog import event_type, output_schema
from keepline.schemas.framing import fingerprint, pack
from keepline.schemas.history import released
from keepline.schemas.packed import DEAD_LETTERS, INTERVENTIONS, LABELLED_OUTCOMES, Frame, Record, pack_record
from keepline.schemas.records import from_record, to_record, without_logical_types

CONSUMER = ROOT / "docs" / "examples" / "crm" / "consumer.py"
PATIENCE = 90.0
DAY = 86_400_000
QUIET = logging.getLogger("silent")
# Runs the program, and kills it (-9) before or after the n-th call of one of its functions: CLASS.FUNCTION:before|after:N
DYING = """
import importlib.util, os, signal, sys
found = importlib.util.spec_from_file_location("consumer", sys.argv[1])
program = importlib.util.module_from_spec(found)
found.loader.exec_module(program)
(place, when, nth), calls = sys.argv[2].split(":"), []
owner, name = place.split(".")
owner = getattr(program, owner)
original = getattr(owner, name)

def dying(*given):
    calls.append(given)
    last = len(calls) == int(nth)
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    made = original(*given)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
    return made

setattr(owner, name, dying)
sys.argv = [sys.argv[1], *sys.argv[3:]]
program.main()
"""
DEATHS = (
    "Journal.take:before:1",  # read, and nothing kept
    "Journal.take:after:1",  # kept, and the offsets not committed
    "Journal.begin:after:2",  # begun, and not sent
    "Gateway.send:after:3",  # sent, and not noted
    "Journal.finish:after:4",  # noted, and its outcome not on its way
    "Journal.sent:before:1",  # Kafka has outcomes, and the journal does not know
)


class Crm(NamedTuple):
    """A folder of the program, and its topics."""

    folder: Path
    servers: str
    name: str

    @property
    def journal(self) -> Path:
        return self.folder / "crm.sqlite"

    def words(self) -> list[str]:
        topics = ("--interventions", f"{self.name}.interventions", "--outcomes", f"{self.name}.telemetry", "--group", self.name)
        places = ("--schemas", str(ROOT / "schemas"), "--sent", str(self.folder / "sent.jsonl"), "--bootstrap-servers", self.servers)
        return ["--journal", str(self.journal), "run", *places, *topics]

    def start(self, death: str = "") -> subprocess.Popen[bytes]:
        program = [sys.executable, "-c", DYING, str(CONSUMER), death] if death else [sys.executable, str(CONSUMER)]
        return subprocess.Popen([*program, *self.words()], stdout=subprocess.DEVNULL, stderr=(self.folder / "err.txt").open("ab"))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(CONSUMER), "--journal", str(self.journal), *words], capture_output=True, text=True, check=False
        )

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.journal, timeout=30) as db:
            return db.execute(query).fetchall()

    def until(self, done: Callable[[], bool]) -> None:
        """Runs the program until something is so, then stops it as a supervisor would."""
        running = self.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while not (self.journal.exists() and done()):
                assert running.poll() is None, (self.folder / "err.txt").read_text()
                assert time.monotonic() < deadline, "not so within the time"
                time.sleep(0.1)
        finally:
            running.terminate()
            assert running.wait(30) == 0, (self.folder / "err.txt").read_text()

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "sent.jsonl").read_text(encoding="utf-8").splitlines()]

    def outcomes(self) -> list[Message]:
        """All records of the topic that outcomes go to."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": uuid.uuid4().hex, "enable.partition.eof": True}, logger=QUIET)
        try:
            left = {0, 1}
            consumer.assign([TopicPartition(f"{self.name}.telemetry", partition, OFFSET_BEGINNING) for partition in left])
            found: list[Message] = []
            while left:
                for message in consumer.consume(100, 1):
                    if message.error():
                        left.discard(message.partition())
                    else:
                        found.append(message)
            return found
        finally:
            consumer.close()


@pytest.fixture
def crm(kafka: EmbeddedKafka, tmp_path: Path) -> Crm:
    made = Crm(tmp_path, kafka.bootstrap_servers, f"crm-{uuid.uuid4().hex}")
    kafka.create_topics([f"{made.name}.interventions", f"{made.name}.telemetry"], 2)
    return made


class Policy:
    """The job, but for Flink: a policy that offers something at every complaint."""

    TEXT = """\
policy: complaints
version: 1
consent: {marketing: assumed}
triggers:
  complaint: {event: SupportContact, topic: COMPLAINT}
offers:
  apology: {for: complaint, channels: SMS, offer: "Sorry, ü", valid: 2d}
outcomes: {landing: 30d}
"""

    def __init__(self, folder: Path) -> None:
        (folder / "policy.yaml").write_text(self.TEXT, encoding="utf-8")
        spec = operator_spec(RetentionSettings(policy=folder / "policy.yaml"))
        self.operator, self.policy = HostOperator(spec), HostPolicy(spec)

    def take(self, values: Iterator[tuple[bytes, bytes]] | list[tuple[bytes, bytes]]) -> list[Frame]:
        """Runs (key, value) of input records."""
        frames: list[Frame] = []
        for key, value in values:
            frames += self.operator.add(key, pack_record(Record(key, value)))
        return list(self.policy.take([*frames, *self.operator.flush()]))

    def complain(self, customers: list[str], at: int) -> list[Frame]:
        """The interventions that follow."""
        fields = {"event_time": at, "channel": "PHONE", "topic": "COMPLAINT", "resolved": None}
        events = [
            (name.encode(), from_record("SupportContact", {"customer_id": name, "event_id": f"{name}-{at}", **fields}))
            for name in customers
        ]
        return [frame for frame in self.take(events) if frame.channel == INTERVENTIONS]


def moved(frame: Frame, ms: int) -> tuple[bytes, str]:
    """The intervention at another time, and another id."""
    record = to_record(frame.value)[1]
    changed = {name: record[name] + ms for name in ("decided_at", "not_before", "expires_at")} | {"intervention_id": uuid.uuid4().hex}
    return from_record("Intervention", record | changed), changed["intervention_id"]


def of_version_1(frame: Frame) -> tuple[bytes, str]:
    """The same as Keepline 0.1.0 wrote it, under an id of its own."""
    schema, stream = released("Intervention")[0], io.BytesIO()
    record = to_record(frame.value)[1] | {"intervention_id": uuid.uuid4().hex}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(without_logical_types(schema)), record)
    return pack(stream.getvalue(), fingerprint(schema)), record["intervention_id"]


def test_once_wherever_it_is_killed(kafka: EmbeddedKafka, crm: Crm) -> None:
    job, now = Policy(crm.folder), time.time_ns() // 1_000_000
    frames = job.complain([f"c-{i}" for i in range(30)], now - 60_000)
    ids = [to_record(frame.value)[1]["intervention_id"] for frame in frames]
    assert len(set(ids)) == 30
    producer = Producer({**kafka.admin, "transactional.id": crm.name}, logger=QUIET)
    producer.init_transactions(30)
    topic = f"{crm.name}.interventions"

    def put(made: list[tuple[bytes, bytes | None]], *, commit: bool) -> None:
        producer.begin_transaction()
        for key, value in made:
            producer.produce(topic, value, key)
        assert producer.flush(30) == 0
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    aborted, aborted_id = moved(frames[0], 0)
    expired, expired_id = moved(frames[0], -3 * DAY)
    later, later_id = moved(frames[0], 60_000 + 20_000)
    much_later, much_later_id = moved(frames[0], DAY)
    old, old_id = of_version_1(frames[1])
    key = frames[0].key
    put([(key, aborted)], commit=False)
    put([(frame.key, frame.value) for frame in frames[:20]], commit=True)
    put([(frame.key, frame.value) for frame in frames[10:]], commit=True)  # ten come again, as after a start without the state
    put([(key, None), (key, expired), (key, later), (key, much_later), (frames[1].key, old), (key, expired)], commit=True)
    put([(key, aborted)], commit=False)

    for death in DEATHS:
        assert crm.start(death).wait(PATIENCE) == -signal.SIGKILL, death
    wanted = {*ids, later_id, old_id}
    crm.until(lambda: crm.asked("SELECT count(*) FROM outcomes WHERE sent = 1") == [(len(wanted) + 1,)])

    sent = crm.sent()
    assert Counter(each["intervention_id"] for each in sent) == dict.fromkeys(wanted, 1)
    assert aborted_id not in str(crm.asked("SELECT * FROM offers"))
    (line,) = [each for each in sent if each["intervention_id"] == later_id]
    assert line["at"] >= to_record(later)[1]["not_before"], "no sooner than it may"
    assert sent[0]["offer"] == "Sorry, ü"
    states = dict(crm.asked("SELECT id, state FROM offers"))
    assert (states.pop(expired_id), states.pop(much_later_id)) == ("EXPIRED", "WAITING")
    assert set(states.values()) == {"DONE"}

    told = [to_record(message.value() or b"") for message in crm.outcomes()]
    assert {name for name, _ in told} == {"Outcome"}
    by_event = {record["event_id"]: record for _, record in told}
    assert len(told) > len(by_event), "one of the deaths leaves outcomes that are sent twice"
    assert all(record == by_event[record["event_id"]] for _, record in told), "twice is the same record"
    assert {(each["intervention_id"], each["outcome"]) for each in by_event.values()} == {
        *((each, "DELIVERED") for each in wanted), (expired_id, "FAILED"),
    }  # fmt: skip

    # Read anew from the beginning, as by a group that Kafka has forgotten: nothing is sent again.
    renamed = [word if word != crm.name else f"{crm.name}-new" for word in crm.words()]
    running = subprocess.Popen([sys.executable, str(CONSUMER), *renamed], stderr=subprocess.DEVNULL)
    try:
        offsets = Consumer({"bootstrap.servers": crm.servers, "group.id": f"{crm.name}-new"}, logger=QUIET)
        deadline = time.monotonic() + PATIENCE
        while min(each.offset for each in offsets.committed([TopicPartition(topic, 0), TopicPartition(topic, 1)], 10)) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        offsets.close()
    finally:
        running.terminate()
        running.wait(30)
    assert len(crm.sent()) == len(sent)


def test_the_circle_closes(kafka: EmbeddedKafka, crm: Crm) -> None:
    """Interventions of the policy out, outcomes back in: labelled rows with what the customers did."""
    job, now = Policy(crm.folder), time.time_ns() // 1_000_000
    frames = job.complain(["c-yes", "c-no", "c-gone"], now - 60_000)
    id_of = {frame.key.decode(): to_record(frame.value)[1]["intervention_id"] for frame in frames}
    producer = Producer(kafka.admin, logger=QUIET)
    for frame in frames:
        producer.produce(f"{crm.name}.interventions", frame.value, frame.key)
    assert producer.flush(30) == 0

    crm.until(lambda: crm.asked("SELECT count(*) FROM outcomes WHERE sent = 1") == [(3,)])
    assert crm.command("answer", id_of["c-yes"], "ACCEPTED").returncode == 0
    assert crm.command("answer", id_of["c-no"], "DECLINED").returncode == 0
    twice = crm.command("answer", id_of["c-no"], "DECLINED")
    assert (twice.returncode, "answered already" in twice.stderr) == (2, True)
    assert crm.command("answer", "0" * 32, "ACCEPTED").returncode == 2
    assert crm.command("forget", "c-gone").stdout == "1 offers forgotten\n"
    crm.until(lambda: crm.asked("SELECT count(*) FROM outcomes WHERE sent = 1") == [(4,)])
    assert "c-gone" not in str(crm.asked("SELECT * FROM offers") + crm.asked("SELECT * FROM outcomes"))
    assert crm.command("answer", id_of["c-gone"], "ACCEPTED").returncode == 2

    messages = crm.outcomes()
    partitions = {message.partition() for message in messages if message.key() == b"c-yes"}
    java = Producer({**kafka.admin, "partitioner": "murmur2_random"}, logger=QUIET)
    placed: list[int] = []
    java.produce(f"{crm.name}.interventions", None, "c-yes", on_delivery=lambda _, message: placed.append(message.partition()))
    java.flush(30)
    assert partitions == set(placed), "where a Java client puts the customer's events"
    assert all(message.timestamp()[1] == to_record(message.value() or b"")[1]["event_time"] for message in messages)

    made = job.take([(message.key() or b"", message.value() or b"") for message in messages])
    made += job.policy.advance(now + 40 * DAY)
    assert [frame for frame in made if frame.channel == DEAD_LETTERS] == []
    rows = {row["customer_id"]: row for frame in made if frame.channel == LABELLED_OUTCOMES for _, row in [to_record(frame.value)]}
    assert {name: (row["status"], [each["outcome"] for each in row["outcomes"]]) for name, row in rows.items()} == {
        "c-yes": ("LANDED", ["DELIVERED", "ACCEPTED"]),
        "c-no": ("LANDED", ["DELIVERED", "DECLINED"]),
        "c-gone": ("LANDED", ["DELIVERED"]),
    }


def test_a_record_of_a_later_version_stops_it(kafka: EmbeddedKafka, crm: Crm) -> None:
    producer = Producer(kafka.admin, logger=QUIET)
    producer.produce(f"{crm.name}.interventions", b"\xc3\x01" + bytes(8) + b"x", "c")
    assert producer.flush(30) == 0
    running = crm.start()
    assert running.wait(PATIENCE) == 1
    assert "no schema of this record" in (crm.folder / "err.txt").read_text()
    assert crm.asked("SELECT count(*) FROM offers") == [(0,)]


def test_it_needs_nothing_of_the_package() -> None:
    code = """
import importlib.util, sys
found = importlib.util.spec_from_file_location("consumer", sys.argv[1])
found.loader.exec_module(importlib.util.module_from_spec(found))
print([name for name in sys.modules if name.split(".")[0] in ("keepline", "pyflink", "numba", "pandas")])
"""
    done = subprocess.run([sys.executable, "-c", code, str(CONSUMER)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_has_every_code_and_field() -> None:
    page = (ROOT / "docs" / "crm.md").read_text(encoding="utf-8")
    codes = {reason for _, reason in SENTENCES} | set(TICKETS) | {OF_0_1_0}
    assert [code for code in sorted(codes) if not re.search(rf"\b{code}\b", page)] == []
    for name in ("Intervention", "Decision"):
        section = page.split(f"### retention.{name.lower()}s\n")[1].split("\n### ")[0]
        fields = [field["name"] for field in output_schema(name)["fields"]]
        assert [field for field in fields if not re.search(rf"\b{field}\b", section)] == []
    outcome = next(field.symbols for field in event_type("Outcome").fields if field.name == "outcome")
    assert [each for each in outcome if f"| {each} |" not in page] == []
    assert [key for key in VIEW_KEYS.values() if f"`{key.replace('{score}', 'churn')}`" not in page] == []
