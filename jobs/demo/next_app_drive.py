"""What the demo of the next app does, without how it looks.

    Kafka, Redis and the job (`keepline run next-app`) start → the first three weeks of made-up people (phones.py) as a backlog
    → the fourth week at the pace of its times, one who was never seen before among them
    → all is committed and read: the predictions (next_app_board.py), the live view, and what the Redis sink measured
    → each prediction is compared with Python's (next_app_judge.py)

All events go into one topic, keyed by user, so that a user's unlocks and opens keep their order. The stream's time is June 2025.
"""

from __future__ import annotations

import heapq
import time
from typing import Any

from keepline.jobs.demo import phones
from keepline.jobs.demo.next_app_asked import asked
from keepline.jobs.demo.next_app_board import Board
from keepline.jobs.demo.next_app_judge import Verdict, judge
from keepline.jobs.demo.outputs import Outputs
from keepline.jobs.demo.phones import DAY_MS, START_MS, Event
from keepline.jobs.demo.running import JOB, START_SECONDS, Running, encoded
from keepline.jobs.next_app_settings import PRETRAINED_NEXT_APP
from keepline.models.next_app.manifest import load as load_model
from keepline.operators.spec import NEXT_APP_CHANNELS
from keepline.schemas.catalog import event_type
from keepline.schemas.encode import Ok
from keepline.schemas.packed import APP_PREDICTIONS
from keepline.schemas.records import to_record

PEOPLE = 80
SEED, NEW_SEED = "demo", "demo, new"
"""Of the people, and of the one who comes last; the committed model was trained on others (next_app_export.py)."""
NEW = "new-001"
HISTORY_DAYS, LIVE_DAYS = 21, 7
LIVE_MS = START_MS + HISTORY_DAYS * DAY_MS
END_MS = LIVE_MS + LIVE_DAYS * DAY_MS
PARTITIONS = 2
SHOWN = 6
PREFIX = "device"
_UNLOCK = event_type("Unlock").id


def sent_events(people: int) -> list[Event]:
    """All events of the demo, by time: the people's four weeks, and the last one of somebody new."""
    old = phones.events(phones.people(people, SEED), HISTORY_DAYS + LIVE_DAYS)
    new = phones.events(phones.people(1, NEW_SEED, NEW.removesuffix("-001")), LIVE_DAYS, LIVE_MS)
    return list(heapq.merge(old, new, key=lambda event: event["event_time"]))


class NextAppOutputs(Outputs):
    """The outputs of the job, its predictions on a board."""

    channels = tuple(filter(None, NEXT_APP_CHANNELS))

    def __init__(self, servers: str, board: Board) -> None:
        """Reads at once."""
        self.board = board
        super().__init__(servers, PREFIX, lambda _intervention: None)

    def take(self, channel: str, value: bytes) -> None:
        """One committed record."""
        if channel == NEXT_APP_CHANNELS[APP_PREDICTIONS]:
            self.board.take(to_record(value)[1])
        else:
            super().take(channel, value)


class NextAppDrive(Running):
    """The running stack. Use as a context manager; `run` does the work, `progress` and `board` tell how far it is."""

    command = ("next-app",)
    prefix = PREFIX
    channels = NextAppOutputs.channels
    newest = f"{PREFIX}.{NEXT_APP_CHANNELS[APP_PREDICTIONS]}"
    verdict: Verdict

    def __init__(self, people: int, seconds: float) -> None:
        """`people` 0 = as many as the demo has; `seconds` is how long the last week takes."""
        super().__init__(PARTITIONS)
        self.people = people or PEOPLE
        self.model = load_model(PRETRAINED_NEXT_APP)
        self.board = Board((), LIVE_MS)
        self.events: list[Event] = []
        self.shown: list[str] = []
        """Users whose unlocks the screen shows."""
        self.latency: dict[str, float] = {}
        """Created → Redis in ms, as the Redis sink measured it on the live part: count, p50_ms, p99_ms, max_ms."""
        self.in_view = 0
        """Users whose newest prediction is the live view's, at the end."""
        self._seconds = seconds

    def run(self) -> None:
        """All of it."""
        self.progress.stage = "making the events, starting Kafka and Redis"
        self.events = sent_events(self.people)
        unlocks = asked(self.events, LIVE_MS)
        self.board = Board(unlocks, LIVE_MS)
        self.shown = [*sorted({each.user for each in unlocks} - {NEW})[: SHOWN - 1], NEW]
        self.progress.total = len(unlocks)
        self.start(["--model", str(PRETRAINED_NEXT_APP)], lambda servers: NextAppOutputs(servers, self.board))
        sound = encoded(self.events)
        first = [event for event in sound if event.event_time < LIVE_MS]
        self._history(first)
        self._live(sound[len(first) :])
        self._look_at_the_view()
        self.progress.stage = "comparing each prediction with Python's"
        self.verdict = judge(self.events, self.board.made, self.board.count, self.model)
        self.progress.stage = "done"

    def counts(self, event: Ok) -> bool:
        """Unlocks, each of which gets a prediction."""
        return event.type_id == _UNLOCK

    def processed(self) -> bool:
        """Whether each unlock that was sent has its prediction. The source says so too, but where nothing more comes up to 10 s later."""
        return len(self.board.made) >= self.progress.sent or super().processed()

    def _history(self, events: list[Ok]) -> None:
        """The first weeks at once, as a backlog that the job finds."""
        self.progress.stage = f"loading {HISTORY_DAYS} days of made-up habits into Kafka while Flink starts"
        self.produce(events, self.sender())
        self.until(self.started, START_SECONDS, "the job did not start")
        self.progress.stage = f"catching up with {HISTORY_DAYS} days"
        self.until(self.processed, START_SECONDS, "the job did not catch up")

    def _live(self, events: list[Ok]) -> None:
        """The last week at the pace of its times, each record stamped with the time at which it is sent."""
        hours = LIVE_DAYS * 24 / max(self._seconds, 0.001)
        self.progress.stage = f"live: the last {LIVE_DAYS} days, {hours:,.1f} hours a second; {NEW} was never seen before"
        self.produce(self.paced(events, LIVE_MS, END_MS, self._seconds), self.sender(stamped=True))
        self.progress.stage = "waiting for the last commit"
        self.settle()

    def _look_at_the_view(self) -> None:
        """Waits until each user's newest committed prediction is in Redis, and reads what the sink measured."""
        self.progress.stage = "comparing the live view with the topic"
        view, wanted = self.view(), dict(self.board.newest)
        deadline = time.monotonic() + 30
        while True:
            pipe = view.pipeline(transaction=False)
            for user in wanted:
                pipe.hget(f"keepline:next-app:{user}", "event_id")
            found = pipe.execute()
            self.in_view = sum(mine == its for mine, its in zip(found, wanted.values(), strict=True))
            if self.in_view == len(wanted) or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        time.sleep(1.2)  # the sink writes its figures every second
        told: Any = view.hgetall(f"keepline:meter:{JOB}:0")
        self.latency = {name: float(value) for name, value in told.items()}
