"""`redrive`: dead letters back to the topic they were meant for, each once.

A letter is settled when its event was sent (or given up). Which letters are settled travels with the committed offsets of a consumer
group (`settled.py`), in the transaction that sends the events: so whatever is killed when, each is sent once, and a second run sends
what the first did not.

    letters of the topic ──► selected? ──► repaired in the file, or sound as it is? ──► event + offsets, one transaction
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import KafkaError as ClientError

from keepline.jobs.deadletters import Letter, exported, letters
from keepline.jobs.judge import Judge
from keepline.jobs.kafka_client import KafkaError, client, partitions, producer, properties, reader, reason
from keepline.jobs.repaired import Repaired, read_repaired
from keepline.jobs.settled import Settled
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import peek

TIMEOUT_SECONDS = 60
MAX_BYTES = 8 << 20
"""Bytes of events in one transaction, however many letters it may hold."""
HEADER = "redriven_from"
MOVING = (ClientError.NOT_COORDINATOR, ClientError.COORDINATOR_NOT_AVAILABLE, ClientError.COORDINATOR_LOAD_IN_PROGRESS)
AGAIN = "nothing of the last transaction was sent. Run it again: what was sent is remembered"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done. Times are epoch ms, 0 for none; they are when the letters were written."""

    servers: str
    dead_letters: str
    topic: str = ""
    """Where to send; "" where each record came from."""
    reasons: frozenset[str] = frozenset()
    since: int = 0
    until: int = 0
    dry_run: bool = False
    force: bool = False
    settle: bool = False
    export: Path | None = None
    repaired: Path | None = None
    batch: int = 500
    currency: str = ""
    writer_schemas: tuple[Path, ...] = ()
    registry_url: str = ""
    registry: Mapping[str, str] = field(default_factory=dict)
    kafka: Mapping[str, str] = field(default_factory=dict)

    def selects(self, letter: Letter) -> bool:
        """Whether the letter is one of those that are meant."""
        if self.reasons and letter.record["reason"] not in self.reasons:
            return False
        return self.since <= letter.written and (not self.until or letter.written < self.until)


@dataclass
class Outcome:
    """What came of it."""

    letters: int = 0
    """Open letters that were meant."""
    sent: int = 0
    settled: int = 0
    """Given up."""
    before: int = 0
    """Repaired letters that an earlier run sent."""
    others: int = 0
    """Open, but not meant."""
    left: Counter[str] = field(default_factory=Counter)
    """Meant and not sent, by reason."""
    examples: list[str] = field(default_factory=list)
    bad_lines: list[str] = field(default_factory=list)

    def leave(self, letter: Letter, why: str) -> None:
        """Counts a letter that is not sent."""
        self.left[letter.record["reason"]] += 1
        if len(self.examples) < 10:
            self.examples.append(f"{letter.place}: {why}")


