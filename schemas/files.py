"""Events from files of every format, in the order of the contract: `read_blocks(paths)`, or one by one `read_events(paths)`.

One file keeps its own order. Several files, or a folder, are merged by (event_time, file name, line). A line that is no event has no time:
it goes with the last good line before it in its file, so that it stays in its place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from keepline.schemas.blocks import BEFORE_ALL, TYPE_IDS, EventBlock, of_lines
from keepline.schemas.catalog import event_type
from keepline.schemas.cities import City
from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.errors import FileError
from keepline.schemas.merge import BUDGET, merged
from keepline.schemas.packed import peek
from keepline.schemas.sources import Progress, Source, find_files, kind_of, total_bytes
from keepline.schemas.textfiles import read_text

__all__ = ["Blocks", "Line", "Progress", "Source", "find_files", "lines", "ordered", "read_blocks", "read_events", "total_bytes"]

Read = Callable[[Path, int], Iterator[EventBlock]]
"""From a file and its place among the files to its blocks."""


class Blocks(NamedTuple):
    """Names of the files, by the number that a block's `files` say, and the blocks."""

    names: list[str]
    blocks: Iterator[EventBlock]


class Line(NamedTuple):
    """One line of a file: a row of CSV or Parquet, a record of Avro. `raw` is the line as it was, where it is no event."""

    file: str
    number: int
    raw: bytes
    event: Ok | Rejected


def read_blocks(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    type_name: str | None = None,
    progress: Progress | None = None,
    *,
    budget: int = BUDGET,
    city: City | None = None,
) -> Blocks:
    """Events of these files and folders, merged as the contract says; FileError if a file cannot be read.

    `type_name` is the event of lines that do not say theirs; `progress` gets the bytes on disk read since its last call. `city` hashes
    plain names of cities (cities.py).
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if type_name is not None:
        try:
            event_type(type_name)
        except KeyError as error:
            raise FileError(str(error.args[0])) from None
    alone = len(paths) == 1 and not Path(paths[0]).is_dir()
    return ordered(find_files(paths), lambda path, file: _read(path, file, type_name, progress, city), alone=alone, budget=budget)


def ordered(sources: Sequence[Source], read: Read, *, alone: bool, budget: int = BUDGET) -> Blocks:
    """The blocks that `read` makes of each file, in the order of the contract; `alone`: one file, in its own order."""
    names = [source.name for source in sources]
    if alone:
        return Blocks(names, read(sources[0].path, 0))
    return Blocks(names, merged(_all(sources, read), budget))


def read_events(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    type_name: str | None = None,
    progress: Progress | None = None,
    *,
    budget: int = BUDGET,
    city: City | None = None,
) -> Iterator[Line]:
    """The same line by line, as Python objects: for what sends or shows each."""
    return lines(read_blocks(paths, type_name, progress, budget=budget, city=city))


def _read(path: Path, file: int, type_name: str | None, progress: Progress | None, city: City | None = None) -> Iterator[EventBlock]:
    kind = kind_of(path)
    if kind == "avro":
        from keepline.schemas.avrofiles import read_avro

        return read_avro(path, file, type_name, progress, city)
    if kind == "parquet":
        from keepline.schemas.parquetfiles import read_parquet

        return read_parquet(path, file, type_name, progress, city)
    return of_lines(read_text(path, type_name, progress, city), file)


def _all(sources: Sequence[Source], read: Read) -> Iterator[EventBlock]:
    """Block after block, file after file; rejected lines get the time of the event before them."""
    for file, source in enumerate(sources):
        newest = BEFORE_ALL
        for block in read(source.path, file):
            rejected = [line._replace(time=int(block.times[line.at - 1]) if line.at else newest) for line in block.rejected]
            if len(block):
                newest = int(block.times[-1])
            yield replace(block, rejected=rejected)


def lines(found: Blocks) -> Iterator[Line]:
    """The events of blocks one by one, rejected lines in their places."""
    for block in found.blocks:
        rejected = iter(block.rejected)
        line = next(rejected, None)
        times, files, numbers = block.times.tolist(), block.files.tolist(), block.numbers.tolist()
        for i in range(len(block) + 1):
            while line is not None and line.at == i:
                yield Line(found.names[line.file], line.number, line.raw, line.why)
                line = next(rejected, None)
            if i < len(block):
                value = block.value(i)
                customer = peek(value)[0] or b""
                # A file's text may hold what no id can: the decoder refuses it later.
                event = Ok(TYPE_IDS[value[2:10]], customer.decode(errors="surrogateescape"), times[i], value)
                yield Line(found.names[files[i]], numbers[i], b"", event)
