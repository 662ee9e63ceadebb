"""A contact policy as plain data: what `document.load` makes of the YAML file, and what every decision is made by.

Times are milliseconds, shares are between 0 and 1. Nothing here decides; see `decide.py`, `course.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
CHANNELS = ("SMS", "EMAIL", "PUSH", "CALL")
"""Ways to reach a customer, as the Consent event names them."""


@dataclass(frozen=True, slots=True)
class Level:
    """A trigger's condition: a score or a feature with at_least ≤ number < below. It lasts as long as the number stays there.

    It does not hold for a customer who has no such number.
    """

    source: str
    """`score:churn` or `feature:overdue_bills`."""
    at_least: float = float("-inf")
    below: float = float("inf")


@dataclass(frozen=True, slots=True)
class Rise:
    """A trigger's condition: a score that is a probability is `by` above the lowest that was signalled within `within_ms`."""

    source: str
    by: float
    within_ms: int


@dataclass(frozen=True, slots=True)
class Fall:
    """A trigger's condition: a score is lower by the share `by` than the highest that was signalled within `within_ms`.

    Of a highest of 0 or less there is no share: then nothing has fallen.
    """

    source: str
    by: float
    within_ms: int


@dataclass(frozen=True, slots=True)
class Happens:
    """A trigger's condition: an event of a type, with one of some symbols in a field of enum type ("": every event of the type)."""

    event: str
    field: str = ""
    symbols: tuple[str, ...] = ()


When = Level | Rise | Fall | Happens
"""When a trigger fires."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A named reason to contact a customer. Of several that fire at once the one with the highest priority is decided on."""

    name: str
    when: When
    priority: int = 0

    @property
    def score(self) -> str:
        """The score that it rests on; "" none."""
        if isinstance(self.when, Happens) or not self.when.source.startswith("score:"):
            return ""
        return self.when.source.removeprefix("score:")

    @property
    def scored(self) -> bool:
        """Whether it rests on a score, which a customer may refuse (purpose PROFILING)."""
        return self.score != ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What an offer asks of a customer: a number within limits, or that some feature is among the three reasons of the score.

    That is the score that the trigger rests on, else the main one.
    """

    source: str = ""
    """`feature:NAME` or `score:NAME`; "" where `reasons` is what is asked."""
    at_least: float = float("-inf")
    below: float = float("inf")
    reasons: tuple[str, ...] = ()
    """Any of these among the reasons, with a contribution above 0."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be offered. The first of the policy's offers that suits the trigger, the customer and a permitted channel is taken."""

    kind: str
    offer: str
    channels: tuple[str, ...]
    """In order of preference."""
    triggers: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    """All must hold."""
    service: bool = False
    """A service message needs no consent to marketing and counts against no cap."""
    cooldown_ms: int = 30 * DAY_MS
    """The least time between two of this kind for one customer."""
    valid_ms: int = 7 * DAY_MS
    """How long after the moment from which it may be delivered it still may."""
    campaign: str = ""
    """The budget it is charged to; "" none."""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` marketing contacts in any `per_ms`, sliding, exact."""

    most: int
    per_ms: int
    channel: str = ""
    """"" over all channels."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times of day between which nothing is delivered by these channels; `start` > `end` spans midnight. Minutes after midnight."""

    start: int
    end: int
    channels: tuple[str, ...] = CHANNELS


@dataclass(frozen=True, slots=True)
class Holdout:
    """The control group: a share of all customers, by a stable hash of programme and customer, that is never contacted."""

    programme: str
    share: float


@dataclass(frozen=True, slots=True)
class Escalation:
    """What follows where an offer did not help: a ticket for people, once for an offer."""

    after_ms: int
    kind: str = "support_ticket"
    channel: str = "CALL"
    offer: str = "A person calls the customer"
    valid_ms: int = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `per_day` interventions of a campaign in a UTC day, counted in `shards` parts that no part can exceed."""

    campaign: str
    per_day: int
    shards: int = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """All the rules. `version` is in every decision and every intervention id: raise it when the meaning changes."""

    name: str
    version: int
    triggers: tuple[Trigger, ...]
    offers: tuple[Offer, ...]
    time_zone: str = "UTC"
    """IANA name, for customers who have said none."""
    marketing_required: bool = True
    """Whether a marketing contact needs a Consent that grants it; else only one that does not refuse it."""
    profiling_required: bool = False
    """The same for offers that rest on a score and purpose PROFILING."""
    caps: tuple[Cap, ...] = ()
    quiet: tuple[QuietHours, ...] = ()
    holdout: Holdout | None = None
    escalation: Escalation | None = None
    budgets: tuple[Budget, ...] = ()
    landing_ms: int = 30 * DAY_MS
    """How long after a decision its outcomes are waited for."""
    source: str = field(default="", compare=False)
    """The text of the file, for people and for `policy show`."""