class Redrive:
    """One pass over the letters."""

    def __init__(self, wish: Wish) -> None:
        self._wish, self._judge = wish, Judge(wish.currency, wish.writer_schemas, wish.registry_url, wish.registry)
        self.outcome = Outcome()
        self._group = f"keepline-redrive-{wish.dead_letters}" + (f"-to-{wish.topic}" if wish.topic else "")
        self._consumer: Consumer = client(Consumer, reader(wish.servers, wish.kafka) | {"group.id": self._group})
        self._places = partitions(self._consumer, wish.servers, wish.dead_letters)
        self._settled: dict[int, Settled] = {}
        self._known: dict[int, list[int]] = {}
        self._lows: dict[int, int] = {}
        self._repaired = Repaired({}, {}, [])
        self._producer: Producer | None = None
        self._topics: set[str] = set()
        self._open, self._bytes = 0, 0

    def run(self, progress: Callable[[int, int], None] | None = None) -> Outcome:
        """Does it; `progress` is told letters read and, roughly, of how many."""
        wish = self._wish
        try:
            if wish.repaired is not None:
                self._repaired = read_repaired(wish.repaired, wish.dead_letters, self._judge)
                self.outcome.bad_lines = self._repaired.bad
            if not (wish.dry_run or wish.export):
                self._begin()
            starts = self._memory()
            self._sort_out()
            total = sum(max(end - start.offset, 0) for start, end in starts)
            with self._export() as file:
                for count, letter in enumerate(letters(self._consumer, [start for start, _ in starts]), 1):
                    self._take(letter, file)
                    if progress is not None:
                        progress(count, total)
            self._commit()
            unmet = f"there is no such letter in {wish.dead_letters!r}"
            outcome = self.outcome
            outcome.bad_lines += [f"{wish.repaired}: {place}: {unmet}" for place in self._repaired.values]
        except KafkaException as error:
            why = f"Kafka at {wish.servers}: {reason(error)}"
            msg = f"{why}; {AGAIN}"
            raise KafkaError(msg) from None
        except KeeplineError as error:
            if not self._abort():
                raise
            msg = f"{error}; {AGAIN}"
            raise KafkaError(msg) from None
        finally:
            self._consumer.close()
        return self.outcome

    @contextmanager
    def _export(self) -> Iterator[IO[str] | None]:
        """The file to export to, if there is one; it stays only when it is complete."""
        path = self._wish.export
        if path is None:
            yield None
            return
        try:
            file = path.open("x", encoding="utf-8")
        except FileExistsError:
            msg = f"{path} is there already, and may hold somebody's repairs: name another file"
            raise KafkaError(msg) from None
        try:
            with file:
                yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _begin(self) -> None:
        """A transactional producer; its start ends whatever an earlier run of this group left open, or is doing."""
        wish = self._wish
        config = producer(wish.servers, wish.kafka) | {"transactional.id": self._group}
        self._producer = client(Producer, config)
        if wish.topic:
            self._known_topic(wish.topic)
        self._producer.init_transactions(TIMEOUT_SECONDS)

    def _known_topic(self, topic: str) -> None:
        """Asks once for each topic whether it is there."""
        if self._producer is not None and topic not in self._topics:
            partitions(self._producer, self._wish.servers, topic)
            self._topics.add(topic)

    def _memory(self) -> list[tuple[TopicPartition, int]]:
        """Loads what is settled; where to start, and where each partition ends."""
        topic = self._wish.dead_letters
        starts = []
        for found in self._committed():
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, found.partition), TIMEOUT_SECONDS)
            settled = Settled.loads(found.metadata or "" if found.offset >= 0 else "", self._where(found.partition))
            self._settled[found.partition] = settled
            self._known[found.partition], self._lows[found.partition] = settled.flips, low
            starts.append((TopicPartition(topic, found.partition, max(low, settled.flips[0])), high))
        return starts

    def _committed(self) -> list[TopicPartition]:
        """The group's offsets. Which broker coordinates a group is not settled at once on a fresh cluster, or one that moves it."""
        wanted = [TopicPartition(self._wish.dead_letters, number) for number in self._places]
        end = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                return list(self._consumer.committed(wanted, TIMEOUT_SECONDS))
            except KafkaException as error:
                if error.args[0].code() not in MOVING or time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def _where(self, partition: int) -> str:
        return f"group {self._group}, {self._wish.dead_letters}-{partition}"

    def _take(self, letter: Letter, file: IO[str] | None) -> None:
        """Decides on one letter."""
        wish, outcome, settled = self._wish, self.outcome, self._settled[letter.partition]
        if settled.is_settled(letter.offset):
            settled.note(letter.offset, settled=True)
            return
        mine = letter.place in self._repaired.values if wish.repaired else wish.selects(letter)
        if not mine:
            outcome.others += 1
            settled.note(letter.offset, settled=False)
            return
        outcome.letters += 1
        if file is not None:
            file.write(json.dumps(exported(letter, self._judge.event), ensure_ascii=False) + "\n")
            return
        why = "" if wish.repaired else self._refusal(letter)
        if why:
            outcome.leave(letter, why)
        else:
            self._send(letter)
        settled.note(letter.offset, settled=not why or wish.settle)
        outcome.settled += bool(why) and wish.settle
        if self._open >= wish.batch or self._bytes >= MAX_BYTES:
            self._commit()

    def _refusal(self, letter: Letter) -> str:
        """Why the letter is not sent as it is; "" if it is."""
        if self._wish.settle:
            return "given up"
        if letter.cut:
            return f"the letter holds {len(letter.value)} of {letter.record['value_length']} bytes: send the event again from its source"
        return "" if self._wish.force else self._judge(letter.value)

    def _send(self, letter: Letter) -> None:
        values = self._repaired.values.pop(letter.place, None)
        topic = str(letter.record["topic"])
        if values is None:
            self._produce(letter.place, topic, letter.value, letter.key, letter.event_time)
        else:
            self._send_repaired(letter.place, topic, values)
        self.outcome.sent += 1

    def _send_repaired(self, place: str, topic: str, values: Iterable[bytes]) -> None:
        for value in values:
            customer, moment = peek(value)
            self._produce(place, topic, value, customer, max(moment, 0))

    def _produce(self, place: str, topic: str, value: bytes, key: bytes | None, moment: int) -> None:
        topic = self._wish.topic or topic
        self._known_topic(topic)
        self._bytes += len(value)
        if self._producer is None:
            return
        if not self._open:
            self._producer.begin_transaction()
        self._open += 1
        headers = [(HEADER, place.encode()), ("created_ms", str(int(time.time() * 1000)).encode())]
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=moment, headers=headers)
                break
            except BufferError:
                self._producer.poll(0.1)

    def _sort_out(self) -> None:
        """Repaired letters that the pass will not meet: those sent before, and those that the topic has lost, its retention being over.

        The latter are sent as well, and remembered by their place.
        """
        for place in list(self._repaired.values):
            partition, offset = (int(part) for part in place.rsplit("-", 2)[1:])
            settled = self._settled.get(partition)
            if settled is None:
                continue
            if settled.is_settled(offset):
                del self._repaired.values[place]
                self.outcome.before += 1
            elif offset < self._lows[partition]:
                self.outcome.letters += 1
                self.outcome.sent += 1
                self._send_repaired(place, self._repaired.topics[place], self._repaired.values.pop(place))
                settled.add(offset)

    def _commit(self) -> None:
        """Ends the transaction: events and memory together."""
        made = self._producer
        if made is None:
            return
        offsets, known = [], {}
        for partition, settled in self._settled.items():
            known[partition] = settled.flips
            if known[partition] != self._known[partition]:
                offset, metadata = settled.dumps(self._where(partition))
                offsets.append(TopicPartition(self._wish.dead_letters, partition, offset, metadata))
        if not self._open and not offsets:
            return
        if not self._open:
            made.begin_transaction()
        if offsets:
            made.send_offsets_to_transaction(offsets, self._consumer.consumer_group_metadata(), TIMEOUT_SECONDS)
        made.commit_transaction(TIMEOUT_SECONDS)
        self._known, self._open, self._bytes = known, 0, 0

    def _abort(self) -> bool:
        """Takes back what was sent since the last transaction, so that readers need not wait for it; whether there was any."""
        if self._producer is None or not self._open:
            return False
        with suppress(KafkaException):  # the next run's start ends it
            self._producer.abort_transaction(TIMEOUT_SECONDS)
        return True


def redrive(wish: Wish, progress: Callable[[int, int], None] | None = None) -> Outcome:
    """Sends, shows or exports the letters that are meant."""
    return Redrive(wish).run(progress)


def summary(wish: Wish, outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON."""
    return {
        "dead_letters": wish.dead_letters,
        "topic": wish.topic,
        "dry_run": wish.dry_run,
        "letters": outcome.letters,
        "sent": outcome.sent,
        "settled": outcome.settled,
        "sent_before": outcome.before,
        "others": outcome.others,
        "left": dict(outcome.left),
        "examples": outcome.examples,
        "bad_lines": outcome.bad_lines,
    }


__all__ = ["Outcome", "Redrive", "Wish", "properties", "redrive", "summary"]
