"""`next-app export`: a user's profile from the user's events, put together with a model to the file of a phone.

    event files ───────────────────────────────────► the user's values ──► decoder ──► kernel ──► state ──┐
    topics, committed, by key, merged by timestamp ─┘  (as in the stream)                                 ├──► Phone ──► file
    manifest of a logistic model ─────────────────────────────────────────────────────────────────────────┘

The stream's own state is Flink's and cannot be asked, so the profile is made anew by the same code. It holds what files or topics hold.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from confluent_kafka import OFFSET_END, Consumer

from keepline.features.layout import W_NEWEST
from keepline.features.next_app import kernel
from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import SIZE
from keepline.features.next_app.single import User
from keepline.jobs.judge import Judge
from keepline.jobs.kafka_client import client, partitions, properties, reader
from keepline.jobs.next_app_settings import NextAppSettings
from keepline.jobs.tail import messages
from keepline.models.contact.rules import DAY_MS
from keepline.models.next_app.export import phone_of
from keepline.models.next_app.manifest import Loaded
from keepline.models.next_app.predict import predict
from keepline.operators.next_app_kernel import RETENTION
from keepline.operators.spec import MAX_TIME_MS, MIN_TIME_MS
from keepline.schemas.catalog import CUSTOMER_ID, EVENT_ID, EVENT_TIME, EVENT_TYPES, event_type
from keepline.schemas.decode import check_time
from keepline.schemas.errors import KeeplineError
from keepline.schemas.files import read_blocks
from keepline.schemas.records import to_record
from keepline.schemas.sources import Progress
from keepline.schemas.status import Reason
from keepline.schemas.text import is_utf8

Counted = Callable[[int, int], None]
TOLD_EVERY = 10_000
_ERASURE = event_type("Erasure").id


class ExportError(KeeplineError):
    """An id that no user can have, or a file that cannot be written; the message says what to do."""


@dataclass
class Profile:
    """What the stream would know of a user."""

    state: bytes
    refused: Counter[str] = field(default_factory=Counter)
    """By reason; the stream would not take them either."""
    values: list[bytes] = field(default_factory=list)
    """Of the events that count: neither refused, repeated nor late, and since the last erasure."""


class Life(Judge):
    """One user's state, which takes values as the stream does: decode, validate, duplicate, late, update."""

    def __init__(self, customer: str, constants: Constants, settings: NextAppSettings, wall_ms: int = 0) -> None:
        """`wall_ms`: a time more than a day after it is refused; 0: none is."""
        super().__init__("", settings.writer_schemas, settings.registry_url, settings.registry)
        self._customer, self._constants, self._wall = customer.encode(), constants.array(), wall_ms
        self._s64 = np.zeros(SIZE // 8, np.int64)
        self._profile = Profile(b"")

    @property
    def refused(self) -> Counter[str]:
        """Counts of what was refused, to be added to."""
        return self._profile.refused

    @property
    def profile(self) -> Profile:
        """What is known by now."""
        self._profile.state = self._s64.tobytes()
        return self._profile

    def take(self, value: bytes) -> None:
        """One value, of this user or another."""
        status, kind, _ = self._decode(value)
        ri, _, rs, rn = self._regs
        start, length = rs[CUSTOMER_ID].tolist()
        if status == 0 and value[start : start + length] != self._customer:
            return
        t, id_hash = int(ri[EVENT_TIME]), int(ri[EVENT_ID])
        if status == 0:
            status = check_time(t, MIN_TIME_MS, MAX_TIME_MS, self._wall, DAY_MS)
        if status == 0 and EVENT_TYPES[kind].control:
            if kind == _ERASURE:
                self._forget()
            return
        if status == 0:
            if kernel.exists(self._s64, 0) and t - int(self._s64[W_NEWEST]) >= RETENTION:
                self._forget()
            status = kernel.admit(self._s64, 0, t, id_hash)
        if status != 0:
            self._profile.refused[Reason(status).name] += 1
            return
        kernel.update(self._s64, 0, kind, t, id_hash, ri, rn, rs, np.frombuffer(value, np.uint8), self._constants)
        self._profile.values.append(value)

    def _forget(self) -> None:
        kernel.drop(self._s64, 0)
        self._profile.values.clear()


def check_user(customer: str) -> None:
    """ExportError for what can be no customer_id."""
    raw = customer.encode(errors="surrogateescape")
    if not 1 <= len(raw) <= 128 or not is_utf8(np.frombuffer(raw, np.uint8), 0, len(raw)):
        msg = f"USER has {len(raw)} bytes: expected a customer_id of 1 to 128 bytes in UTF-8 without NUL"
        raise ExportError(msg)


def from_files(
    paths: Sequence[Path], customer: str, refused: Counter[str], type_name: str | None = None, progress: Progress | None = None
) -> Iterator[bytes]:
    """Values that may be the user's, merged as the contract says; lines that are no events are counted. FileError."""
    needle = customer.encode()
    for block in read_blocks(paths, type_name, progress).blocks:
        refused.update(line.why.reason.name for line in block.rejected if line.why.customer_id in ("", customer))
        for i in range(len(block)):
            value = block.value(i)
            if needle in value:
                yield value


def from_topics(
    settings: NextAppSettings, customer: str, given: Iterable[str] = (), *, own_partition: bool = False, progress: Counted | None = None
) -> Iterator[bytes]:
    """The user's committed values, in the order of each topic's partition, several merged by Kafka's timestamp. KafkaError.

    With `own_partition` only the one is read in which Java clients and `keepline produce` put the user. Otherwise all are, since other
    clients choose otherwise, and a topic may have been given more partitions.
    """
    key, given = customer.encode(), list(given)
    found: dict[tuple[str, int], list[tuple[int, bytes]]] = {}
    read = 0
    for topic in settings.topics:
        begin = _elsewhere(settings, topic, key, given) if own_partition else {}
        for message in messages(topic, settings.bootstrap_servers, given, begin=begin):
            read += 1
            if progress and read % TOLD_EVERY == 0:
                progress(read, 0)
            value = message.value()
            if value is not None and (message.key() == key or (not message.key() and key in value)):
                found.setdefault((topic, message.partition()), []).append((message.timestamp()[1], value))
    for _, value in heapq.merge(*found.values(), key=lambda each: each[0]):
        yield value


def _elsewhere(settings: NextAppSettings, topic: str, key: bytes, given: list[str]) -> dict[int, int]:
    """The end as the place to begin, of all partitions but the key's."""
    asked = client(Consumer, reader(settings.bootstrap_servers, properties(given)))
    try:
        count = len(partitions(asked, settings.bootstrap_servers, topic))
    finally:
        asked.close()
    own = partition_of(key, count)
    return {each: OFFSET_END for each in range(count) if each != own}


def partition_of(key: bytes, count: int) -> int:
    """Where Java's DefaultPartitioner puts a key: murmur2, its sign taken off, modulo the partitions (Kafka, Utils.murmur2)."""
    limit, m = (1 << 32) - 1, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & limit
        h = h * m & limit ^ (k ^ k >> 24) * m & limit
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & limit
    h = (h ^ h >> 13) * m & limit
    return ((h ^ h >> 15) & 0x7FFFFFFF) % count


class Agreement(NamedTuple):
    """What a phone would have said at unlocks of the past, against the stream."""

    unlocks: int
    same_order: int
    """The same five first apps in the same order."""
    same_apps: int
    """The same five first apps in any order."""


def agreement(loaded: Loaded, values: Sequence[bytes], customer: str) -> Agreement:
    """A phone gets the profile after 70 % of these events and sees the rest itself; asked at every unlock. RecordError."""
    user, begin = User(loaded.constants), 7 * len(values) // 10
    records = [{"type": name} | record for name, record in map(to_record, values)]
    for record in records[:begin]:
        user.apply(record)
    phone = phone_of(loaded, user.state, customer)
    unlocks = same_order = same_apps = 0
    for record in records[begin:]:
        user.apply(record)
        own = {name: value for name, value in record.items() if name not in ("type", "customer_id", "event_id", "event_time", "app")}
        if record["type"] == "AppOpen":
            phone.open(record["app"], record["event_time"], **own)
        elif record["type"] == "Unlock":
            ours = [app for app, _ in phone.unlock(record["event_time"], **own)]
            theirs = [app for app, _ in predict(loaded, user, record)]
            unlocks += 1
            same_order += ours == theirs
            same_apps += set(ours) == set(theirs)
    return Agreement(unlocks, same_order, same_apps)


def write(path: Path, data: bytes) -> None:
    """Writes the file in the place of an older one, whole or not at all, readable by this user alone (mode 0600)."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror}; choose another --out"
        raise ExportError(msg) from None
    finally:
        unfinished.unlink(missing_ok=True)
