"""Which files there are to read, what kind each is by its name, and how one is opened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.errors import FileError, MissingFileError, UnsupportedFileError

Progress = Callable[[int], None]
"""Takes the bytes on disk read since the last call."""

STDIN = "-"
TYPE_NAMES = {event.name for event in EVENT_TYPES}
TEXT = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}
BINARY = {".avro": "avro", ".parquet": "parquet"}
KINDS = ".jsonl (also .ndjson, .json) or .csv, each also with .gz, .avro or .parquet"


class Source(NamedTuple):
    """A file to read, and the name it goes by."""

    name: str
    path: Path


def kind_of(path: Path) -> str:
    """By the name: "jsonl", "csv", "avro" or "parquet"; UnsupportedFileError otherwise."""
    if str(path) == STDIN:
        return "jsonl"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    last = suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes and not packed else ""
    if last in TEXT:
        return TEXT[last]
    if last in BINARY:
        if not packed:
            return BINARY[last]
        message = f"{path}: {last} files have a compression of their own, and .gz around it is not read: decompress the file (gunzip)"
        raise UnsupportedFileError(message)
    message = f"{path}: the name does not say what it holds: expected {KINDS}; convert or rename the file"
    raise UnsupportedFileError(message)


def find_files(paths: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """The files of these paths, sorted by name: a file by its own name, a folder's files by their path in it (full path where names meet).

    In folders, hidden files and files of other kinds are passed over.
    """
    found: list[Source] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = list(_inside(path))
            if not inside:
                message = f"{path}: no events in this folder: expected files that end in {KINDS}"
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
                if not BINARY.keys().isdisjoint(suffix.lower() for suffix in path.suffixes):
                    raise  # events, which would be missed in silence
                continue
            yield Source(path.relative_to(folder).as_posix(), path)


def total_bytes(sources: Iterable[Source]) -> int:
    """Bytes on disk, the goal of `Progress`."""
    return sum(source.path.stat().st_size for source in sources if str(source.path) != STDIN)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, to read its bytes; FileError if it cannot be opened."""
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        message = f"{path}: no such file; check --events"
        raise MissingFileError(message) from error
    except OSError as error:
        message = f"{path}: cannot be opened: {error.strerror}"
        raise FileError(message) from error
    with stream:
        yield stream


def untyped(path: Path, why: str) -> FileError:
    """The file does not say which event it holds."""
    return FileError(f"{path}: the file does not say which event it holds ({why}): give --type, one of {', '.join(sorted(TYPE_NAMES))}")
