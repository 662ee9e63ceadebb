"""Three short rounds of `make chaos`, from the source tree; the long run has all faults, and the wheel."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.chaos.fault import Fault
from tests.chaos.faults import FAULTS
from tests.chaos.faults.poison import poison
from tests.chaos.faults.view import emptied, rebuild
from tests.chaos.rounds import play
from tests.chaos.world import Shape, World


def emptied_and_poisoned(world: World, draw: Random) -> str:
    return f"{poison(world, draw)}; {emptied(world, draw)}"


BOTH = Fault("redis-emptied-and-poison-batch", "both in one round", emptied_and_poisoned, after=rebuild)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(Shape(backend="rocksdb", seed=20, customers=120, disk=False)) as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", [FAULTS["taskmanager-killed"], FAULTS["broker-killed"], BOTH], ids=lambda fault: fault.name)
def test_round(world: World, fault: Fault) -> None:
    result = play(world, fault, seed=21)
    assert result.sound, f"{result.failed}\n{result}\n" + "\n".join(result.notes)
    assert result.first_score is not None
    assert result.records > 1000
    assert result.saw
