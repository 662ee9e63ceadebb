"""`next-app sync`: a phone's buffered events into the topics, each exactly once, however often and wherever the sync is killed.

    files of models/on_device.Buffer ──► events by device and number ──► those above the acknowledged number, up to the first gap
                     PREFIX.synced (compacted, key = device) ──────────┘        │
                                                                               └► one transaction: the events and the new number

The numbers of a device are made by one counter. What the stream has is remembered as the last number, a digest of that event (which finds
a counter that went back: the same number for another event), and a digest of device and user (which finds another user's events). The
transactional id is the device's, so that a second sync of a device fences the first off.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import KafkaError as ClientError
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from keepline.jobs.kafka_client import PATIENCE_SECONDS, KafkaError, client, partitions, producer, reader, reason
from keepline.schemas.catalog import event_type
from keepline.schemas.encode import Rejected, encode
from keepline.schemas.errors import KeeplineError

Progress = Callable[[int, int], None]
TYPES = ("AppOpen", "Unlock")
TIMEOUT_SECONDS = 60
TRANSACTION_SECONDS = 30
"""A transaction that is open for so long is ended by the broker: so long a killed sync may hold up others."""
BATCH, MAX_BYTES = 500, 8 << 20
"""Events, and bytes of them, in one transaction."""
DEVICES = 16
"""Whose memory is read in one pass over the topic."""
MAX_LINE = 1 << 20
FENCED = (ClientError._FENCED, ClientError.INVALID_PRODUCER_EPOCH)
_DEVICE = re.compile(r"[0-9a-f]{32}")
_AGAIN = "run it again: what was sent is remembered, and the rest is sent then"


class SyncError(KeeplineError):
    """Topics that cannot take what was asked for; the message says what to do."""


class Event(NamedTuple):
    """A line of a buffer. `value` is "" for one that cannot be sent, but whose number is known."""

    number: int
    digest: str
    type_name: str = ""
    time: int = 0
    value: bytes = b""


class Known(NamedTuple):
    """What PREFIX.synced says of a device."""

    sequence: int = 0
    digest: str = ""
    owner: str = ""


@dataclass
class Device:
    """What the files hold of a device, and what came of it."""

    device: str
    customer_id: str
    events: dict[int, Event] = field(default_factory=dict)
    repeated: int = 0
    """Lines that were there already."""
    sent: int = 0
    before: int = 0
    """Events that an earlier sync sent."""
    held: int = 0
    """Events behind a gap, not sent."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """First and last number of what is missing."""
    acknowledged: int = 0
    refused: str = ""
    """Why nothing of the device was sent."""

    @property
    def owner(self) -> str:
        """Binds the device to its user without naming either: the device's id is random."""
        return hashlib.sha256(f"{self.device}|{self.customer_id}".encode()).hexdigest()[:32]

    def as_json(self) -> dict[str, Any]:
        """All but the events and the user."""
        return {name: value for name, value in asdict(self).items() if name not in ("events", "customer_id")}


@dataclass(frozen=True, slots=True)
class Wish:
    """Where to send, and how."""

    servers: str
    topics: tuple[str, ...] = ("telemetry",)
    synced: str = "device.synced"
    over_gaps: bool = False
    dry_run: bool = False
    kafka: Mapping[str, str] = field(default_factory=dict)

    def topic(self, type_name: str) -> str:
        """A type's own topic if it is among the job's, else the only one. SyncError where neither is."""
        own = event_type(type_name).topic
        if own in self.topics:
            return own
        if len(self.topics) == 1:
            return self.topics[0]
        msg = f"none of the topics {', '.join(self.topics)} is for {type_name}: expected one topic for all types, or {own} among them"
        raise SyncError(msg)


class Read(NamedTuple):
    """What files hold: devices in order of appearance, and what of each wrong line."""

    devices: list[Device]
    bad: list[str]


def read_files(paths: Iterable[Path]) -> Read:
    """All lines of the files, by device and number. OSError for a file that cannot be read."""
    devices: dict[str, Device] = {}
    bad: list[str] = []
    for path in paths:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE):
                number += 1
                why = _take(devices, raw) if raw.strip() else ""
                if why:
                    bad.append(f"{path}:{number}: {why}")
    return Read(list(devices.values()), bad)


