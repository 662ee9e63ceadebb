"""Uneven input: a hot key, a burst of control records, a partition without records, a partition more."""

from __future__ import annotations

import time
from random import Random

from confluent_kafka.admin import AdminClient, NewPartitions

from tests.chaos.fault import Fault
from tests.chaos.feed import unchanged
from tests.chaos.world import NAME, PATIENCE, World, away
from tests.whole.history import Sent, sent
from tests.whole.support import wait

CONTROL = 20_000


def hot_key(world: World, draw: Random) -> str:
    """Behind each event comes one of the hot customer's, at the same time: half of all are hers, and nobody's change their order."""
    hot, count = f"c{draw.randrange(world.shape.customers):03d}", 0

    def some(records: list[Sent]) -> list[Sent]:
        nonlocal count
        out = []
        for record in records:
            out.append(record)
            event = record.event
            if event is not None and not event["customer_id"].startswith("clock-"):
                count += 1
                own = {"customer_id": hot, "event_id": f"{event['event_id']}-hot-{count}"}
                if "request_id" in event:  # a receipt is keyed by it: two customers' under one would come in either order
                    own["request_id"] = f"{event['request_id']}-hot-{count}"
                out.append(sent(event | own, world.feed.partitions))
        return out

    before = world.counter("events_accepted_total")
    world.feed.change = some
    wait("half of the events are one customer's", lambda: count > 800, PATIENCE)
    world.feed.change = unchanged
    wait("they are scored", lambda: world.counter("events_accepted_total") >= before + count, PATIENCE)
    return f"{count} events of {hot} among as many of all others"


def control_burst(world: World, draw: Random) -> str:
    """Consents and outcomes, as a campaign brings them, at once."""
    before = world.counter("events_control_total")

    def burst(time_ms: int) -> list[Sent]:
        return [_control(world, draw, time_ms, f"burst-{time_ms}-{number}") for number in range(CONTROL)]

    world.feed.add_now(burst)
    wait("control records are counted", lambda: world.counter("events_control_total") >= before + CONTROL, PATIENCE)
    return f"{CONTROL} control records at once, all counted"


def _control(world: World, draw: Random, time_ms: int, event_id: str) -> Sent:
    head = {"customer_id": f"c{draw.randrange(world.shape.customers):03d}", "event_id": event_id, "event_time": time_ms}
    rest = draw.choice([
        {"type": "Consent", "purpose": "MARKETING", "status": "GRANTED"},
        {"type": "Consent", "purpose": "MARKETING", "status": "REVOKED", "channel": "SMS"},
        {"type": "Outcome", "intervention_id": "0" * 32, "outcome": "ACCEPTED"},
    ])  # fmt: skip
    return sent(rest | head, world.feed.partitions)


def idle_partition(world: World, draw: Random) -> str:
    """Event time waits for it (idle_after = "0s"), scores of the other partitions do not."""
    muted = draw.randrange(world.feed.partitions)
    before = world.feed.partitions
    world.feed.muted = frozenset({muted})
    # What was on its way when it fell silent has to pass before event time can be seen to stand.
    wait("event time stands", lambda: world.event_time() == (away(1.5) or world.event_time()), PATIENCE)
    stands, since = world.event_time(), time.time()
    away(draw.uniform(4, 8))
    wait("scores of the other partitions", lambda: world.watch.first("scores", since), PATIENCE)
    assert world.event_time() == stands, "event time went on without the idle partition"
    world.feed.muted = frozenset()
    wait("event time goes on", lambda: world.event_time() > stands, PATIENCE)
    return f"partition {muted} of {before} was silent for {time.time() - since:.1f} s; event time stood still, scores came"


def partition_added(world: World, draw: Random) -> str:
    """Producers pause until the job has read what there is: then no customer's older records are behind in another partition.

    And until the job reads the new partition too: a second here is half a day of event time, which would go on without it.
    """
    before, topic = world.feed.partitions, f"{NAME}.in"
    away(draw.uniform(0, 2))
    world.drain()
    admin = AdminClient(world.kafka.admin)  # it has to outlive its future
    admin.create_partitions([NewPartitions(topic, before + 1)])[topic].result()
    first = {"type": "Message", "customer_id": f"clock-{before}", "event_id": f"first-{before}", "event_time": world.feed.begin}
    world.feed.add([sent(first, before + 1, partition=before)])
    wait("the new partition is read", lambda: world.has_read(before), PATIENCE)
    world.feed.crowd.partitions = before + 1
    world.feed.start()
    return f"{before} → {before + 1} partitions; the new one is read"


FAULTS = (
    Fault("hot-key", "half of all events are one customer's", hot_key),
    Fault("control-burst", f"{CONTROL:,} control records at once", control_burst),
    Fault(
        "idle-partition", "a partition gets nothing for some seconds", idle_partition,
        costs="scores of silent customers (ticks) come when it speaks again",
    ),
    Fault(
        "partition-added", "a partition is added to the input topic, which moves customers to other partitions", partition_added,
        costs="producers pause until the job has caught up; else a customer's records are taken in the order in which they arrive",
    ),
)  # fmt: skip
