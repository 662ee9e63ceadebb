"""The naive twin of the customer operator: what one customer's records lead to, recomputed from the raw events at every step.

Plain Python over `features.oracle`; shares no code with the kernel or the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from keepline.features.oracle import CONTROL, row

HOUR, DAY = 3_600_000, 86_400_000
RETENTION, LATENESS = 400 * DAY, 90 * DAY


class NaiveCustomer:
    """Takes records in order.

    `scores` and `signals` hold what is expected, as (as_of, event_id, value, band) and (time, type, event_id, value, active levels).
    `rows` are the features of each signal. `levels` are (feature or "score", limit),
    `step` is a quarter of the smallest rise, `watched` says of a record whether it is told itself.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        emit: str = "delta",
        delta: float = 0.01,
        levels: Sequence[tuple[str, float]] = (),
        step: float = math.inf,
        watched: Callable[[dict[str, Any]], bool] = lambda record: False,
    ) -> None:
        self.manifest, self.emit, self.delta = manifest, emit, delta
        self.levels, self.step, self.watched = levels, step, watched
        self.scores: list[tuple[int, str, float, str]] = []
        self.signals: list[tuple[int, str, str, float | None, frozenset[int]]] = []
        self.rows: list[dict[str, float]] = []
        self.erased = 0
        self.late: list[int] = []
        self.duplicates = 0
        self.forget()

    def forget(self) -> None:
        """What a silence of 400 days does."""
        self.accepted: list[dict[str, Any]] = []
        self.now = self.wake = None
        self.last: tuple[float, str] | None = None
        self.told: tuple[int, float, frozenset[int]] | None = None

    @property
    def newest(self) -> int:
        return max(record["event_time"] for record in self.accepted)

    def ended(self) -> bool:
        """Whether the newest Subscription (the later of equals) ended the contract."""
        found = None
        for record in self.accepted:
            if record["type"] == "Subscription" and (found is None or record["event_time"] >= found["event_time"]):
                found = record
        return found is not None and found.get("ended", False)

    def value(self, x: dict[str, float]) -> float:
        z = self.manifest["intercept"]
        for term in self.manifest["terms"]:
            v = x[term["name"]]
            z += term["coefficient"] * (math.log1p(min(max(v, 0.0), 1e300)) if term["transform"] == "log1p" else v)
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0

    def score(self, event_id: str, record: dict[str, Any] | None = None) -> None:
        x = row(self.accepted, self.now)
        value = self.value(x)
        low, high = self.manifest["bands"]
        band = "HIGH" if value >= high else "MEDIUM" if value >= low else "LOW"
        changed = self.last is None or band != self.last[1]
        if self.emit == "every" or changed or (self.emit == "delta" and abs(value - self.last[0]) >= self.delta):
            self.last = (value, band)
            self.scores.append((self.now, event_id, value, band))
        self.tell(x, value, event_id, record)

    def tell(self, x: dict[str, float], value: float, event_id: str, record: dict[str, Any] | None) -> None:
        before = self.told[2] if self.told else frozenset()
        holds = {
            i
            for i, (name, limit) in enumerate(self.levels)
            if (value >= limit - (0.01 if i in before else 0.0) if name == "score" else x[name] >= limit)
        }
        active = frozenset() if self.ended() else frozenset(holds)
        due = active != before or (active and self.now - self.told[0] >= DAY)
        moved = not self.ended() and abs(value - (self.told[1] if self.told else 0.0)) >= self.step
        if due or moved or (record is not None and self.watched(record)):
            self.told = (self.now, value, active)
            self.signals.append((self.now, record["type"] if record else "", event_id, value, active))
            self.rows.append(x)

    def ticks(self, until: int) -> None:
        """Daily rescoring in silence, up to a moment."""
        while self.accepted and self.wake <= until:
            if self.wake - self.newest >= RETENTION:
                self.forget()
                return
            self.now = self.wake
            self.wake += DAY
            self.score("")

    def take(self, record: dict[str, Any]) -> None:
        """One record in order of arrival."""
        t = record["event_time"]
        if record["type"] in CONTROL:
            self.ticks(t)
            active = self.told[2] if self.told else frozenset()
            self.signals.append((t, record["type"], record["event_id"], None, active))
            self.rows.append({})
            if record["type"] == "Erasure":
                self.forget()
                self.erased += 1
            return
        if self.accepted and t - self.newest >= RETENTION:
            self.ticks(t)
            self.forget()
        if record["event_id"] in [kept["event_id"] for kept in self.accepted[-32:]]:
            self.duplicates += 1
            return
        if self.accepted and self.newest - t > LATENESS:
            self.late.append(t)
            return
        self.ticks(t)
        self.accepted.append(record)
        self.now = t if self.now is None else max(self.now, t)
        if self.ended():
            self.wake = -(-(self.newest + RETENTION) // HOUR) * HOUR
        else:
            self.wake = (self.now // HOUR + 25) * HOUR
        self.score(record["event_id"], record)
