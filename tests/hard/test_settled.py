"""The memory of settled letters: equal to a plain set, whatever was settled in which order, and small."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.jobs.settled import LIMIT, Settled, SettledError


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_passes_remember_what_was_settled(data: st.DataObject) -> None:
    offsets = sorted(data.draw(st.sets(st.integers(0, 200), max_size=60)))
    truth: dict[int, bool] = {}
    memory = Settled()
    for _ in range(3):
        end = data.draw(st.integers(0, 200))  # a pass that is cut short, as by a kill
        for offset in (each for each in offsets if each < end):
            truth[offset] = truth.get(offset, False) or data.draw(st.booleans())
            memory.note(offset, settled=truth[offset])
        first, text = memory.dumps("")
        memory = Settled.loads(text, "")
        assert [memory.is_settled(offset) for offset in offsets] == [truth.get(offset, False) for offset in offsets]
        assert all(truth.get(offset, False) for offset in offsets if offset < first)


def test_holes_between_letters_cost_nothing() -> None:
    memory = Settled()
    for offset in range(0, 300_000, 3):
        memory.note(offset, settled=offset < 150_000)
    assert memory.flips == [150_000]


def test_a_letter_that_is_gone_is_settled() -> None:
    memory = Settled.loads("", "")
    memory.add(7)
    assert [memory.is_settled(offset) for offset in (6, 7, 8)] == [False, True, False]
    memory.add(8)
    memory.add(8)
    assert memory.flips == [0, 7, 9]


def test_thousands_of_scattered_letters_fit_and_more_are_refused() -> None:
    memory, draw = Settled(), random.Random(4)
    for offset in range(2000):
        memory.note(offset, settled=draw.random() < 0.5)
    assert len(memory.dumps("here")[1]) <= LIMIT
    for offset in range(2000, 80_000):
        memory.note(offset, settled=draw.random() < 0.5)
    with pytest.raises(SettledError, match=r"here: settled and open letters alternate .* --settle --until TIME"):
        memory.dumps("here")


@pytest.mark.parametrize("text", ["something", "keepline-1:!!!", "keepline-1:abcd"])
def test_another_programs_metadata_is_refused(text: str) -> None:
    with pytest.raises(SettledError, match="its group is used by another program"):
        Settled.loads(text, "group g, letters-0")
