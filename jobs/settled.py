"""Which letters of a partition are settled, small enough to travel as the metadata of a committed offset.

Offsets are settled up to the first flip, open up to the second, and so on; behind the last they are open. What lies between two letters
(the ends of transactions) belongs to either side, so a run of letters of one kind costs one flip, whatever lies in it.
"""

from __future__ import annotations

import base64
import zlib
from bisect import bisect_right

from keepline.schemas.encode import varint
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import read_long

LIMIT = 4096
"""Bytes of metadata that a broker takes with an offset by default (offset.metadata.max.bytes)."""
_MARK = "keepline-1:"


class SettledError(KeeplineError):
    """The memory of settled letters cannot be read, or has become too large."""


class Settled:
    """The memory of one partition, and a pass over its letters that makes it anew."""

    def __init__(self, flips: list[int] | None = None) -> None:
        self._flips = flips or [0]
        self._made: list[int] = []
        self._position = 0

    def is_settled(self, offset: int) -> bool:
        """Whether the letter was settled before this pass."""
        return bisect_right(self._flips, offset) % 2 == 0

    def note(self, offset: int, settled: bool) -> None:
        """The next letter of the pass, in the order of offsets."""
        if settled != (len(self._made) % 2 == 0):
            self._made.append(offset)
        self._position = offset + 1

    def add(self, offset: int) -> None:
        """Settles a letter that the topic no longer holds, before the pass begins."""
        if not self.is_settled(offset):
            self._flips = sorted(set(self._flips) ^ {offset, offset + 1})

    @property
    def flips(self) -> list[int]:
        """The memory as it is now: this pass as far as it has come, then what was known."""
        known = self._flips[bisect_right(self._flips, self._position) :]
        if (len(self._made) % 2 == 0) != self.is_settled(self._position):
            return [*self._made, self._position, *known]
        return [*self._made, *known]

    def dumps(self, where: str) -> tuple[int, str]:
        """(offset to commit, metadata). SettledError where it does not fit, with what to do."""
        flips = self.flips
        steps = b"".join(varint(b - a) for a, b in zip([0, *flips], flips, strict=False))
        text = _MARK + base64.b85encode(zlib.compress(steps, 9)).decode()
        if len(text) > LIMIT:
            msg = (
                f"{where}: settled and open letters alternate {len(flips)} times, more than the {LIMIT} bytes hold that Kafka keeps "
                "with an offset; nothing of the last transaction was sent. Settle the open ones up to some time first: send them repaired, "
                "or give them up with --settle --until TIME"
            )
            raise SettledError(msg)
        return flips[0], text

    @staticmethod
    def loads(text: str, where: str) -> Settled:
        """The memory of `dumps`; an empty one where nothing was committed."""
        if not text:
            return Settled()
        try:
            if not text.startswith(_MARK):
                raise ValueError  # noqa: TRY301
            steps, flips, at, place = zlib.decompress(base64.b85decode(text[len(_MARK) :])), [], 0, 0
            while at < len(steps):
                step, at = read_long(steps, at)
                place += step
                flips.append(place)
        except (ValueError, zlib.error):
            told = f"{where}: the metadata {text[:20]!r} of the committed offset is none of keepline redrive"
            msg = f"{told}: its group is used by another program"
            raise SettledError(msg) from None
        return Settled(flips)
