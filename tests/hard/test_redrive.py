"""`keepline redrive` on a real broker: what it sends, what it leaves, and that each letter is sent once, whatever is killed."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.registry import EmbeddedRegistry
from keepline.jobs.tail import messages
from keepline.schemas.catalog import event_type
from keepline.schemas.encode import Ok, encode
from keepline.schemas.framing import fingerprint, pack, pack_confluent
from keepline.schemas.packed import DEAD_LETTERS, MAX_VALUE
from keepline.schemas.records import from_record
from tests.cli.conftest import Command, keepline
from tests.operators.test_schema_ids import FOREIGN, SUBJECT, Shell
from tests.whole.support import KEEPLINE, environment

__all__ = ["keepline"]

TIME = 1_750_000_000_000
CALL: dict[str, Any] = {"type": "Call", "customer_id": "c1", "event_id": "e1", "event_time": TIME, "duration_s": 60.0}
WHOLE = CALL | {"direction": "INCOMING", "outcome": "DROPPED", "roaming": True}


def event(**fields: Any) -> bytes:
    framed = encode(CALL | fields)
    assert isinstance(framed, Ok)
    return framed.value


def body(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    """The record's Avro binary, by another writer than ours."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record)
    return buffer.getvalue()


def letter(value: bytes, reason: str, key: bytes = b"c1", topic: str = "", length: int = 0) -> dict[str, Any]:
    return {
        "topic": topic, "partition": 0, "offset": 5, "timestamp": TIME, "key": key, "value": value, "value_length": length or len(value),
        "value_sha256": hashlib.sha256(value).digest(), "reason": reason, "message": "of that time",
    }  # fmt: skip


