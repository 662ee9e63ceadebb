"""The gate lets what is right pass, in any order, and catches each way of being wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keepline.schemas.packed import frames
from keepline.schemas.records import to_record
from tests.benchmarks import events
from tests.benchmarks.kernel import Feed
from tests.benchmarks.peers import gate, reference, scorebytes
from tests.benchmarks.peers.system import System

CUSTOMERS, N = 40, 1500
Records = list[tuple[bytes, bytes]]
SYSTEM = System(name="x", label="x", guarantee="exactly once", start=lambda run: None)  # type: ignore[arg-type,return-value]


@pytest.fixture(scope="module")
def right() -> Records:
    """Key and value of each score, in order."""
    found: Records = []

    def take(out: np.ndarray, end: int) -> None:
        found.extend((frame.key, frame.value) for frame in frames(out[:end].tobytes()) if frame.channel == 0)

    Feed(CUSTOMERS).run(events.make(events.Stream(CUSTOMERS), 0, N, packed=True), take)
    return found


@pytest.fixture(scope="module")
def expected() -> reference.Reference:
    return reference.make(CUSTOMERS, N, lambda _: None)


def judged(records: Records, expected: reference.Reference, system: System = SYSTEM) -> str:
    """What the gate says of these records, in two partitions."""
    reads = []
    for half in (records[::2], records[1::2]):
        seen, counts = np.zeros(N, np.uint8), np.zeros(3, np.int64)
        joined = (*gate._joined([value for _, value in half]), *gate._joined([key for key, _ in half]))
        scorebytes.compare(*joined, CUSTOMERS, *expected, seen, counts)
        reads.append(gate.Read(len(half), seen, counts, np.arange(10)))
    return gate.verdict(system, N, reads).void


def test_what_is_right_passes_in_any_order(right: Records, expected: reference.Reference) -> None:
    assert judged(right, expected) == ""
    assert judged(right[::-1], expected) == ""
    assert judged([(key.partition(b"|")[0], value) for key, value in right], expected) == ""  # a peer's key


def at(value: bytes, field: str) -> int:
    """Where a double of the value begins."""
    _, record = to_record(value)
    number = record["value"] if field == "value" else record["reasons"][1][field]
    return value.index(np.float64(number).tobytes())


def with_double(value: bytes, place: int, change: Callable[[float], float]) -> bytes:
    number = float(np.frombuffer(value[place : place + 8], "<f8")[0])
    return value[:place] + np.float64(change(number)).tobytes() + value[place + 8 :]


def ways() -> Iterator[tuple[str, Callable[[bytes, bytes], Records], str]]:
    """A name, what becomes of one record, what the gate has to say."""
    yield "missing", lambda k, v: [], "1 missing"
    yield "doubled", lambda k, v: [(k, v), (k, v)], "1 doubled"
    yield "another score", lambda k, v: [(k, with_double(v, at(v, "value"), lambda x: x + 1e-8))], "1 different"
    yield "another contribution", lambda k, v: [(k, with_double(v, at(v, "contribution"), lambda x: x * 1.001))], "1 different"
    yield "another's key", lambda k, v: [(events.key(int(k[1:10]) + 1), v)], "1 different"
    yield "no key", lambda k, v: [(b"", v)], "1 different"
    yield "another customer", lambda k, v: [(events.key(CUSTOMERS), v.replace(k[:10], events.key(CUSTOMERS)))], "1 different"
    yield "no score", lambda k, v: [(k, b"\xc3\x01")], "1 missing, 1 answering no event"
    yield "cut short", lambda k, v: [(k, v[:-30])], "answering no event"
    yield "an unknown event", lambda k, v: [(k, v), (k, v.replace(b"e000000", b"e999999"))], "1 answering no event"


@pytest.mark.parametrize(("change", "told"), [pytest.param(change, told, id=name) for name, change, told in ways()])
def test_each_way_of_being_wrong_is_void(
    right: Records, expected: reference.Reference, change: Callable[[bytes, bytes], Records], told: str
) -> None:
    wrong = [*right[:700], *change(*right[700]), *right[701:]]
    assert told in judged(wrong, expected)


def test_reasons_in_another_order_are_different(right: Records, expected: reference.Reference) -> None:
    spread = next(k for k, part in enumerate(expected.part) if abs(part[0]) > 1.01 * abs(part[1]) and part[1])
    names = expected.name[spread].copy()
    swapped = expected._replace(name=expected.name.copy())
    swapped.name[spread] = names[[1, 0, 2]]
    assert "1 different" in judged(right, swapped)


def test_many_other_third_reasons_are_void_and_a_tie_is_not(right: Records, expected: reference.Reference) -> None:
    for many, void in ((1, False), (20, True)):
        other = expected._replace(name=expected.name.copy())
        other.name[:many, 2] ^= 1
        assert ("another third reason" in judged(right, other)) is void


def test_the_last_bits_of_a_sum_do_not_count(right: Records, expected: reference.Reference) -> None:
    near = [(k, with_double(v, at(v, "value"), lambda x: x + 1e-12)) for k, v in right]
    assert judged(near, expected) == ""


def test_who_promises_less_may_double_but_not_miss(right: Records, expected: reference.Reference) -> None:
    loose = replace(SYSTEM, guarantee="at least once")
    assert judged([*right, right[5], right[6]], expected, loose) == ""
    assert "1 missing" in judged(right[1:], expected, loose)


def test_slices_of_the_customers_make_the_same_reference(expected: reference.Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "SLICE", 15)
    sliced = reference.make(CUSTOMERS, N, lambda _: None)
    assert all((a == b).all() for a, b in zip(sliced, expected, strict=True))


def test_a_reference_is_read_back(expected: reference.Reference, tmp_path: Path) -> None:
    expected.save(tmp_path / "reference")
    assert all((a == b).all() for a, b in zip(reference.load(tmp_path / "reference"), expected, strict=True))
