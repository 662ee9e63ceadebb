"""Sort more than fits in memory: entries that start with a unique key come in, leave in order of the key.

While they fit the budget they are sorted where they are. Beyond it, sorted runs go to unnamed temporary files, which are merged at the
end. Files that are sorted already cost no more than others: whether they are is known only at their end.
"""

import heapq
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, TypeVar, cast

T = TypeVar("T")
_CHUNK = 512


def sort(entries: Iterable[T], key: Callable[[T], tuple[int, ...]], size: Callable[[T], int], budget: int) -> Iterator[T]:
    """Entries in the order of `key`, with at most about `budget` bytes of them (by `size`) in memory."""
    runs: list[BinaryIO] = []
    held: list[T] = []
    room = budget
    try:
        for entry in entries:
            held.append(entry)
            room -= size(entry)
            if room < 0:
                runs.append(_spill(sorted(held, key=key)))
                held, room = [], budget
        held.sort(key=key)
        if runs:
            yield from heapq.merge(held, *(_load(run) for run in runs), key=key)
        else:
            yield from held
    finally:
        for run in runs:
            run.close()


def _spill(entries: list[T]) -> BinaryIO:
    run = cast(BinaryIO, tempfile.TemporaryFile(prefix="keepline-sort-"))  # noqa: SIM115  closed by sort()
    for start in range(0, len(entries), _CHUNK):
        pickle.dump(entries[start : start + _CHUNK], run, pickle.HIGHEST_PROTOCOL)
    run.seek(0)
    return run


def _load(run: BinaryIO) -> Iterator[T]:
    while True:
        try:
            chunk: list[T] = pickle.load(run)  # noqa: S301  our own unnamed file
        except EOFError:
            return
        yield from chunk
