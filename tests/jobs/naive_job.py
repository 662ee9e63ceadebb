"""The naive twin of the whole job: what one customer's records lead to, recomputed from the raw events at every step.

Plain Python over `features.oracle`; shares no code with the kernel, the host or the policy.
"""

from __future__ import annotations

import math
from typing import Any

from keepline.features.oracle import CONTROL, row

HOUR, DAY = 3_600_000, 86_400_000
RETENTION, LATENESS = 400 * DAY, 90 * DAY


class NaiveCustomer:
    """Takes records in order.

    `scores` and `interventions` hold what is expected, as (as_of, event_id, value, band) and (decided_at, kind).
    """

    def __init__(self, manifest: dict[str, Any], emit: str = "delta", delta: float = 0.01, cooldown: int = 30 * DAY) -> None:
        self.manifest, self.emit, self.delta, self.cooldown = manifest, emit, delta, cooldown
        self.scores: list[tuple[int, str, float, str]] = []
        self.interventions: list[tuple[int, str]] = []
        self.late: list[int] = []
        self.duplicates = 0
        self.forget()

    def forget(self) -> None:
        """What a silence of 400 days does."""
        self.accepted: list[dict[str, Any]] = []
        self.now = self.wake = None
        self.last: tuple[float, str] | None = None
        self.quiet = -(1 << 62)

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

    def score(self, event_id: str) -> None:
        x = row(self.accepted, self.now)
        value = self.value(x)
        low, high = self.manifest["bands"]
        band = "HIGH" if value >= high else "MEDIUM" if value >= low else "LOW"
        changed = self.last is None or band != self.last[1]
        if self.emit == "every" or changed or (self.emit == "delta" and abs(value - self.last[0]) >= self.delta):
            self.last = (value, band)
            self.scores.append((self.now, event_id, value, band))
        if value >= self.manifest["threshold"] and self.now >= self.quiet and not self.ended():
            median = self.manifest["baseline"]["data_mb_30d"]["quantiles"]["0.5"]
            self.interventions.append((self.now, "extra_data" if x["data_mb_30d"] >= median else "sms_discount"))
            self.quiet = self.now + self.cooldown

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
        if record["type"] in CONTROL:
            return
        t = record["event_time"]
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
        self.score(record["event_id"])
