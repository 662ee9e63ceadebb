"""What is remembered of a customer for the contact policy. Frozen; every step makes a new one. `stored.py` turns it into bytes and back.

A contact is changed several times a step, and a tuple's `_replace` takes a quarter of the time of a dataclass of as many fields.

How large it gets: consents are at most ten, one a purpose and channel; cool-downs, held offers and `told` at most one a kind or trigger of
the policy; contacts at most what the caps allow in the longest of them; trails, at most two a score, `MOST_POINTS` numbers each. Open rows
are what takes space (1 to 3 KiB each with 36 to 56 features): an offer or a control decision has one for the landing window, so there are
about landing / cool-down of each kind, and a ticket's; after the window a row keeps only what names it, for as long again. Typical: 100
bytes with consents alone, 2 KiB with an open row of 36 features.

How long it is kept: consents and the time zone until the customer's Erasure, for nothing else knows them. All else ends by time: the last
that does is what was decided of a trigger, after `TOLD_MS`. A state in which nothing is left is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from keepline.models.contact.arms import TREATMENT
from keepline.models.contact.consent import Consent
from keepline.models.contact.rules import DAY_MS

TOLD_MS = 400 * DAY_MS
"""How long a trigger's last decision is remembered, so that a suppression is not written again: as long as a silent customer's features."""
MOST_POINTS = 512
"""Numbers that are kept of a trail. A score would have to rise that often in a row within a rise's window to have more."""
MOST_OUTCOMES = 64
"""Outcomes that are joined to one row; a row with so many has gone wrong at its source, and those that follow are left out."""


@dataclass(frozen=True, slots=True)
class Contacted:
    """A marketing contact that counts in a cap."""

    at: int
    """From when it may be delivered."""
    channel: str
    intervention_id: str


@dataclass(frozen=True, slots=True)
class Cooldown:
    """No offer of the kind before `until`."""

    kind: str
    until: int


@dataclass(frozen=True, slots=True)
class Told:
    """What was decided last of a trigger, and when it was written."""

    trigger: str
    kind: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Point:
    """A number that was signalled."""

    at: int
    value: float


@dataclass(frozen=True, slots=True)
class Trail:
    """What rises and falls of one source need to know of the past, the oldest first.

    For rises the numbers that are lower than all that came after them, for falls those that are higher.
    """

    source: str
    falls: bool
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """An offer that is to be made, now or, where it is held, at `due`. It has all that its records need, whatever becomes of the policy."""

    intervention_id: str
    kind: str
    offer: str
    channel: str
    trigger: str
    reason: str
    """Its code in the decision that emits it."""
    service: bool
    campaign: str
    cooldown_ms: int
    valid_ms: int
    made_at: int
    due: int
    escalation_of: str
    """Of a ticket: the offer that it follows; else ""."""
    snapshot: bytes
    """What `snapshot.unpack` reads; so too in a row."""


@dataclass(frozen=True, slots=True)
class Joined:
    """An outcome of a decision."""

    outcome: str
    at: int


@dataclass(frozen=True, slots=True)
class Row:
    """A decision whose outcomes are waited for: an intervention, a claim for one, or the control group's decision."""

    decision_id: str
    intervention_id: str
    """"" in the control group."""
    kind: str
    channel: str
    trigger: str
    programme: str
    policy: str
    policy_version: int
    decided_at: int
    snapshot: bytes
    arm: str = TREATMENT
    service: bool = False
    escalation: bool = False
    claimed: bool = False
    """Whether the campaign's budget had the last word, so that only an outcome proves that it was emitted."""
    escalates_at: int = 0
    """When it is looked at whether the offer helped; 0 not (any more)."""
    escalated: bool = False
    landed: bool = False
    churned: bool = False
    outcomes: tuple[Joined, ...] = ()


class Rest(NamedTuple):
    """Until when, and for which signals, nothing can change: see `stored.asleep`. Never part of a decision."""

    until: int = 0
    """Signals before it may be passed over; 0 none."""
    mask: int = 0
    offer: int = -1
    """Place of the offer that was chosen last; -1 none."""
    refusal: int = 0
    """Place of the code with which the choice ended, in `decide.REFUSALS`."""
    marketing: int = 0
    profiling: int = 0
    """Permitted channels."""
    print: int = 0
    """The policy's `Compiled.print`."""


class Contact(NamedTuple):
    """All that is remembered of a customer. Times are epoch ms; 0 where there was none."""

    customer_id: str
    clock: int = 0
    """The newest `now` of a step; it never goes back."""
    wake: int = 0
    """When a timer is to fire; 0 none."""
    decisions: int = 0
    """Decisions written so far: part of their ids."""
    active: tuple[str, ...] = ()
    """The level triggers that held at the newest signal."""
    ended: bool = False
    zone: str = ""
    zone_at: int = 0
    complained_at: int = 0
    """The newest complaint, while an offer waits to be looked at."""
    ticket_at: int = 0
    """not_before of the newest ticket."""
    consents: tuple[Consent, ...] = ()
    contacts: tuple[Contacted, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    told: tuple[Told, ...] = ()
    trails: tuple[Trail, ...] = ()
    held: tuple[Proposal, ...] = ()
    rows: tuple[Row, ...] = ()
    rest: Rest = Rest()
