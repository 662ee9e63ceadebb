"""Records of many customers, kept as text: a round may hold a million, and parsed ones take several times the memory."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import overload

from tests.whole.support import Record, owner


class Records(Sequence[Record]):
    """Records in order; each is parsed when it is asked for."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def append(self, record: Record) -> None:
        self._texts.append(json.dumps(record))

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> list[Record]: ...

    def __getitem__(self, at: int | slice) -> Record | list[Record]:
        return [json.loads(text) for text in self._texts[at]] if isinstance(at, slice) else dict(json.loads(self._texts[at]))


Grouped = Mapping[str, Mapping[str, Sequence[Record]]]
"""Channel → customer → records, in order."""


def by_customer(records: Iterable[Record]) -> dict[str, Records]:
    """Records by owner, in order."""
    grouped: dict[str, Records] = defaultdict(Records)
    for record in records:
        grouped[owner(record)].append(record)
    return grouped
