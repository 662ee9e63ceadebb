"""The expert's batches: the kernel's scores whatever their size, and states that can be stored and brought back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks import events
from tests.benchmarks.kernel import MANIFEST
from tests.benchmarks.peers import gate, reference, scorebytes
from tests.benchmarks.peers.expert import batches
from tests.benchmarks.peers.expert.batches import Batches

CUSTOMERS, N = 40, 3000


def telemetry() -> tuple[np.ndarray, list[bytes], list[bytes]]:
    made = events.make(events.Stream(CUSTOMERS), 0, N)
    raw = made.buffer.tobytes()
    return made.customer, [events.key(c) for c in made.customer], [raw[a:b] for a, b in zip(made.at[:-1], made.at[1:], strict=True)]


def wrong(keys: list[bytes], scores: list[bytes]) -> list[int]:
    """What the gate counts, and the events without exactly one score."""
    seen, counts = np.zeros(N, np.uint8), np.zeros(3, np.int64)
    expected = reference.make(CUSTOMERS, N, lambda _: None)
    scorebytes.compare(*gate._joined(scores), *gate._joined(keys), CUSTOMERS, *expected, seen, counts)
    return [*counts.tolist(), int((seen != 1).sum())]


@pytest.mark.parametrize("entries", [7, 1000, 20_000])
def test_scores_are_the_kernels_whatever_the_batch(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ENTRIES", entries)
    customers, keys, values = telemetry()
    loop, scores = Batches(MANIFEST, CUSTOMERS), []
    for first in range(0, N, 500):
        part = slice(first, first + 500)
        scores += loop.run(customers[part], keys[part], values[part])
    assert wrong(keys, scores) == [0, 0, 0, 0]


def test_states_from_a_changelog_go_on_alike() -> None:
    customers, keys, values = telemetry()
    one, other, half = Batches(MANIFEST, CUSTOMERS), Batches(MANIFEST, CUSTOMERS), N // 2
    scores = one.run(customers[:half], keys[:half], values[:half])
    for slot in range(CUSTOMERS):
        other.restore(CUSTOMERS - 1 - slot, one.state(slot))  # another process gives other places
    scores += other.run(CUSTOMERS - 1 - customers[half:], keys[half:], values[half:])
    assert wrong(keys, scores) == [0, 0, 0, 0]
