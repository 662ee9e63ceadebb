"""What can be compared: anything that orders apps for a user, and learns from each event as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from keepline.models.next_app.log import NONE, Device, Event, Log


class Context(NamedTuple):
    """What is known at the moment of a target, the app apart."""

    time: int  # epoch ms
    current: int = NONE  # the app on screen: the user's last open
    device: Device = Device()


class Ranker(Protocol):
    """One way to order apps. An instance serves one evaluation: it is fitted once, then sees every event once."""

    @property
    def name(self) -> str:
        """How it is called in tables."""

    def fit(self, warm: Log) -> None:
        """All that is fitted or tuned comes from here: the first 70 % of each user. Keeps no counts: `update` sees these events again."""

    def rank(self, user: int, context: Context) -> Sequence[int]:
        """Apps, the likeliest first, each once. The app on screen may be among them: the evaluation leaves it out where it has to."""

    def update(self, event: Event) -> None:
        """Takes an event into the statistics: called for every event in order, after it was a target (if it was one)."""
