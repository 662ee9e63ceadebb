"""Order and time of the input: duplicated, reordered, from a clock that went backwards."""

from __future__ import annotations

from random import Random

from tests.chaos.fault import Fault
from tests.chaos.feed import unchanged
from tests.chaos.world import PATIENCE, World
from tests.whole.history import DAY, HOUR, Sent, sent
from tests.whole.support import wait

REACH = 6
"""Records by which one may move among those of its partition."""


def _is_clock(record: Sent) -> bool:
    return record.event is not None and record.event["customer_id"].startswith("clock-")


def duplicated(world: World, draw: Random) -> str:
    """Runs of records come twice, and records change places; replay gets the order of arrival."""
    before, again = world.counter("events_duplicate_total"), list[Sent]()
    moved = 0

    def some(records: list[Sent]) -> list[Sent]:
        nonlocal moved
        out: list[Sent] = []
        while records:
            run, records = records[: draw.randrange(5, 30)], records[draw.randrange(5, 30) :]
            # Clocks keep their places: they stand for event time itself.
            order = sorted(range(len(run)), key=lambda at: at if _is_clock(run[at]) else at + draw.randrange(REACH))
            moved += sum(at != place for place, at in enumerate(order))
            run = [run[at] for at in order]
            out += run
            if draw.random() < 0.5:
                twice = [record for record in run if not _is_clock(record)]
                again.extend(twice)
                out += twice
        return out

    world.feed.change = some
    wait("records came twice", lambda: len(again) > 400, PATIENCE)
    world.feed.change = unchanged
    wait("the job counts duplicates", lambda: world.counter("events_duplicate_total") >= before + len(again) // 2, PATIENCE)
    return f"{len(again)} records sent twice, {moved} out of their place"


def clock_backwards(world: World, draw: Random) -> str:
    """A producer's clock goes back by hours and days: customers' events are that much older than what they have just sent.

    Right behind a fresh event of the same customer: whether a tick of silence lies between is then the same live and in replay.
    """
    names, made = [f"c{number:03d}" for number in range(world.shape.customers)], list[Sent]()

    def some(records: list[Sent]) -> list[Sent]:
        out: list[Sent] = []
        for record in records:
            out.append(record)
            if record.event is not None and record.event["customer_id"] in names and record.event["event_id"] != "" and draw.random() < 0.3:
                back = draw.choice([HOUR // 2, 5 * HOUR, 2 * DAY, 20 * DAY])
                event = record.event | {"event_time": record.event["event_time"] - back, "event_id": f"back-{len(made)}"}
                made.append(sent(event, world.feed.partitions))
                out.append(made[-1])
        return out

    world.feed.change = some
    wait("events of a clock that went backwards", lambda: len(made) > 200, PATIENCE)
    world.feed.change = unchanged
    return f"{len(made)} events half an hour to 20 days older than their customer's newest"


FAULTS = (
    Fault("duplicates-reordering", "runs of records come twice and out of order, within the bound of disorder", duplicated),
    Fault(
        "clock-backwards", "producers' clocks go back: event times half an hour to 20 days behind the customer's newest", clock_backwards
    ),
)
