"""Events from files, in the order of the contract: `read_events(paths)`.

One file keeps its own order. Several files, or a folder, are merged by (event_time, file name, line). A line that is no event has no time:
it goes with the last good line before it in its file, so that it stays in its place.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from keepline.schemas.catalog import event_type
from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.errors import FileError, MissingFileError, UnsupportedFileError
from keepline.schemas.extsort import sort
from keepline.schemas.textfiles import NOT_YET, STDIN, Progress, kind_of, read_file

MERGE_BUDGET = 256 * 1024 * 1024  # bytes of lines and events held at once while merging
_OVERHEAD = 400  # of one entry's Python objects, bytes
_BEFORE_ALL = -(2**63)

_Keyed = tuple[int, int, int, bytes, Ok | Rejected]  # event time, place of the file, line, raw, event


class Line(NamedTuple):
    """One line of a file (of CSV, one row)."""

    file: str
    number: int
    raw: bytes
    event: Ok | Rejected


class Source(NamedTuple):
    """A file to read, and the name it goes by."""

    name: str
    path: Path


def find_files(paths: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """The files of these paths, sorted by name: a file by its own name, a folder's files by their path in it (full path where names meet).

    In folders, hidden files and files of other kinds are passed over; Avro and Parquet files are refused rather than passed over.
    """
    found: list[Source] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = list(_inside(path))
            if not inside:
                message = f"{path}: no events in this folder: expected .jsonl or .csv files, each also with .gz"
                raise MissingFileError(message)
            found += inside
        elif str(path) == STDIN or path.exists():
            kind_of(path)
            found.append(Source(path.name, path))
        else:
            message = f"{path}: no such file or folder; check --events"
            raise MissingFileError(message)
    if not found:
        message = "no input: give at least one file or folder of events"
        raise MissingFileError(message)
    names = Counter(source.name for source in found)
    return sorted(Source(str(source.path), source.path) if names[source.name] > 1 else source for source in found)


def _inside(folder: Path) -> Iterator[Source]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith((".", "_")):
                continue
            try:
                kind_of(path)
            except UnsupportedFileError:
                if NOT_YET.isdisjoint(suffix.lower() for suffix in path.suffixes):
                    continue
                raise
            yield Source(path.relative_to(folder).as_posix(), path)


def total_bytes(sources: Iterable[Source]) -> int:
    """Bytes on disk, the goal of `progress`."""
    return sum(source.path.stat().st_size for source in sources if str(source.path) != STDIN)


def read_events(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    type_name: str | None = None,
    progress: Progress | None = None,
    *,
    budget: int = MERGE_BUDGET,
) -> Iterator[Line]:
    """Lines of these files and folders, merged as the contract says; FileError if a file cannot be read.

    `type_name` is the event of lines that do not say theirs; `progress` gets the bytes on disk read since its last call.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if type_name is not None:
        try:
            event_type(type_name)
        except KeyError as error:
            raise FileError(str(error.args[0])) from None
    sources = find_files(paths)
    return _lines(sources, type_name, progress, alone=len(paths) == 1 and not Path(paths[0]).is_dir(), budget=budget)


def _lines(sources: list[Source], type_name: str | None, progress: Progress | None, *, alone: bool, budget: int) -> Iterator[Line]:
    if alone:
        name, path = sources[0]
        for number, raw, event in read_file(path, type_name, progress):
            yield Line(name, number, raw, event)
        return
    keyed = _all(sources, type_name, progress)
    for _, place, number, raw, event in sort(keyed, _key, _size, budget):
        yield Line(sources[place].name, number, raw, event)


def _all(sources: list[Source], type_name: str | None, progress: Progress | None) -> Iterator[_Keyed]:
    for place, source in enumerate(sources):
        time = _BEFORE_ALL
        for number, raw, event in read_file(source.path, type_name, progress):
            if isinstance(event, Ok):
                time = event.event_time
            yield time, place, number, raw, event


def _key(entry: _Keyed) -> tuple[int, ...]:
    return entry[:3]


def _size(entry: _Keyed) -> int:
    event = entry[4]
    return len(entry[3]) + _OVERHEAD + (len(event.value) if isinstance(event, Ok) else len(event.message))
