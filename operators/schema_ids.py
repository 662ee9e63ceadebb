"""Writers' schemas that become known while the job runs: by schema id, from the registry, when a record first carries one.

The kernel stops in front of a record whose id it has never seen. `settle` then asks the registry. It answers with a schema: the decoder's
image is extended. It does not know the id, or the schema cannot be read: records with it become dead letters, the first for a short
time, the second for good. It does not answer: the caller has to come again, and the record waits, with all behind it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from keepline.schemas.errors import KeeplineError, SchemaError
from keepline.schemas.programs import Image, Programs
from keepline.schemas.registry import Registry, RegistryAwayError
from keepline.schemas.resolve import reader_of

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two attempts to reach a registry that is away."""
MAX_UNKNOWN = 1000
"""Ids that are remembered as unknown; more are asked again."""


class SchemaIds:
    """The ids of one operator. Nothing of it is state: after a restore the ids are asked for again."""

    def __init__(self, programs: Programs, registry: Registry, unknown_ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`unknown_ttl`: for how many seconds an id is unknown once the registry has said so."""
        self._programs, self._registry, self._ttl, self._clock = programs, registry, unknown_ttl, clock
        self._refused: dict[int, tuple[str, float]] = {}
        self._soonest = math.inf
        self._pause, self._next = FIRST_PAUSE, -math.inf
        self.waiting = ""
        """Why the last attempt had no answer; "" if it had."""

    def settle(self, number: int) -> bool:
        """Whether it is known now what to do with records of this id. At most one request, and none before its pause is over."""
        if self._clock() < self._next:
            return False
        try:
            schema = self._registry.schema(number)
            if schema is None:
                told = f"the schema registry at {self._registry.url} does not know it; register the schema before its records are sent"
                self._refuse(number, told, self._clock() + self._ttl)
            else:
                self._programs.add_id(number, schema, reader_of(schema))
        except SchemaError as error:
            self._refuse(number, str(error), math.inf)
        except (RegistryAwayError, KeeplineError) as error:
            self.waiting = str(error)
            self._next = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return False
        self.waiting = ""
        self._pause, self._next = FIRST_PAUSE, -math.inf
        return True

    def _refuse(self, number: int, why: str, until: float) -> None:
        if len(self._refused) >= MAX_UNKNOWN:
            self._forget(min(self._refused, key=lambda known: self._refused[known][1]))
        self._refused[number] = why, until
        self._soonest = min(self._soonest, until)
        self._programs.refuse_id(number)

    def _forget(self, number: int) -> None:
        del self._refused[number]
        self._programs.forget_id(number)

    def expire(self) -> bool:
        """Forgets the unknown ids whose time is over; whether there were any."""
        now = self._clock()
        if now < self._soonest:
            return False
        for number in [number for number, (_, until) in self._refused.items() if until <= now]:
            self._forget(number)
        self._soonest = min((until for _, until in self._refused.values()), default=math.inf)
        return True

    def why(self, number: int) -> str:
        """Why records of this id cannot be read."""
        return self._refused.get(number, ("", 0.0))[0]

    @property
    def image(self) -> Image:
        """The decoder's image with all that is known."""
        return self._programs.image
