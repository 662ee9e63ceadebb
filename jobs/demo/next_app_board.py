"""The predictions as the job commits them: the newest of each user, and how often the app that was opened was among them.

device.app-predictions, read committed ──► Board.take ──► by unlock: the prediction, how many there were; the rank of what was opened
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from keepline.jobs.demo.next_app_asked import PREDICTED, TOP, Asked, shares

Apps = list[tuple[str, float]]
"""Names and probabilities, the likeliest first."""
ORDERS = (PREDICTED, "MRU", "MFU")


class Board:
    """What has been committed so far. One thread takes records, others read."""

    def __init__(self, asked: Sequence[Asked], since_ms: int) -> None:
        """`asked`: all unlocks that will come; those from `since_ms` on count for the hit rates."""
        self.asked = {each.event_id: each for each in asked}
        self.made: dict[str, Apps] = {}
        """By unlock."""
        self.count: Counter[str] = Counter()
        """Predictions by unlock, so that one that came twice shows."""
        self.newest: dict[str, str] = {}
        """The unlock of each user's newest prediction."""
        self.ranks: dict[str, list[int]] = {name: [] for name in ORDERS}
        """Of what was opened after the unlocks that count, by whose order; 1 to 5, or 0."""
        self._since = since_ms

    def take(self, prediction: dict[str, Any]) -> None:
        """One AppPrediction."""
        unlock = prediction["event_id"]
        apps = [(each["app"], each["probability"]) for each in prediction["apps"]]
        self.count[unlock] += 1
        self.newest[prediction["customer_id"]] = unlock
        if unlock in self.made:
            return
        self.made[unlock] = apps
        asked = self.asked.get(unlock)
        if asked is not None and asked.opened and asked.time >= self._since:
            for name in ORDERS:
                self.ranks[name].append(rank(apps, asked.opened) if name == PREDICTED else asked.ranks[name])

    def figures(self) -> dict[str, dict[str, float]]:
        """Hit rates and MRR so far, by whose order."""
        return {name: shares(list(ranks)) for name, ranks in self.ranks.items()}

    def last(self, user: str) -> tuple[Asked, Apps] | None:
        """The user's newest unlock that has a prediction."""
        unlock = self.newest.get(user)
        asked = self.asked.get(unlock) if unlock else None
        return None if asked is None or unlock is None else (asked, self.made[unlock])


def rank(apps: Apps, opened: str) -> int:
    """The place of an app among the first five, from 1; 0 if it is none of them."""
    names = [app for app, _ in apps[:TOP]]
    return names.index(opened) + 1 if opened in names else 0
