"""The correctness gate: what a system committed against what the kernel makes of the same events without Flink.

Each partition of the sink is read to its end by a process of its own, committed records only. A record is wrong if it answers no event,
is of another customer than its key or its event says, or has another score or other reasons than the reference (to 1e-9, since a sum in
another order differs in the last bits). Each event must be answered; more than once only where the system promises less than
exactly once.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.peers import reference, scorebytes
from tests.benchmarks.peers.system import PARTITIONS, System

PATIENCE_S = 60.0
PAD = bytes(1024)
"""Behind the last record, so that a broken one does not lead the compiled reader out of the buffer."""
SWAPPED_SHARE = 0.001
"""Last reasons that may have another name and the same contribution: ties with a fourth, which the reference does not hold."""


class Read(NamedTuple):
    """One partition."""

    records: int
    seen: Any
    counts: Any
    pauses: Any
    """Append times in ms, sorted, each once: when the broker got a batch of records."""


class Verdict(NamedTuple):
    """What the gate found."""

    void: str
    """Why the run counts for nothing; "" where all is right."""
    doubled: int
    pause_ms: float
    """The longest time in the steady part in which the broker got no output, by the times at which it appended batches."""


def end_with_parent() -> None:
    """For a reader's start: it ends with the harness, whatever ends that."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def read_partition(servers: str, topic: str, partition: int, n: int, customers: int, expected: str, puts: str) -> Read:
    """Reads one partition of a sink to its end; `expected` is the folder of the reference (none for copies)."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": servers, "group.id": "gate", "isolation.level": "read_committed", "enable.auto.commit": False,
            "queued.min.messages": 500_000, "fetch.max.bytes": 64 << 20, "max.partition.fetch.bytes": 16 << 20,
            "enable.partition.eof": True,
        }
    )  # fmt: skip
    consumer.assign([TopicPartition(topic, partition, 0)])
    wanted = None if puts == "copies" else reference.load(Path(expected))
    seen, counts, records, times = np.zeros(n, np.uint8), np.zeros(3, np.int64), 0, []
    since = time.monotonic()
    while time.monotonic() - since < PATIENCE_S:
        got = consumer.consume(50_000, 1.0)
        messages = [m for m in got if m.error() is None]
        if messages:
            since, records = time.monotonic(), records + len(messages)
            values, keys = [m.value() for m in messages], [m.key() or b"" for m in messages]
            raw, lengths = _joined(values)
            times.append(np.unique(np.fromiter((m.timestamp()[1] for m in messages), np.int64, len(messages))))
            if wanted is None:
                scorebytes.note_copies(raw, lengths, seen, counts)
            else:
                scorebytes.compare(raw, lengths, *_joined(keys), customers, *wanted, seen, counts)
        if any(m.error() is not None and m.error().code() == KafkaError._PARTITION_EOF for m in got):
            break
    else:
        msg = f"{topic}, partition {partition}: no end within {PATIENCE_S:.0f} s after {records} committed records"
        raise RuntimeError(msg)
    consumer.close()
    return Read(records, seen, counts, np.unique(np.concatenate(times)) if times else np.zeros(0, np.int64))


def _joined(parts: list[bytes]) -> tuple[Any, Any]:
    return np.frombuffer(b"".join(parts) + PAD, np.uint8), np.fromiter(map(len, parts), np.int64, len(parts))


def judge(pool: ProcessPoolExecutor, system: System, servers: str, topic: str, n: int, customers: int, expected: Path) -> Verdict:
    """Reads all partitions at once and decides."""
    reads = [
        pool.submit(read_partition, servers, topic, partition, n, customers, str(expected), system.puts) for partition in range(PARTITIONS)
    ]
    return verdict(system, n, [read.result() for read in reads])


def verdict(system: System, n: int, reads: list[Read]) -> Verdict:
    """The decision over what was read."""
    seen, counts = np.sum([read.seen.astype(np.int64) for read in reads], axis=0), np.sum([read.counts for read in reads], axis=0)
    foreign, different, swapped = (int(count) for count in counts)
    missing, doubled = int((seen == 0).sum()), int((seen - 1).clip(0).sum())
    wrong = {
        "missing": missing,
        "different": different,
        "answering no event": foreign,
        "doubled": doubled if system.guarantee == "exactly once" else 0,
        "with another third reason": swapped if swapped > SWAPPED_SHARE * n else 0,
    }
    told = [f"{count:,} {what}" for what, count in wrong.items() if count]
    times = np.unique(np.concatenate([read.pauses for read in reads]))
    steady = times[len(times) // 3 : max(1, int(len(times) * 0.97))]
    pause = float(np.diff(steady).max()) if len(steady) > 1 else float("nan")
    return Verdict(f"void: of {n:,} records {', '.join(told)}" if told else "", doubled, pause)