class Place:
    """A dead-letter topic, and the topic that its letters came from."""

    def __init__(self, kafka: EmbeddedKafka, partitions: int = 1) -> None:
        name = f"redrive-{uuid.uuid4().hex[:8]}"
        self.kafka, self.letters, self.target = kafka, f"{name}.dead-letters", f"{name}.in"
        kafka.create_topics([self.letters, self.target], partitions)

    def put(self, *found: dict[str, Any], partition: int = 0, times: Iterable[int] = ()) -> None:
        """Letters as the job commits them: in a transaction, whose end takes an offset of its own."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex, "log_level": 3})
        producer.init_transactions(30)
        producer.begin_transaction()
        stamps = list(times) or [TIME] * len(found)
        for each, stamp in zip(found, stamps, strict=True):
            producer.produce(self.letters, from_record("DeadLetter", {"topic": self.target} | each | {"topic": self.target}),
                             partition=partition, timestamp=stamp)  # fmt: skip
        producer.commit_transaction(30)

    @property
    def arguments(self) -> list[str]:
        return ["redrive", "--bootstrap-servers", self.kafka.bootstrap_servers, "--dead-letters", self.letters]

    def sent(self) -> list[Message]:
        """What readers of the target see."""
        return list(messages(self.target, self.kafka.bootstrap_servers))


@pytest.fixture
def place(kafka: EmbeddedKafka) -> Place:
    return Place(kafka)


def test_sound_letters_are_sent_once_and_the_others_stay(keepline: Command, place: Place) -> None:
    mended, mismatched, unkeyed = event(), event(customer_id="c2"), event(customer_id="c3", event_time=TIME + 5)
    whole = event(event_id="x" * MAX_VALUE)
    place.put(
        letter(mended, "UNKNOWN_SCHEMA"), letter(mismatched, "KEY_MISMATCH", b"another"), letter(unkeyed, "FUTURE_TIME", b""),
        letter(mended[:-2], "MALFORMED"), letter(whole[:MAX_VALUE], "OVERSIZED", length=len(whole)),
        letter(event(duration_s=-1.0), "INVALID_FIELD"),
    )  # fmt: skip
    tried = keepline(*place.arguments, "--dry-run", "--json").json
    assert (tried["letters"], tried["sent"], tried["left"]) == (6, 3, {"MALFORMED": 1, "OVERSIZED": 1, "INVALID_FIELD": 1})
    assert place.sent() == []
    done = keepline(*place.arguments, "--json").json
    assert done == tried | {"dry_run": False}
    assert f"{place.letters}-0-4: the letter holds 262144 of {len(whole)} bytes: send the event again from its source" in done["examples"]
    assert f"{place.letters}-0-3: Call.outcome cannot be read:" in str(done["examples"])
    sent = place.sent()
    assert [(m.key(), m.value(), m.timestamp()[1]) for m in sent] == [
        (b"c1", mended, TIME), (b"c2", mismatched, TIME), (b"c3", unkeyed, TIME + 5),
    ]  # fmt: skip
    headers = [dict(m.headers()) for m in sent]
    assert [each["redriven_from"].decode() for each in headers] == [f"{place.letters}-0-{offset}" for offset in (0, 1, 2)]
    assert all(abs(int(each["created_ms"]) / 1000 - time.time()) < 120 for each in headers)
    again = keepline(*place.arguments, "--json").json
    assert (again["letters"], again["sent"], again["left"]) == (3, 0, done["left"])
    place.put(letter(event(event_id="later"), "KEY_MISMATCH"))
    assert keepline(*place.arguments, "--strict").out.startswith(f"{place.letters}: 4 open letters, 1 sent, 3 left\n")
    assert len(place.sent()) == 4
    assert keepline(*place.arguments, "--strict").code == 1


def test_a_tombstone_among_the_letters_is_passed_over(keepline: Command, place: Place) -> None:
    place.put(letter(event(), "UNKNOWN_SCHEMA"))
    producer = Producer({"bootstrap.servers": place.kafka.bootstrap_servers, "log_level": 3})
    producer.produce(place.letters, None, b"c1")
    assert producer.flush(30) == 0
    place.put(letter(event(customer_id="c2"), "UNKNOWN_SCHEMA"))
    done = keepline(*place.arguments, "--json").json
    assert (done["letters"], done["sent"]) == (2, 2)
    assert keepline(*place.arguments, "--json").json["letters"] == 0
    assert [message.key() for message in place.sent()] == [b"c1", b"c2"]


def test_only_what_was_asked_for(keepline: Command, place: Place) -> None:
    reasons = ["KEY_MISMATCH", "UNKNOWN_SCHEMA"] * 3
    place.put(*(letter(event(event_id=str(n)), reason) for n, reason in enumerate(reasons)), times=[TIME + n for n in range(6)])
    some = keepline(*place.arguments, "--reason", "UNKNOWN_SCHEMA", "--since", TIME + 1, "--until", TIME + 5, "--json").json
    assert (some["letters"], some["sent"], some["others"]) == (2, 2, 4)
    rest = keepline(*place.arguments, "--json").json
    assert (rest["sent"], rest["others"]) == (4, 0)
    assert sorted(dict(m.headers())["redriven_from"].decode()[-1] for m in place.sent()) == list("012345")


def test_given_up_letters_are_not_asked_for_again(keepline: Command, place: Place) -> None:
    place.put(letter(b"junk", "MALFORMED"), letter(b"more junk", "MALFORMED"))
    assert keepline(*place.arguments, "--settle", "--json").json["settled"] == 2
    done = keepline(*place.arguments, "--strict", "--json")
    assert (done.code, done.json["letters"], place.sent()) == (0, 0, [])


def test_force_sends_what_would_be_refused_again(keepline: Command, place: Place) -> None:
    place.put(letter(b"junk", "MALFORMED", b"\xffkey"), letter(event(duration_s=-1.0), "INVALID_FIELD"))
    assert keepline(*place.arguments, "--force", "--json").json["sent"] == 2
    assert [(m.key(), m.value()) for m in place.sent()] == [(b"\xffkey", b"junk"), (b"c1", event(duration_s=-1.0))]


def test_another_topic_has_a_memory_of_its_own(keepline: Command, place: Place) -> None:
    place.put(letter(event(), "KEY_MISMATCH"))
    other = f"{place.target}.trial"
    place.kafka.create_topics([other])
    for _ in range(2):
        keepline(*place.arguments, "--topic", other)
    assert len(list(messages(other, place.kafka.bootstrap_servers))) == 1
    assert place.sent() == []
    assert keepline(*place.arguments, "--json").json["sent"] == 1


def test_letters_repaired_by_hand(keepline: Command, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    place = Place(kafka, partitions=2)
    nan = event(duration_s=1.0)[:-10]
    place.put(
        letter(event(duration_s=float("nan")), "INVALID_FIELD"), letter(b"not Avro", "MALFORMED", b"\xff"), letter(nan, "MALFORMED"),
        letter(event(event_id="a\0b"), "INVALID_FIELD"), letter(event(customer_id="c9", duration_s=-5.0), "INVALID_FIELD"),
    )  # fmt: skip
    place.put(letter(event(event_id="p1", event_time=5), "OUT_OF_BOUNDS_TIME"), partition=1)
    file = tmp_path / "letters.jsonl"
    assert keepline(*place.arguments, "--export", file).out.startswith(f"{place.letters}: 6 open letters, 6 exported to {file}")
    lines = {line["from"]: line for line in map(json.loads, file.read_text().splitlines())}
    lines = dict(sorted(lines.items()))  # the partitions come as they are read
    file.write_text("".join(json.dumps(line) + "\n" for line in lines.values()))
    at = f"{place.letters}-0-"
    assert list(lines) == [*(f"{at}{n}" for n in range(5)), f"{place.letters}-1-0"]
    assert lines[f"{at}0"]["event"] == CALL | {"duration_s": "nan", "direction": "OUTGOING", "outcome": "COMPLETED", "roaming": False}
    assert lines[f"{at}0"]["message"] == "of that time"
    assert (lines[f"{at}1"]["value"], lines[f"{at}1"]["key"], "event" in lines[f"{at}1"]) == ("bm90IEF2cm8=", {"bytes": "/w=="}, False)
    assert list(lines[f"{at}2"]["event"]) == ["type", "customer_id", "event_id", "event_time", "direction"]
    assert lines[f"{at}3"]["event"]["event_id"] == {"bytes": "YQBi"}
    # Unchanged, it is refused line by line, and nothing is sent.
    as_it_was = keepline(*place.arguments, "--repaired", file, "--json")
    assert (as_it_was.json["sent"], as_it_was.err.count("\n")) == (0, 6)
    assert f'{file}:1: INVALID_FIELD: Call.duration_s is "nan": expected a number' in as_it_was.err
    assert f'{file}:2: there is no "event"' in as_it_was.err
    assert f'{file}:4: INVALID_FIELD: Call.event_id is {{"bytes": "YQBi"}}: expected a string' in as_it_was.err
    # Some are repaired; a letter may become two events, and waits while one of them is wrong.
    lines[f"{at}0"]["event"]["duration_s"] = 61.0
    lines[f"{at}3"]["event"]["event_id"] = "ab"
    lines[f"{place.letters}-1-0"]["event"]["event_time"] = "2025-06-15T15:06:40Z"
    m, n = (CALL | {"customer_id": "c9", "event_id": name, "duration_s": s} for name, s in (("m", 1.0), ("n", -1.0)))
    two = [lines[f"{at}4"] | {"event": m}, lines[f"{at}4"] | {"event": n}]
    text = [json.dumps(line) for line in [*(line for name, line in lines.items() if name != f"{at}4"), *two]]
    absent = json.dumps({"from": f"{at}99", "topic": "t", "event": CALL})
    file.write_text("\n".join([*text, "{", '{"from": "other-0-1", "event": {}}', absent]))
    done = keepline(*place.arguments, "--repaired", file, "--json", "--strict")
    assert (done.code, done.json["sent"], done.json["letters"]) == (1, 3, 3)
    assert [line.split(": ", 1)[0].removeprefix(f"{file}:") for line in done.err.splitlines()] == ["2", "3", "7", "8", "9", str(file)]
    assert f"{at}99: there is no such letter in" in done.err
    # Again with the rest: what was sent is not sent again.
    two[1]["event"]["duration_s"] = 1.0
    file.write_text("\n".join([*text[:-2], *map(json.dumps, two)]))
    done = keepline(*place.arguments, "--repaired", file, "--json")
    assert (done.json["sent"], done.json["sent_before"]) == (1, 3)
    sent = Counter((dict(m.headers())["redriven_from"].decode(), m.key(), m.timestamp()[1]) for m in place.sent())
    assert sent == {
        (f"{at}0", b"c1", TIME): 1, (f"{at}3", b"c1", TIME): 1, (f"{at}4", b"c9", TIME): 2, (f"{place.letters}-1-0", b"c1", TIME): 1,
    }  # fmt: skip
    assert keepline(*place.arguments, "--json", "--dry-run").json["left"] == {"MALFORMED": 2}


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry() as registry:
        yield registry


def test_letters_of_unknown_schemas_are_sent_once_these_are_known(
    keepline: Command, place: Place, registry: EmbeddedRegistry, tmp_path: Path
) -> None:
    """What the job refused, it takes: a schema id that is registered now, and a fingerprint that `writer_schemas` names now."""
    one, two = (body(FOREIGN, WHOLE | {"customer_id": "c", "event_id": name, "tags": {"k": "v"}}) for name in ("one", "two"))
    job = Shell(registry.url)
    job.load([pack_confluent(one, 1), pack(two, fingerprint(FOREIGN))])
    assert job.run()
    refused = job.records(DEAD_LETTERS)
    assert [each["reason"] for each in refused] == ["UNKNOWN_SCHEMA"] * 2
    place.put(*refused)
    alone = keepline(*place.arguments, "--json").json
    assert (alone["sent"], alone["left"]) == (0, {"UNKNOWN_SCHEMA": 2})
    assert "schema id 1 is unknown: no schema registry is configured" in alone["examples"][0]
    early = keepline(*place.arguments, "--registry-url", registry.url, "--json").json
    assert (early["sent"], early["left"]) == (0, {"UNKNOWN_SCHEMA": 2})
    assert f"schema id 1 is unknown: the schema registry at {registry.url} does not know it" in early["examples"][0]
    assert registry.register(SUBJECT, FOREIGN) == 1
    done = keepline(*place.arguments, "--registry-url", registry.url, "--json").json
    assert (done["sent"], done["left"]) == (1, {"UNKNOWN_SCHEMA": 1})
    (tmp_path / "call.avsc").write_text(json.dumps(FOREIGN))
    config = tmp_path / "job.toml"
    config.write_text(f'registry_url = "{registry.url}"\nwriter_schemas = ["{tmp_path}"]\n')
    assert keepline(*place.arguments, "--config", config, "--json").json["sent"] == 1
    later = Shell(registry.url, writer_schemas=(FOREIGN,))
    later.load([message.value() for message in place.sent()])
    assert later.run()
    assert (later.scored(), later.messages()) == (["one", "two"], [])


def test_a_registry_that_does_not_answer_stops_it(keepline: Command, place: Place, registry: EmbeddedRegistry, tmp_path: Path) -> None:
    """The sound letter before goes with its transaction: not sent, not settled, and its readers do not wait."""
    number = registry.register(SUBJECT, FOREIGN)
    numbered = pack_confluent(body(FOREIGN, WHOLE | {"tags": {}}), number)
    place.put(letter(event(), "KEY_MISMATCH"), letter(numbered, "UNKNOWN_SCHEMA"))
    registry.stop()
    file = tmp_path / "letters.jsonl"
    for flags in ([], ["--dry-run"], ["--export", file]):
        done = keepline(*place.arguments, "--registry-url", registry.url, *flags)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert f"error: no answer from the schema registry at {registry.url} to schema id {number} (" in done.err
        assert "start it, or correct registry_url" in done.err
        assert ("nothing of the last transaction was sent" in done.err) == (not flags)
    assert not file.exists(), "half an export would pass for a whole one"
    other = Producer({"bootstrap.servers": place.kafka.bootstrap_servers})
    other.produce(place.target, b"behind it")
    other.flush(10)
    assert [message.value() for message in place.sent()] == [b"behind it"]
    registry.start()
    registry.failing = True
    assert "HTTP 500" in keepline(*place.arguments, "--registry-url", registry.url).err
    registry.failing = False
    assert keepline(*place.arguments, "--registry-url", registry.url, "--json").json["sent"] == 2
    assert [message.value() for message in place.sent()] == [b"behind it", event(), numbered]


def test_an_export_reads_whatever_schema_is_known(keepline: Command, place: Place, registry: EmbeddedRegistry, tmp_path: Path) -> None:
    consent = copy.deepcopy(event_type("Consent").schema)
    next(each["type"]["symbols"] for each in consent["fields"] if each["name"] == "channel").append("FAX")
    short = FOREIGN | {"fields": [each for each in FOREIGN["fields"] if each["name"] != "outcome"]}
    asked = {name: CALL[name] for name in ("customer_id", "event_id", "event_time")} | {
        "purpose": "MARKETING", "channel": "FAX", "status": "DENIED", "time_zone": "Europe/Athens",
    }  # fmt: skip
    calls, consents, own = (
        registry.register(subject, schema) for subject, schema in (("a", short), ("b", consent), ("c", event_type("Call").schema))
    )
    unended = body(short, WHOLE | {"duration_s": float("nan"), "tags": {"k": "v"}})
    place.put(
        letter(pack_confluent(unended, calls), "UNKNOWN_SCHEMA"), letter(pack_confluent(body(consent, asked), consents), "UNKNOWN_SCHEMA"),
        letter(pack_confluent(event()[10:-3], own), "MALFORMED"), letter(pack_confluent(unended, 99), "UNKNOWN_SCHEMA"),
        letter(pack_confluent(unended[:-3], calls), "MALFORMED"),
    )  # fmt: skip
    file = tmp_path / "letters.jsonl"
    assert keepline(*place.arguments, "--registry-url", registry.url, "--export", file).code == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [("event" in line, "value" in line) for line in lines] == [
        (True, False),
        (True, False),
        (True, True),
        (False, True),
        (False, True),
    ]
    assert lines[0]["event"] == WHOLE | {"duration_s": "nan", "outcome": "COMPLETED"}, "a field that the writer lacks has its default"
    assert lines[1]["event"] == {"type": "Consent"} | asked
    assert list(lines[2]["event"]) == ["type", "customer_id", "event_id", "event_time", "direction"]
    lines[0]["event"]["duration_s"] = 3.0
    file.write_text(json.dumps(lines[0]) + "\n" + json.dumps(lines[1]))
    done = keepline(*place.arguments, "--repaired", file, "--json")
    assert (done.json["sent"], done.err.count("\n")) == (1, 1)
    assert f'{file}:2: INVALID_FIELD: Consent.channel is "FAX": expected one of SMS, EMAIL, PUSH, CALL, ALL' in done.err


def test_an_export_overwrites_nothing(keepline: Command, place: Place, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("hours of work")
    done = keepline(*place.arguments, "--export", file)
    assert (done.code, file.read_text()) == (2, "hours of work")
    assert "is there already" in done.err


def test_a_repaired_letter_that_the_topic_lost_is_sent_once(keepline: Command, place: Place, tmp_path: Path) -> None:
    from confluent_kafka.admin import AdminClient

    place.put(*(letter(event(event_id=str(n), duration_s=-1.0), "INVALID_FIELD") for n in range(3)))
    file = tmp_path / "letters.jsonl"
    keepline(*place.arguments, "--export", file)
    file.write_text(file.read_text().replace("-1.0", "1.0"))
    admin = AdminClient({"bootstrap.servers": place.kafka.bootstrap_servers})
    (deleted,) = admin.delete_records([TopicPartition(place.letters, 0, 2)]).values()
    deleted.result()
    assert keepline(*place.arguments, "--repaired", file, "--json").json["sent"] == 3
    assert keepline(*place.arguments, "--repaired", file, "--json").json["sent"] == 0
    assert len(place.sent()) == 3


def test_killed_in_the_middle_each_is_sent_once(kafka: EmbeddedKafka) -> None:
    place, count, draw = Place(kafka, partitions=3), 3000, random.Random(3)
    for partition in range(3):
        events = (event(event_id=f"{partition}-{n}", duration_s=-1.0 if n % 50 == 7 else 1.0) for n in range(count // 3))
        place.put(*(letter(each, "KEY_MISMATCH") for each in events), partition=partition)
    sound = count - 3 * len(range(7, count // 3, 50))
    kills = 0
    watch = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "watch", "log_level": 3})

    def written() -> int:
        return sum(watch.get_watermark_offsets(TopicPartition(place.target, number), 10)[1] for number in range(3))

    for _ in range(40):
        stop = written() + draw.randrange(30, 300)
        run = subprocess.Popen(
            [str(KEEPLINE), *place.arguments, "--batch", "20"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        while kills < 3 and run.poll() is None:
            if written() > stop:
                run.kill()
                kills += 1
                break
        _, err = run.communicate(timeout=120)
        if run.returncode == 0:
            break
        assert run.returncode == -9, err
    watch.close()
    assert kills == 3
    found = Counter(dict(m.headers())["redriven_from"] for m in place.sent())
    assert len(found) == sound
    assert set(found.values()) == {1}


WRONG = [
    (["--reason", "NONSENSE"], "--reason 'NONSENSE': expected one of MALFORMED, UNKNOWN_SCHEMA"),
    (["--export", "a", "--force"], "exclude each other"),
    (["--repaired", "a", "--reason", "MALFORMED"], "leave out --reason"),
    (["--since", "yesterday"], "yesterday"),
    (["--dead-letters", "absent"], "topic 'absent' at"),
    (["--repaired", "absent.jsonl"], "absent.jsonl"),
]


@pytest.mark.parametrize(("flags", "says"), WRONG, ids=[" ".join(flags) for flags, _ in WRONG])
def test_what_cannot_work_is_one_error(keepline: Command, place: Place, flags: list[str], says: str) -> None:
    done = keepline(*place.arguments, *flags)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("error: ")
    assert says in done.err


def test_a_topic_without_letters_is_told(keepline: Command, place: Place) -> None:
    producer = Producer({"bootstrap.servers": place.kafka.bootstrap_servers})
    producer.produce(place.letters, event())
    producer.flush(10)
    done = keepline(*place.arguments)
    assert done.code == 2
    assert f"the record {place.letters}-0-0 is a Call, no dead letter; name the job's own topic with --dead-letters" in done.err


def test_a_target_that_is_not_there_is_told_before_anything_is_sent(keepline: Command, place: Place) -> None:
    place.put(letter(event(), "KEY_MISMATCH"))
    done = keepline(*place.arguments, "--topic", "absent")
    assert done.code == 2
    assert "topic 'absent' at" in done.err
    assert keepline(*place.arguments, "--json").json["sent"] == 1
