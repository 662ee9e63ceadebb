"""What the demo of lifetime value does, without how it looks.

    Kafka, Redis and the job (scores = clv) start → consents, made up (consents.py), as a backlog
    → the purchases of nine months (clv_data.py) at the pace of their times → one purchase more, that event time passes the last day
    → all is committed and read: the scores of the summary's last day are there (clv_scores.py), and the view is looked at

A day of silence is a tick a customer, so most scores are of customers who buy nothing. The input has one partition, and no partition
follows the wall clock: the stream's time is 1997, and only purchases move it.
"""

from __future__ import annotations

import time
from pathlib import Path

from keepline.jobs import job_models
from keepline.jobs.demo import clv_data
from keepline.jobs.demo.clv_data import END_MS, START_MS, DemoDataError
from keepline.jobs.demo.clv_scores import Board
from keepline.jobs.demo.consents import consents
from keepline.jobs.demo.dataset import DAY_MS, DAYS, HOUR_MS
from keepline.jobs.demo.outputs import Outputs
from keepline.jobs.demo.running import PREFIX, START_SECONDS, Running, encoded
from keepline.jobs.settings import PRETRAINED_CLV, RetentionSettings
from keepline.models.clv.manifest import load as load_model
from keepline.models.clv.scorer import SCORES
from keepline.models.contact.document import load as load_policy
from keepline.operators.spec import CHANNELS
from keepline.schemas.packed import SCORES as SCORE_CHANNEL

POLICY = Path(__file__).with_name("clv_policy.yaml")
FLAGS = ("--scores", "clv", "--clv-model", str(PRETRAINED_CLV), "--policy", str(POLICY), "--idle-after", "0s")
PASSED_MS = 2 * HOUR_MS
"""How far behind the last day event time has to come: more than the bound of disorder, one hour."""


class ClvOutputs(Outputs):
    """The outputs of the job, its scores on a board."""

    def __init__(self, servers: str, board: Board) -> None:
        """Reads at once."""
        self.board = board
        super().__init__(servers, PREFIX, lambda _intervention: None)

    def take(self, channel: str, value: bytes) -> None:
        """One committed record."""
        if channel == CHANNELS[SCORE_CHANNEL]:
            self.board.take(value)
        else:
            super().take(channel, value)


class ClvDrive(Running):
    """The running stack. Use as a context manager; `run` does the work, `progress`, `board` and `outputs` tell how far it is."""

    def __init__(self, customers: int, seconds: float) -> None:
        """`customers` 0 = all; `seconds` is how long the nine months take."""
        super().__init__(partitions=1)
        published = clv_data.published()
        self.published = published.head(customers) if customers else published
        table = clv_data.purchases()
        self.table = table[table["customer_id"].isin(self.published.index)]
        self.model = load_model(PRETRAINED_CLV)
        names = job_models.load(RetentionSettings.model_validate({"scores": ("clv",)})).names
        self.policy = load_policy(POLICY, names)
        self.board = Board(END_MS - DAY_MS, END_MS)
        self.live_seconds = 0.0
        self.in_view = 0
        """Scores whose newest value is the live view's, at the end."""
        self._seconds = seconds

    def run(self) -> None:
        """All of it."""
        self.start(FLAGS, lambda servers: ClvOutputs(servers, self.board))
        self._make_events()
        self._begin()
        self._live()
        self._last_day()
        self._look_at_the_view()
        self.progress.stage = "done"

    def _make_events(self) -> None:
        """Consents and purchases, encoded; behind those of the nine months the next that passes the last day."""
        self.progress.stage = "making the events"
        self._said = encoded(consents(self.published, START_MS + DAYS * DAY_MS))
        after = self.table[self.table["time"] >= END_MS + PASSED_MS]
        if after.empty:
            msg = f"none of {len(self.published)} customers bought anything after 1997-09-30, so it would not end: give more --customers"
            raise DemoDataError(msg)
        self._after = encoded(clv_data.events(after.head(1)))
        self.events = encoded(clv_data.events(self.table[self.table["time"] < END_MS]))
        self.progress.total = len(self.events) + 1

    def _begin(self) -> None:
        """Consents, while Flink starts."""
        self.progress.stage = "consents (made up) go into Kafka while Flink starts the job"
        self.produce(self._said, self.sender())
        self.until(self.started, START_SECONDS, "the job did not start")
        self.until(lambda: self.committed() >= len(self._said), START_SECONDS, "the job did not catch up")

    def _live(self) -> None:
        """The purchases at the pace of their times."""
        days = (END_MS - START_MS) // DAY_MS
        self.progress.stage = f"{days} days of 1997, {days / max(self._seconds, 0.001):,.0f} a second"
        began = time.monotonic()
        self.produce(self.paced(self.events, START_MS, END_MS, self._seconds), self.sender(stamped=True))
        self.produce(self._after, self.sender(stamped=True))
        self.progress.stage = "waiting for the last commit"
        self.until(lambda: self.board.complete(len(self.published)), START_SECONDS, "not every customer had a score of 1997-09-30")
        self.settle()
        self.live_seconds = time.monotonic() - began

    def _last_day(self) -> None:
        """The scores that are judged."""
        self.progress.stage = "reading the scores of 1997-09-30"
        self.day = self.board.of_the_day()

    def _look_at_the_view(self) -> None:
        """Waits until the newest committed score of each customer is in Redis; the sink may be some seconds behind."""
        self.progress.stage = "comparing the live view with the topic"
        wanted = [(score, each) for score in SCORES for each in self.board.newest[score].values()]
        view = self.view()
        deadline = time.monotonic() + 30
        while True:
            pipe = view.pipeline(transaction=False)
            for score, each in wanted:
                pipe.hmget(f"keepline:score:{each.customer_id}:{score}", "value", "as_of")
            found = pipe.execute()
            self.in_view = sum(
                value is not None and float(value) == each.value and int(as_of) == each.as_of
                for (value, as_of), (_, each) in zip(found, wanted, strict=True)
            )
            if self.in_view == len(wanted) or time.monotonic() > deadline:
                return
            time.sleep(0.5)
