"""Records that cannot be used: a batch in which every tenth is malformed, and an event from the year 2099."""

from __future__ import annotations

import time
from random import Random

from tests.chaos.fault import Fault
from tests.chaos.feed import unchanged
from tests.chaos.world import PATIENCE, World
from tests.whole.history import Sent, encoded, partition_of
from tests.whole.support import wait

TIME_2099 = 4_070_908_800_000
"""2099-01-01T00:00:00Z: within the bounds of event times, and far ahead of the clock."""
SHARE = 0.1
ENOUGH = 100


def damaged(record: Sent, draw: Random) -> Sent:
    """What a bad producer or a bad wire makes of a record, and the reason that its dead letter gives."""
    key, value = record.key, record.value or b""

    def now(data: bytes | None, reason: str, other: bytes | None = key) -> Sent:
        return Sent(record.partition, other, data, None, reason)

    return draw.choice([
        now(value[: draw.randrange(1, len(value) - 1)], "MALFORMED"),
        now(value + draw.randbytes(3), "MALFORMED"),
        now(b"", "MALFORMED"),
        now(None, "MALFORMED"),
        now(b"{" + draw.randbytes(40), "MALFORMED"),
        now(value[:2] + draw.randbytes(8) + value[10:], "UNKNOWN_SCHEMA"),
        now(value, "KEY_MISMATCH", b"somebody-else-%d" % draw.randrange(1 << 30)),
        now(value + draw.randbytes(300_000), "OVERSIZED") if draw.random() < 0.05 else now(b"\x00", "MALFORMED"),
    ])  # fmt: skip


def poison(world: World, draw: Random) -> str:
    """Beside sound records, which are counted as ever."""
    since, made = time.time() - 0.001, list[Sent]()  # send times are whole milliseconds

    def some(records: list[Sent]) -> list[Sent]:
        out = []
        for record in records:
            out.append(record)
            if draw.random() < SHARE / (1 - SHARE):
                out.append(damaged(record, draw))
        made.extend(each for each in out if each.event is None)
        return out

    world.feed.change = some
    wait("a batch with every tenth record malformed", lambda: len(made) > ENOUGH, PATIENCE)
    world.feed.change = unchanged
    wait("dead letters", lambda: world.watch.count("dead-letters", since) >= len(made), PATIENCE)
    return f"{len(made)} malformed records among some {int(len(made) / SHARE)}"


def year_2099(world: World, draw: Random) -> str:
    """One in every partition: none of them may move event time."""
    since, made = time.time() - 0.001, list[Sent]()  # send times are whole milliseconds
    for partition in range(world.feed.partitions):
        key = next(name for name in (b"future-%d" % draw.randrange(1 << 30) for _ in range(1000)) if _at(name, world) == partition)
        event = {"type": "Message", "customer_id": key.decode(), "event_id": "e-2099", "event_time": TIME_2099 + draw.randrange(10**9)}
        made.append(Sent(partition, key, encoded(event), None, "FUTURE_TIME"))
    world.feed.add(made)
    wait("its dead letters", lambda: world.watch.count("dead-letters", since) == len(made), PATIENCE)
    return f"{len(made)} events of 2099, one a partition, are dead letters"


def _at(key: bytes, world: World) -> int:
    return partition_of(key, world.feed.partitions)


FAULTS = (
    Fault("poison-batch", "every tenth record of a batch is malformed, in eight ways", poison),
    Fault("year-2099", "an event of the year 2099 in every partition", year_2099),
)
