"""What a fault is: a name, what happens, what it may cost, and the function that does it.

A fault has to be seen: `inject` asserts that the process died, that the job was restored, that the checkpoint failed … and returns what it
saw in a few words. A round whose fault missed fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.world import Shape, World


def nothing(_world: World) -> None:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: as in ONLY=…
        happens: what is done, in a sentence.
        costs: what it may cost, besides time; "" for nothing. Records are never among it unless `impossible` says why.
        inject: does it, sees it, ends it; returns what was seen.
        after: what a user does once the job has drained, before the view is compared.
        impossible: why records may be lost, duplicated or changed; "" for: they may not.
        once: only once in a long run.
        shape: makes the world that it needs for itself of the one at hand; None: any world will do.
    """

    name: str
    happens: str
    inject: Callable[[World, Random], str]
    costs: str = ""
    after: Callable[[World], None] = nothing
    impossible: str = ""
    once: bool = False
    shape: Callable[[Shape], Shape] | None = None
