"""One text file of events, read line by line: JSON Lines or CSV, plain or gzip.

Yields (line number, raw bytes without the line's end, Ok | Rejected). Blank lines are skipped. A line that is no event is a value; a file
that is no file of events (broken gzip, a CSV header without the needed columns) raises a FileError.
"""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

from keepline.schemas.catalog import MISSING, event_type
from keepline.schemas.cities import City, hashed
from keepline.schemas.encode import Ok, Rejected, encode_json, encode_row
from keepline.schemas.errors import DamagedFileError, FileError
from keepline.schemas.sources import STDIN, TYPE_NAMES, Progress, kind_of, opened, untyped
from keepline.schemas.status import Reason

Entry = tuple[int, bytes, Ok | Rejected]
E = TypeVar("E", bound=tuple[Any, ...])

_MAX_LINE = 64 * 1024 * 1024  # nothing sound is longer; a file without line ends must not fill the memory
_REPORT_EVERY = 4096
_BOM = b"\xef\xbb\xbf"


class Text(NamedTuple):
    """One line of a file, with its end."""

    number: int
    raw: bytes
    too_long: bool


def read_text(path: Path, type_name: str | None = None, progress: Progress | None = None, city: City | None = None) -> Iterator[Entry]:
    """The events of one file in its own order. `progress` is called with the bytes (on disk) read since the last call."""
    is_csv = kind_of(path) == "csv"
    return parsed(path, lambda texts: _csv(path, texts, type_name, city) if is_csv else _json(texts, type_name, city), progress)


def parsed(path: Path, parse: Callable[[Iterator[Text]], Iterator[E]], progress: Progress | None) -> Iterator[E]:
    """What `parse` makes of the lines of a file, each entry beginning with its line's number; FileError where it is damaged."""
    with _opened(path) as (stream, position):
        texts = _reporting(_texts(stream), position, progress)
        line = 0
        try:
            for entry in parse(texts):
                line = entry[0]
                yield entry
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            message = f"{path}: the gzip data is damaged after line {line} ({error}): copy the file again, or decompress what is left"
            raise DamagedFileError(message) from error
        except OSError as error:
            message = f"{path}: cannot be read after line {line}: {error.strerror or error}"
            raise FileError(message) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], int]]]:
    """The file's bytes, decompressed, and where the reading stands on disk."""
    if str(path) == STDIN:
        yield sys.stdin.buffer, lambda: 0
        return
    with opened(path) as raw:
        if path.suffix.lower() == ".gz":
            # Buffered again: GzipFile's own readline is slow.
            with io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), 1 << 18) as stream:
                yield cast(BinaryIO, stream), raw.tell
        else:
            yield raw, raw.tell


def _texts(stream: BinaryIO) -> Iterator[Text]:
    number = 0
    while raw := stream.readline(_MAX_LINE):
        number += 1
        too_long = len(raw) == _MAX_LINE and not raw.endswith(b"\n")
        if too_long:
            rest = raw
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(_MAX_LINE)
        if number == 1 and raw.startswith(_BOM):
            raw = raw[len(_BOM) :]
        yield Text(number, raw, too_long)


def _reporting(texts: Iterator[Text], position: Callable[[], int], progress: Progress | None) -> Iterator[Text]:
    if progress is None:
        yield from texts
        return
    before = 0
    for text in texts:
        yield text
        if text.number % _REPORT_EVERY == 0:
            now = position()
            progress(now - before)
            before = now
    progress(position() - before)


def too_long_line(raw: bytes) -> Rejected:
    """Why a line is not read that is longer than any sound one."""
    return Rejected(Reason.OVERSIZED, f"the line has more than {len(raw)} bytes: expected one event a line; check the line ends")


def _json(texts: Iterator[Text], type_name: str | None, city: City | None) -> Iterator[Entry]:
    for number, text, too_long in texts:
        raw = text.rstrip(b"\r\n")
        if raw and not raw.isspace():
            yield number, raw, too_long_line(raw) if too_long else encode_json(raw, type_name, city)


def _csv(path: Path, texts: Iterator[Text], type_name: str | None, city: City | None) -> Iterator[Entry]:
    taken: list[Text] = []

    def lines() -> Iterator[str]:
        for text in texts:
            taken.append(text)
            # What is not UTF-8 becomes lone surrogates, which no writer of a field takes.
            yield text.raw.decode(errors="surrogateescape")

    reader = csv.reader(lines(), strict=True)
    header, type_name = _header(path, reader, type_name)
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _raw(
                taken, Rejected(Reason.MALFORMED, f"the row is not CSV ({error}): expected commas, and quotes doubled inside quotes")
            )
            continue
        if cells:
            yield _raw(taken, _row(header, cells, type_name, city))


def _raw(taken: list[Text], event: Ok | Rejected) -> Entry:
    raw = b"".join(text.raw for text in taken).rstrip(b"\r\n")
    return taken[0].number, raw, too_long_line(raw) if taken[0].too_long else event


def _row(header: list[str], cells: list[str], type_name: str | None, city: City | None) -> Ok | Rejected:
    if len(cells) > len(header):
        return Rejected(
            Reason.MALFORMED, f"the row has {len(cells)} cells: expected {len(header)} as in the header; quote cells with commas"
        )
    named = hashed(dict(zip(header, cells, strict=False)), city)
    return encode_row(named.get("type") or type_name or "", named)


def _header(path: Path, reader: Iterator[list[str]], type_name: str | None) -> tuple[list[str], str | None]:
    """(column names, the type of rows that do not say their own)."""
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        message = f"{path}: the header is not CSV ({error}): expected column names separated by commas"
        raise DamagedFileError(message) from error
    stem = path.name.split(".")[0]
    name = type_name or (stem if stem in TYPE_NAMES else None)
    if not header:
        return header, name
    if "type" in header:
        needed = ["customer_id", "event_id", "event_time"]
    elif name is None:
        raise untyped(path, "it has no column type either")
    else:
        needed = [field.name for field in event_type(name).fields if field.default is MISSING]
    missing = [column for column in needed if column not in header]
    twice = sorted({column for column in header if header.count(column) > 1})
    if missing or twice:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(twice)} twice"
        message = f"{path}: the header {','.join(header)[:80]!a} {wrong}: expected {', '.join(needed)}, separated by commas"
        raise DamagedFileError(message)
    return header, name
