"""Tiny runs on a real broker: Keepline passes the gate, so does a stranger that is right, and one that is wrong is void."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.benchmarks.peers import wrong
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.runner import run_once
from tests.benchmarks.peers.system import discover

CUSTOMERS, N = 200, 20_000


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(lambda _: None, lambda _: None) as found:
        yield found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_keepline_passes(bench: Bench) -> None:
    found = run_once(bench, discover()["keepline"], backend="heap", processes=1, customers=CUSTOMERS, checkpoint_s=1.0, n=N)
    assert found["gate"] == "", found
    assert found["restarts"] == 0


@pytest.mark.parametrize(
    ("wrongs", "told"),
    [((), ""), (("missing", "doubled", "different"), f"void: of {N:,} records 1 missing, 1 different, 1 doubled")],
    ids=["right", "wrong"],
)
def test_a_stranger_is_judged_by_its_records(bench: Bench, wrongs: tuple[str, ...], told: str) -> None:
    found = run_once(bench, wrong.system(*wrongs), backend="", processes=1, customers=CUSTOMERS, checkpoint_s=1.0, n=N)
    assert found["gate"] == told, found
    assert bool(found["void"]) >= bool(told)
