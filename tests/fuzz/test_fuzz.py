"""A short run of the fuzzer, every case that was kept, and proof that it finds what it looks for. Long run: `make fuzz CASES=…`."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from keepline.operators import batched, context
from keepline.operators.customer import CustomerKernel
from tests.fuzz.run import CASES, CASES_FILE, Finding, Fuzzer, isolate

KEPT = [json.loads(line) for line in CASES_FILE.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def fuzzer() -> Fuzzer:
    return Fuzzer(seed=1)


def test_a_short_run(fuzzer: Fuzzer) -> None:
    verdict = fuzzer.run(0, 17_000)
    assert verdict.cases == 17_000
    # What the mutations are meant to reach, they reach.
    expected = {"OK", "MALFORMED", "UNKNOWN_SCHEMA", "INVALID_FIELD", "KEY_MISMATCH", "OUT_OF_BOUNDS_TIME", "FUTURE_TIME", "OVERSIZED"}
    assert expected <= set(verdict.reasons)
    assert verdict.reasons["OK"] > 500


@pytest.mark.parametrize("case", KEPT, ids=[case["why"] for case in KEPT])
def test_a_case_that_was_kept(fuzzer: Fuzzer, case: dict[str, str]) -> None:
    assert fuzzer.record(bytes.fromhex(case["record"])) == case["outcome"]


def test_cases_depend_on_seed_and_number_alone(fuzzer: Fuzzer) -> None:
    again = [fuzzer.remade(case) for case in (5, 4, 5)]
    assert again[0] == again[2] != again[1]
    assert Fuzzer(seed=2).remade(5) != again[0]


def broken(monkeypatch: pytest.MonkeyPatch, how: Callable[[CustomerKernel], None]) -> None:
    """From now on each run of the operator ends with this."""
    run = CustomerKernel.run

    def and_then(self: CustomerKernel, n: int, watermark: int, wall: int) -> int:
        done = run(self, n, watermark, wall)
        if n > CASES:
            how(self)
        return done

    monkeypatch.setattr(CustomerKernel, "run", and_then)


def other_state(kernel: CustomerKernel) -> None:
    kernel._kept[-1, context.BLOCK][100] ^= 1


def out_of_bounds(kernel: CustomerKernel) -> None:
    block = kernel._kept[-1, context.BLOCK]
    np.ctypeslib.as_array(ctypes.c_uint8.from_address(block.ctypes.data - 1))[...] = 1


def twice(kernel: CustomerKernel) -> None:
    used = int(kernel.hdr[1])
    kernel.out[used : 2 * used] = kernel.out[:used]
    kernel.hdr[1] = 2 * used


def nothing(kernel: CustomerKernel) -> None:
    kernel.hdr[1] = 0


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (other_state, "state of a customer was changed"),
        (out_of_bounds, "wrote outside of its buffers"),
        (twice, "but 2 dead letters"),
        (nothing, "but 0 dead letters"),
    ],
)
def test_what_breaks_a_rule_is_found(monkeypatch: pytest.MonkeyPatch, how: Callable[[CustomerKernel], None], says: str) -> None:
    broken(monkeypatch, how)
    with pytest.raises(Finding, match=says):
        Fuzzer(seed=1).batch(0, CASES)


def test_a_message_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object, **__: object) -> str:
        raise KeyError

    monkeypatch.setattr(batched, "message", raises)
    with pytest.raises(Finding, match="the operator raises KeyError"):
        Fuzzer(seed=1).batch(0, CASES)


def test_a_crash_is_narrowed_down_to_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Fuzzer.batch

    def crashes(self: Fuzzer, first: int, cases: int) -> object:
        if first <= 7 < first + cases:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch(self, first, cases)

    monkeypatch.setattr(Fuzzer, "batch", crashes)
    assert isolate(Fuzzer(seed=1), 4, 6) == (7, "signal 9")


def test_the_command_prints_its_seed_and_outcomes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--cases", "340", "--seed", "3"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "fuzz: 340 cases from 0, seed 3\n" in done.stdout
    assert "fuzz: 340 cases, no finding, " in done.stdout
    assert "MALFORMED" in done.stdout