def _take(devices: dict[str, Device], raw: bytes) -> str:
    """Takes a line in; what is wrong with it, if anything."""
    if not raw.endswith(b"\n"):
        return "the line was cut off: expected a line break at its end. The phone drops such a line, and gives its number to another event"
    try:
        line = json.loads(raw)
        device, number = line["device"], line.get("sequence")
        if number is None and "acknowledged" in line:
            return ""  # the head of a buffer
        customer = line["customer_id"]
        customer.encode()
        sound = _DEVICE.fullmatch(device) is not None and type(number) is int and 0 < number < 1 << 53 and type(customer) is str
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        return "expected an event with device (32 hex digits), sequence (from 1) and customer_id, as models/on_device.py writes it"
    digest = hashlib.sha256(json.dumps(line, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]
    found = devices.setdefault(device, Device(device, customer))
    if customer != found.customer_id:
        found.refused = "its events are of two users: begin a buffer of its own for each user of a phone"
    if number in found.events:
        found.repeated += 1
        if found.events[number].digest != digest:
            found.refused = f"two events have the number {number}: the counter of the device went back. {_RENEW}"
        return ""
    made = encode({**line, "event_id": f"{device}-{number}"}) if line.get("type") in TYPES else None
    if made is None or isinstance(made, Rejected):
        found.events[number] = Event(number, digest)
        return f"sequence {number}: {made.message if made else 'type is none of ' + ', '.join(TYPES)}"
    found.events[number] = Event(number, digest, line["type"], made.event_time, made.value)
    return ""


_RENEW = "Call `renew` on the phone's buffer (docs/on-device.md), and sync it again"


def plan(found: Device, known: Known, *, over_gaps: bool) -> list[Event]:
    """The events to be sent, in order; the device's counts and what is refused are filled in."""
    found.acknowledged = known.sequence
    same = found.events.get(known.sequence)
    if not found.refused and known.sequence and known.owner != found.owner:
        found.refused = "the device has sent events of another user before: begin a new buffer, in another file, for this one"
    if not found.refused and same is not None and same.digest != known.digest:
        found.refused = f"number {known.sequence} was sent before with another event: the counter of the device went back. {_RENEW}"
    if found.refused:
        return []
    found.before = sum(number <= known.sequence for number in found.events)
    last, chosen = known.sequence, list[Event]()
    later = sorted(number for number in found.events if number > known.sequence)
    for place, number in enumerate(later):
        if number != last + 1:
            found.gaps.append((last + 1, number - 1))
            if not over_gaps:
                found.held = len(later) - place
                break
        chosen.append(found.events[number])
        last = number
    return chosen


class Sync:
    """One run over some devices."""

    def __init__(self, wish: Wish, progress: Progress | None = None) -> None:
        self._wish, self._progress = wish, progress
        self._done = self._all = 0

    def run(self, devices: Sequence[Device]) -> None:
        """Sends what is new of each. KafkaError, SyncError; what was committed before stays, and is remembered."""
        wish = self._wish
        topics = {wish.topic(name) for name in TYPES}
        asked = client(Consumer, reader(wish.servers, wish.kafka))
        try:
            for topic in (*sorted(topics), wish.synced):
                partitions(asked, wish.servers, topic)
        finally:
            asked.close()
        self._refuse_short_memory()
        self._all = sum(len(each.events) for each in devices)
        for start in range(0, len(devices), DEVICES):
            self._some(devices[start : start + DEVICES])

    def _some(self, devices: Sequence[Device]) -> None:
        # Producers first: their start ends whatever another sync of the device left open, so that the memory read then is the last word.
        made = {} if self._wish.dry_run else {each.device: self._begin(each.device) for each in devices}
        known = self._remembered({each.device for each in devices})
        for each in devices:
            chosen = plan(each, known.get(each.device, Known()), over_gaps=self._wish.over_gaps)
            if self._wish.dry_run:
                each.sent = sum(bool(event.value) for event in chosen)
                continue
            for batch in _batches(chosen):
                self._send(made[each.device], each, batch)
            self._done += len(each.events)
            if self._progress:
                self._progress(self._done, self._all)

    def _begin(self, device: str) -> Producer:
        wish = self._wish
        config = {"transactional.id": f"keepline-sync-{device}", "transaction.timeout.ms": TRANSACTION_SECONDS * 1000}
        made = client(Producer, producer(wish.servers, wish.kafka) | config)
        try:
            made.init_transactions(TIMEOUT_SECONDS)
        except KafkaException as error:
            msg = f"Kafka at {wish.servers}: no transaction for device {device}: {reason(error)}; run it again"
            raise KafkaError(msg) from None
        return made

    def _send(self, made: Producer, found: Device, batch: Sequence[Event]) -> None:
        """One transaction: events, and the number of the last."""
        wish, customer, now = self._wish, found.customer_id.encode(), int(time.time() * 1000)
        last = batch[-1]
        memory = {"sequence": last.number, "digest": last.digest, "owner": found.owner, "synced_at": now}
        headers = [("created_ms", str(now).encode())]
        try:
            made.begin_transaction()
            for event in batch:
                if event.value:
                    topic = wish.topic(event.type_name)
                    _produce(made, topic, event.value, customer, timestamp=max(event.time, 0), headers=headers)
            _produce(made, wish.synced, json.dumps(memory).encode(), found.device.encode())
            made.commit_transaction(TIMEOUT_SECONDS)
        except KafkaException as error:
            with suppress(KafkaException):  # the next run's start ends it
                made.abort_transaction(TIMEOUT_SECONDS)
            fenced = "another sync of this device has begun meanwhile; " if error.args[0].code() in FENCED else ""
            msg = f"Kafka at {wish.servers}, device {found.device}: {fenced}{reason(error)}; {_AGAIN}"
            raise KafkaError(msg) from None
        found.sent += sum(bool(event.value) for event in batch)
        found.acknowledged = last.number

    def _remembered(self, devices: set[str]) -> dict[str, Known]:
        """The newest memory of each device. All that was written before is waited for, open transactions of other devices too."""
        found: dict[str, Known] = {}
        for key, value in self._memory():
            device = key.decode(errors="replace")
            if device not in devices:
                continue
            try:
                record = json.loads(value)
                known = Known(int(record["sequence"]), str(record["digest"]), str(record["owner"]))
            except (ValueError, KeyError, TypeError):
                msg = f"topic {self._wish.synced!r}: the record of device {device} is none that sync wrote; give another --output-prefix"
                raise SyncError(msg) from None
            if known.sequence >= found.get(device, Known()).sequence:
                found[device] = known
        return found

    def _memory(self) -> Iterator[tuple[bytes, bytes]]:
        from keepline.jobs.tail import messages

        wish = self._wish
        ends = self._ends("read_uncommitted")
        deadline = time.monotonic() + 2 * TRANSACTION_SECONDS  # brokers look for those that are over every 10 s
        while any(stable < ends[place] for place, stable in self._ends("read_committed").items() if place in ends):
            if time.monotonic() > deadline:
                msg = f"topic {wish.synced!r} at {wish.servers}: a transaction stays open and hides the newest numbers; run it again"
                raise KafkaError(msg)
            time.sleep(0.2)
        pairs = (f"{name}={value}" for name, value in wish.kafka.items())
        for message in messages(wish.synced, wish.servers, pairs):
            if message.key() and message.value():
                yield message.key(), message.value()

    def _ends(self, isolation: str) -> dict[int, int]:
        """Where each partition of the memory ends: for uncommitted readers its last record, for others the first open transaction."""
        wish = self._wish
        asked = client(Consumer, reader(wish.servers, wish.kafka) | {"isolation.level": isolation})
        try:
            places = partitions(asked, wish.servers, wish.synced)
            return {each: asked.get_watermark_offsets(TopicPartition(wish.synced, each), TIMEOUT_SECONDS)[1] for each in places}
        except KafkaException as error:
            msg = f"topic {wish.synced!r} at {wish.servers}: {reason(error)}; run it again"
            raise KafkaError(msg) from None
        finally:
            asked.close()

    def _refuse_short_memory(self) -> None:
        """SyncError where the topic forgets numbers, after which a second sync would send all again. Nothing where we may not ask."""
        wish = self._wish
        admin = client(AdminClient, {"bootstrap.servers": wish.servers, **wish.kafka})
        wanted = ConfigResource(ResourceType.TOPIC, wish.synced)
        try:
            (answer,) = admin.describe_configs([wanted], request_timeout=PATIENCE_SECONDS).values()
            found = answer.result(PATIENCE_SECONDS)
        except (KafkaException, TimeoutError):
            return
        policy, limit = found["cleanup.policy"].value, int(found["retention.ms"].value)
        if policy != "compact" and limit >= 0:
            msg = (
                f"topic {wish.synced!r} at {wish.servers} has cleanup.policy={policy} and forgets what was synced after {limit} ms: "
                "expected compact. Change it with kafka-configs.sh --alter --add-config cleanup.policy=compact"
            )
            raise SyncError(msg)


def _produce(made: Producer, topic: str, value: bytes, key: bytes, **more: Any) -> None:
    while True:
        try:
            made.produce(topic, value, key, **more)
        except BufferError:
            made.poll(0.1)
        else:
            return


def _batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    batch, size = list[Event](), 0
    for event in events:
        batch.append(event)
        size += len(event.value)
        if len(batch) >= BATCH or size >= MAX_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def sync(paths: Sequence[Path], wish: Wish, progress: Progress | None = None) -> Read:
    """Merges the files' events into the topics; what came of each device, and what is wrong with lines."""
    found = read_files(paths)
    if found.devices:
        Sync(wish, progress).run(found.devices)
    return found
