"""What the view is to hold, against a naive twin that looks at the whole history of a key at the end."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from keepline.jobs.view_newest import ViewNewest
from keepline.schemas.packed import INTERVENTIONS, SCORES
from keepline.schemas.records import from_record
from tests.cli.test_rebuild_view import intervention, score

KEYS = {SCORES: "s:{customer_id}:{score}", INTERVENTIONS: "i:{customer_id}"}


class Told(NamedTuple):
    """One record of a topic; `number` makes its value its own, None is a tombstone."""

    channel: int
    customer: str
    moment: int
    number: int | None

    @property
    def key(self) -> bytes:
        return f"{self.customer}|churn|CHAMPION".encode() if self.channel == SCORES else self.customer.encode()

    @property
    def place(self) -> str:
        return f"s:{self.customer}:churn" if self.channel == SCORES else f"i:{self.customer}"

    @property
    def value(self) -> bytes | None:
        if self.number is None:
            return None
        if self.channel == SCORES:
            return from_record("Score", score(self.customer, self.moment, float(self.number)))
        return from_record("Intervention", intervention(self.customer, self.moment) | {"value": float(self.number)})


def naive(history: list[Told]) -> tuple[dict[str, bytes], set[str]]:
    """What there is to be, and what was emptied and is to have nothing since."""
    held: dict[str, bytes] = {}
    emptied: set[str] = set()
    for customer in {told.customer for told in history}:
        own = [told for told in history if told.customer == customer]
        scores = [told for told in own if told.channel == SCORES]
        gone = max((at for at, told in enumerate(scores) if told.number is None), default=-1)
        until = max((told.moment for told in scores if told.number is None), default=-1)
        kept = {SCORES: scores[gone + 1 :]}
        kept[INTERVENTIONS] = [told for told in own if told.channel == INTERVENTIONS and told.moment > until]
        for channel, found in kept.items():
            place = Told(channel, customer, 0, 0).place
            if found and kept[SCORES]:
                newest = max(enumerate(found), key=lambda each: (each[1].moment, each[0]))[1]
                held[place] = newest.value or b""
            elif gone >= 0:
                emptied.add(place)
    return held, emptied


@pytest.mark.parametrize("seed", range(150))
def test_the_twin_says_the_same(seed: int) -> None:
    draw = random.Random(seed)
    history: list[Told] = []
    view = ViewNewest(KEYS)
    held: dict[str, bytes] = {}
    emptied: set[str] = set()
    for _ in range(3):  # each time the scores first, then what the policy made of them
        piece = []
        for channel in (SCORES, INTERVENTIONS):
            for _ in range(draw.randrange(8)):
                number = None if channel == SCORES and draw.random() < 0.3 else draw.randrange(10**6)
                piece.append(Told(channel, draw.choice(["a", "b|b", "ü"]), draw.randrange(20), number))
        for told in piece:
            assert view.take(told.channel, told.key, told.value, told.moment)
        history += piece
        gone, changed = view.changes()
        for place in gone:
            held.pop(place, None)
        emptied = emptied - set(changed) | gone
        assert not gone & set(changed)
        held |= {place: entry.value for place, entry in changed.items()}
        assert held == naive(history)[0]
        assert emptied >= naive(history)[1], "what tombstones emptied was removed"
        assert sum(view.counts().values()) == len(naive(history)[0])


def test_what_cannot_be_read_is_told() -> None:
    view = ViewNewest(KEYS)
    for key in (b"", b"c", b"c|churn", b"\xff|churn|CHAMPION"):
        assert not view.take(SCORES, key, None, 1)
    assert not view.take(SCORES, b"c|churn|CHAMPION", b"", 1)
    assert not view.take(SCORES, b"c|churn|CHAMPION", b"no record", 1)
    assert view.changes() == (set(), {})
    odd = ViewNewest({INTERVENTIONS: "i:{customer_id}:{offer}"})
    assert not odd.take(INTERVENTIONS, b"c", None, 1)
