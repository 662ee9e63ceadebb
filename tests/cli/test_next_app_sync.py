"""`keepline next-app sync` against a real broker: each event once, whatever is killed, repeated, torn, mixed up or set back."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from keepline.jobs import device_sync
from keepline.jobs.device_sync import Device, Event, Known, Sync, SyncError, Wish, plan, read_files
from keepline.jobs.kafka_client import KafkaError
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.tail import messages
from keepline.models.on_device import Buffer, DeviceFileError, Phone
from keepline.schemas.records import to_record
from tests.cli.conftest import Command
from tests.cli.test_kafka_commands import QUIET
from tests.models.next_app.phones import life, model, tell

COMPACT = {"cleanup.policy": "compact"}


class Place(NamedTuple):
    """A broker, and topics of a test's own."""

    servers: str
    topic: str
    prefix: str

    @property
    def flags(self) -> list[str]:
        return ["--bootstrap-servers", self.servers, "--topics", self.topic, "--output-prefix", self.prefix, "--json"]

    @property
    def wish(self) -> Wish:
        return Wish(self.servers, (self.topic,), f"{self.prefix}.synced")

    def events(self) -> list[dict[str, Any]]:
        """What the stream sees."""
        found = []
        for message in messages(self.topic, self.servers):
            name, record = to_record(message.value())
            assert message.key() == record["customer_id"].encode()
            assert message.timestamp()[1] == record["event_time"]
            found.append({"type": name} | record)
        return found

    def ids(self) -> list[str]:
        return [event["event_id"] for event in self.events()]


@pytest.fixture
def place(kafka: EmbeddedKafka) -> Place:
    name = uuid.uuid4().hex
    kafka.create_topics([f"in-{name}"])
    kafka.create_topics([f"{name}.synced"], configs=COMPACT)
    return Place(kafka.bootstrap_servers, f"in-{name}", name)


def phone(path: Path, customer: str = "c-1") -> Phone:
    from keepline.models.next_app.export import phone_of

    return Phone.from_bytes(phone_of(model(), b"", customer).to_bytes(), Buffer(path))


def used(path: Path, count: int, customer: str = "c-1", seed: int = 1) -> Buffer:
    """A buffer of so many events."""
    own = phone(path, customer)
    for event in life(seed, 9)[:count]:
        tell(own, event)
    return Buffer(path)


def ids_of(buffer: Buffer, numbers: range) -> list[str]:
    return [f"{buffer.device}-{number}" for number in numbers]


def told(buffer: Buffer, **counts: Any) -> dict[str, Any]:
    none = {"sent": 0, "before": 0, "held": 0, "repeated": 0, "gaps": [], "acknowledged": 0, "refused": ""}
    return {"device": buffer.device} | none | counts


def test_a_phone_s_round(keepline: Command, place: Place, tmp_path: Path) -> None:
    """Offline, sync, sync again, acknowledge, go on, sync."""
    path = tmp_path / "b.jsonl"
    buffer = used(path, 30)
    dry = keepline("next-app", "sync", path, *place.flags, "--dry-run")
    assert (dry.code, dry.json["devices"], place.events()) == (0, [told(buffer, sent=30)], [])
    first = keepline("next-app", "sync", path, *place.flags)
    assert (first.code, first.json) == (
        0, {"dry_run": False, "devices": [told(buffer, sent=30, acknowledged=30)], "bad_lines": []}
    )  # fmt: skip
    again = keepline("next-app", "sync", path, *place.flags)
    assert again.json["devices"] == [told(buffer, before=30, acknowledged=30)]
    buffer.acknowledge(30)
    own = phone(path)
    for event in life(1, 9)[30:50]:
        tell(own, event)
    assert keepline("next-app", "sync", path, *place.flags).json["devices"] == [told(buffer, sent=20, acknowledged=50)]
    found = place.events()
    assert [event["event_id"] for event in found] == ids_of(buffer, range(1, 51))
    for event, made in zip(found, life(1, 9), strict=False):
        own = made | {"customer_id": "c-1", "event_id": event["event_id"]}
        assert {name: event[name] for name in own} == own
    plain = keepline("next-app", "sync", path, *place.flags[:-1])
    assert plain.out == f"{buffer.device}: 0 sent, 20 sent before, acknowledged 50\n"
    assert "app1" not in plain.out + plain.err


def test_types_go_to_their_own_topics(keepline: Command, kafka: EmbeddedKafka, place: Place, tmp_path: Path) -> None:
    used(tmp_path / "b.jsonl", 3)
    wrong = keepline("next-app", "sync", tmp_path / "b.jsonl", *place.flags, "--topics", "a,b")
    assert (wrong.code, "none of the topics a, b is for AppOpen: expected one topic for all types, or device.app-opens" in wrong.err) == (
        2,
        True,
    )
    wish = Wish("", ("control.erasures", "device.app-opens", "device.unlocks"))
    assert [wish.topic(name) for name in ("AppOpen", "Unlock")] == ["device.app-opens", "device.unlocks"]


