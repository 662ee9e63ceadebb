"""A part of a long run in a process of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.fuzz.run import Finding, Fuzzer


def work(seed: int, first: int, cases: int, name: str, answers: Any) -> None:
    """Runs its part and answers with the outcomes or the finding; the file `name` says how far it is."""
    progress = np.memmap(name, np.int64, "r+", shape=(2,))
    try:
        verdict = Fuzzer(seed, progress).run(first, cases)
    except Finding as found:
        answers.put((found.case, found.what, found.record, int(progress[1])))
    else:
        answers.put(verdict.reasons)