KILLER = """
import os, signal, sys
from pathlib import Path
import confluent_kafka
from keepline.jobs import device_sync

class Killed(confluent_kafka.Producer):
    count = 0
    def commit_transaction(self, *args):
        Killed.count += 1
        last = Killed.count == int(sys.argv[5])
        if last and sys.argv[4] == "before":
            self.flush(10)
            os.kill(os.getpid(), signal.SIGKILL)
        super().commit_transaction(*args)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

device_sync.Producer, device_sync.BATCH = Killed, 10
wish = device_sync.Wish(sys.argv[1], (sys.argv[2],), sys.argv[3] + ".synced")
device_sync.sync([Path(sys.argv[6])], wish)
"""


@pytest.mark.parametrize(("moment", "batch", "sent"), [("before", 1, 0), ("after", 1, 10), ("before", 3, 20), ("after", 3, 30)])
def test_killed_between_send_and_commit(keepline: Command, place: Place, tmp_path: Path, moment: str, batch: int, sent: int) -> None:
    """With batches of 10: nothing lost, nothing twice, all in order."""
    path = tmp_path / "b.jsonl"
    buffer = used(path, 35)
    arguments = [place.servers, place.topic, place.prefix, moment, str(batch), str(path)]
    done = subprocess.run([sys.executable, "-c", KILLER, *arguments], check=False, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    result = keepline("next-app", "sync", path, *place.flags)
    assert result.json["devices"] == [told(buffer, sent=35 - sent, before=sent, acknowledged=35)]
    assert place.ids() == ids_of(buffer, range(1, 36))


def test_an_open_transaction_of_another_device_hides_nothing(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hides the memory behind it from committed readers until it ends; a sync that did not wait would send all again."""
    buffer = used(tmp_path / "b.jsonl", 5)
    hanging = Producer(
        {"bootstrap.servers": place.servers, "transactional.id": uuid.uuid4().hex, "transaction.timeout.ms": 4000}, logger=QUIET
    )
    hanging.init_transactions(30)
    hanging.begin_transaction()
    hanging.produce(place.wish.synced, b"{}", b"another")
    assert hanging.flush(10) == 0
    (first,) = read_files([tmp_path / "b.jsonl"]).devices
    Sync(place.wish)._send(Sync(place.wish)._begin(buffer.device), first, list(first.events.values()))
    assert dict(Sync(place.wish)._ends("read_committed")) == {0: 0}
    found = device_sync.sync([tmp_path / "b.jsonl"], place.wish)
    assert (found.devices[0].sent, found.devices[0].before) == (0, 5)
    assert place.ids() == ids_of(buffer, range(1, 6))
    hanging.purge()
    # One that does not end in time is an error, and sends nothing.
    late = Producer({"bootstrap.servers": place.servers, "transactional.id": uuid.uuid4().hex}, logger=QUIET)
    late.init_transactions(30)
    late.begin_transaction()
    late.produce(place.wish.synced, b"{}", b"another")
    assert late.flush(10) == 0
    monkeypatch.setattr(device_sync, "TRANSACTION_SECONDS", 1)
    with pytest.raises(KafkaError, match="a transaction stays open and hides the newest numbers; run it again"):
        Sync(place.wish)._remembered(set())
    late.abort_transaction(30)


def test_a_second_sync_fences_the_first(place: Place, tmp_path: Path) -> None:
    """The first has begun and not ended: its commit fails, and what it had sent never was."""
    buffer = used(tmp_path / "b.jsonl", 4)
    (found,) = read_files([tmp_path / "b.jsonl"]).devices
    slow = Sync(place.wish)
    begun = slow._begin(buffer.device)
    device_sync.sync([tmp_path / "b.jsonl"], place.wish)
    with pytest.raises(KafkaError, match=f"device {buffer.device}: another sync of this device has begun meanwhile; .*run it again"):
        slow._send(begun, found, list(found.events.values()))
    assert (found.sent, place.ids()) == (0, ids_of(buffer, range(1, 5)))


def test_gaps_hold_up_what_comes_after(keepline: Command, place: Place, tmp_path: Path) -> None:
    """Two files of a device that arrive in the wrong order lose nothing."""
    path, older, newer = tmp_path / "b.jsonl", tmp_path / "older.jsonl", tmp_path / "newer.jsonl"
    buffer = used(path, 12)
    head, *lines = path.read_text().splitlines(keepends=True)
    older.write_text("".join([head, *lines[:5]]))
    newer.write_text("".join([head, *lines[5:]]))
    held = keepline("next-app", "sync", newer, *place.flags)
    assert (held.code, held.json["devices"]) == (1, [told(buffer, held=7, gaps=[[1, 5]])])
    assert "1 to 5 are missing; 7 events after it are held" in keepline("next-app", "sync", newer, *place.flags[:-1]).err
    assert place.events() == []
    both = keepline("next-app", "sync", newer, older, path, *place.flags)
    assert (both.code, both.json["devices"]) == (0, [told(buffer, sent=12, repeated=12, acknowledged=12)])
    assert place.ids() == ids_of(buffer, range(1, 13))


def test_gaps_may_be_given_up(keepline: Command, place: Place, tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    buffer = used(path, 9)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3] + lines[5:7] + lines[8:]))
    given_up = keepline("next-app", "sync", path, *place.flags, "--over-gaps")
    assert (given_up.code, given_up.json["devices"]) == (0, [told(buffer, sent=6, gaps=[[3, 4], [7, 7]], acknowledged=9)])
    assert place.ids() == [f"{buffer.device}-{number}" for number in (1, 2, 5, 6, 8, 9)]


def test_wrong_lines_are_told_and_not_sent(keepline: Command, place: Place, tmp_path: Path) -> None:
    """A line whose number is known is no gap; one that was cut off is not sent, since the phone gives its number away again."""
    path = tmp_path / "b.jsonl"
    buffer = used(path, 6)
    lines = path.read_text().splitlines(keepends=True)
    broken = json.loads(lines[3]) | {"event_time": "noon"}
    path.write_text(
        "".join([*lines[:3], json.dumps(broken) + "\n", "{bad\n", "[]\n", '{"device": 1}\n', *lines[4:6], lines[6].rstrip("\n")])
    )
    result = keepline("next-app", "sync", path, *place.flags)
    assert (result.code, result.json["devices"]) == (0, [told(buffer, sent=4, acknowledged=5)])
    assert place.ids() == [f"{buffer.device}-{number}" for number in (1, 2, 4, 5)]
    reported = [line.removeprefix(f"{path}:").split(": ")[0:2] for line in result.json["bad_lines"]]
    assert [place_ for place_, _ in reported] == ["4", "5", "6", "7", "10"]
    assert "sequence 3: " in result.json["bad_lines"][0]
    assert "event_time is " in result.json["bad_lines"][0]
    assert "the line was cut off" in result.json["bad_lines"][-1]
    assert keepline("next-app", "sync", path, *place.flags, "--strict").code == 1


def test_a_counter_that_went_back(keepline: Command, place: Place, tmp_path: Path) -> None:
    """A backup of the buffer is restored after a sync: refused, nothing sent, until the phone renews."""
    path, backup = tmp_path / "b.jsonl", tmp_path / "backup.jsonl"
    used(path, 4)
    shutil.copy(path, backup)
    buffer = used(path, 4)
    assert keepline("next-app", "sync", path, *place.flags).json["devices"][0]["acknowledged"] == 8
    shutil.copy(backup, path)
    own = phone(path)
    for event in life(5, 9)[:2]:
        tell(own, event)
    # As long as the phone has made fewer numbers than the stream has, they pass for sent, but the phone keeps its events.
    assert keepline("next-app", "sync", path, *place.flags).json["devices"] == [told(buffer, before=6, acknowledged=8)]
    with pytest.raises(DeviceFileError, match=r"8 events are in the stream, but the last here is number 6.*`renew`"):
        Buffer(path).acknowledge(8)
    own = phone(path)
    for event in life(5, 9)[2:6]:
        tell(own, event)
    result = keepline("next-app", "sync", path, *place.flags)
    assert (result.code, result.json["devices"][0]["sent"]) == (1, 0)
    assert "number 8 was sent before with another event: the counter of the device went back" in result.json["devices"][0]["refused"]
    assert place.ids() == ids_of(buffer, range(1, 9))
    renewed = Buffer(path)
    renewed.acknowledge(4)
    renewed.renew()
    assert keepline("next-app", "sync", path, *place.flags).json["devices"] == [told(renewed, sent=6, acknowledged=6)]
    assert len(place.ids()) == len(set(place.ids())) == 14


def test_one_device_is_one_user_s(keepline: Command, place: Place, tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    used(path, 3)
    assert keepline("next-app", "sync", path, *place.flags).code == 0
    other = path.read_text().replace('"c-1"', '"c-2"').replace('"sequence":', '"sequence":1')
    (tmp_path / "other.jsonl").write_text(other)
    refused = keepline("next-app", "sync", tmp_path / "other.jsonl", *place.flags, "--over-gaps")
    assert (refused.code, "has sent events of another user before" in refused.json["devices"][0]["refused"]) == (1, True)
    both = keepline("next-app", "sync", path, tmp_path / "other.jsonl", *place.flags, "--over-gaps")
    assert (both.code, "its events are of two users" in both.json["devices"][0]["refused"]) == (1, True)
    assert {event["customer_id"] for event in place.events()} == {"c-1"}


def test_many_devices(keepline: Command, place: Place, tmp_path: Path) -> None:
    """More than are begun at once; one of them is refused, and the others are sent."""
    buffers = [used(tmp_path / f"{i}.jsonl", 2 + i % 3, f"c-{i}") for i in range(device_sync.DEVICES + 3)]
    wrong = tmp_path / "5.jsonl"
    wrong.write_text(wrong.read_text().replace('"c-5"', '"c-x"', 2))
    result = keepline("next-app", "sync", *(tmp_path / f"{i}.jsonl" for i in range(len(buffers))), *place.flags)
    assert result.code == 1
    counts = [each["acknowledged"] for each in result.json["devices"]]
    assert counts == [0 if i == 5 else 2 + i % 3 for i in range(len(buffers))]
    assert sorted(place.ids()) == sorted(id_ for i, each in enumerate(buffers) if i != 5 for id_ in ids_of(each, range(1, 3 + i % 3)))


def test_a_memory_that_forgets_is_refused(keepline: Command, kafka: EmbeddedKafka, place: Place, tmp_path: Path) -> None:
    used(tmp_path / "b.jsonl", 2)
    prefix = uuid.uuid4().hex
    absent = keepline("next-app", "sync", tmp_path / "b.jsonl", *place.flags, "--output-prefix", prefix)
    assert (absent.code, f"topic '{prefix}.synced'" in absent.err, "create the topic" in absent.err) == (2, True, True)
    kafka.create_topics([f"{prefix}.synced"], configs={"retention.ms": "604800000"})
    short = keepline("next-app", "sync", tmp_path / "b.jsonl", *place.flags, "--output-prefix", prefix)
    assert (short.code, "cleanup.policy=delete and forgets what was synced after 604800000 ms: expected compact" in short.err) == (2, True)
    assert place.events() == []


def test_a_memory_of_something_else_is_refused(place: Place, tmp_path: Path) -> None:
    buffer = used(tmp_path / "b.jsonl", 2)
    producer = Producer({"bootstrap.servers": place.servers}, logger=QUIET)
    producer.produce(place.wish.synced, b'{"what": 1}', buffer.device.encode())
    producer.flush(10)
    with pytest.raises(SyncError, match="is none that sync wrote"):
        device_sync.sync([tmp_path / "b.jsonl"], place.wish)


def test_the_memory_names_nobody(keepline: Command, place: Place, tmp_path: Path) -> None:
    buffer = used(tmp_path / "b.jsonl", 3, "customer-with-a-name")
    assert keepline("next-app", "sync", tmp_path / "b.jsonl", *place.flags).code == 0
    (kept,) = messages(place.wish.synced, place.servers)
    assert kept.key() == buffer.device.encode()
    assert json.loads(kept.value()).keys() == {"sequence", "digest", "owner", "synced_at"}
    assert b"customer" not in kept.value()
    # The topic's own end is readable by who reads uncommitted, too: the sync left no open transaction.
    asked = Consumer({"bootstrap.servers": place.servers, "group.id": uuid.uuid4().hex, "isolation.level": "read_committed"}, logger=QUIET)
    assert asked.get_watermark_offsets(TopicPartition(place.wish.synced, 0), 10)[1] == Sync(place.wish)._ends("read_uncommitted")[0]
    asked.close()


numbers = st.sets(st.integers(1, 12))


@given(numbers, st.integers(0, 12), st.booleans())
def test_what_is_sent(found: set[int], known: int, over_gaps: bool) -> None:
    """Against the rule in plain words: all numbers above the known one, without --over-gaps only up to the first that is missing."""
    device = Device("d", "c", {number: Event(number, f"digest{number}") for number in found})
    chosen = [event.number for event in plan(device, Known(known, f"digest{known}", device.owner), over_gaps=over_gaps)]
    missing = [number for number in range(known + 1, max(found, default=0)) if number not in found]
    above = sorted(number for number in found if number > known)
    assert chosen == (above if over_gaps or not missing else [number for number in above if number < missing[0]])
    assert device.before == len([number for number in found if number <= known])
    assert device.held == len(above) - len(chosen)
    told_missing = [number for first, last in device.gaps for number in range(first, last + 1)]
    assert told_missing == missing if over_gaps else told_missing == missing[: len(told_missing)]
    assert bool(device.held) <= bool(device.gaps)
