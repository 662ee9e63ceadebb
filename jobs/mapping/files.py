"""Foreign files to canonical events: JSON Lines, CSV, Avro containers and Parquet, each by the source whose `files` pattern takes its name.

In CSV every value is text, and an empty cell is absent. Files are merged as files of events are: by (event_time, file name, line).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from keepline.jobs.mapping.load import Mapping
from keepline.jobs.mapping.paths import Origin
from keepline.jobs.mapping.readers import read_json
from keepline.jobs.mapping.source import Source
from keepline.schemas import sources
from keepline.schemas.blocks import EventBlock, of_lines
from keepline.schemas.cities import City
from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.errors import DamagedFileError, FileError
from keepline.schemas.files import Blocks, ordered
from keepline.schemas.sources import Progress, find_files, kind_of, opened
from keepline.schemas.status import Reason
from keepline.schemas.textfiles import Text, parsed, too_long_line

Row = tuple[int, bytes, Any]
"""Line (row, record), its raw bytes where it has some, and the foreign record or Rejected."""
READ, SKIPPED = "read", "skipped"


def source_of(mapping: Mapping, name: str) -> Source:
    """The first source that takes a file of this name; FileError if none does."""
    for source in mapping.sources:
        if any(fnmatch(name, pattern) or fnmatch(Path(name).name, pattern) for pattern in source.files):
            return source
    patterns = [pattern for source in mapping.sources for pattern in source.files]
    told = f"expected a name like {', '.join(patterns)}" if patterns else 'no source has files: add files: ["*.csv"] to one'
    msg = f"{name}: no source of {mapping.bundle.name} takes this file: {told}"
    raise FileError(msg)


def chosen(paths: Sequence[Path], mapping: Mapping) -> list[tuple[sources.Source, Source]]:
    """The files to read with their sources. In folders, files that no pattern takes are passed over."""
    given = {path.name for path in paths if not path.is_dir()}
    found = []
    for file in find_files(paths):
        try:
            found.append((file, source_of(mapping, file.name)))
        except FileError:
            if file.path.name in given:
                raise
    if not found:
        source_of(mapping, str(paths[0]))  # says what was expected
    return found


def read_mapped(
    paths: Sequence[Path],
    mapping: Mapping,
    progress: Progress | None = None,
    counts: Counter[str] | None = None,
    city: City | None = None,
) -> Blocks:
    """The events of foreign files; `counts` gets how many records were read and skipped, `city` hashes plain names of cities."""
    found = chosen(paths, mapping)
    told = Counter[str]() if counts is None else counts
    named = {file.path: (file.name, source) for file, source in found}

    def read(path: Path, place: int) -> Iterator[EventBlock]:
        name, source = named[path]
        return of_lines(_mapped(path, name, source, progress, told, city), place)

    alone = len(paths) == 1 and not Path(paths[0]).is_dir()
    return ordered([file for file, _ in found], read, alone=alone)


def _mapped(
    path: Path, name: str, source: Source, progress: Progress | None, counts: Counter[str], city: City | None
) -> Iterator[tuple[int, bytes, Ok | Rejected]]:
    for number, raw, record in read_rows(path, source.csv_delimiter, progress):
        counts[READ] += 1
        made = record if isinstance(record, Rejected) else source.map(record, Origin(name, 0, number), city)
        if isinstance(made, Rejected):
            yield number, raw, made
        else:
            counts[SKIPPED] += not made
            for event in made:
                yield number, b"", event


def read_rows(path: Path, delimiter: str = ",", progress: Progress | None = None) -> Iterator[Row]:
    """The foreign records of one file, in its own order."""
    kind = kind_of(path)
    if kind == "csv":
        return parsed(path, lambda texts: _csv(path, texts, delimiter), progress)
    if kind == "jsonl":
        return parsed(path, _json, progress)
    return _avro(path, progress) if kind == "avro" else _parquet(path, progress)


def _json(texts: Iterator[Text]) -> Iterator[Row]:
    for number, text, too_long in texts:
        raw = text.rstrip(b"\r\n")
        if raw and not raw.isspace():
            yield number, raw, too_long_line(raw) if too_long else read_json(raw)


def _csv(path: Path, texts: Iterator[Text], delimiter: str) -> Iterator[Row]:
    taken: list[Text] = []

    def decoded() -> Iterator[str]:
        for text in texts:
            taken.append(text)
            yield text.raw.decode(errors="surrogateescape")  # what is not UTF-8 becomes lone surrogates, which no field takes

    rows = csv.reader(decoded(), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        msg = f"{path}: the header is not CSV ({error}): expected column names parted by {delimiter!r}"
        raise DamagedFileError(msg) from error
    if len(set(header)) != len(header) or (len(header) == 1 and delimiter not in ";\t" and ";" in header[0]):
        msg = f"{path}: the header is {','.join(header)[:80]!a}: expected different column names parted by {delimiter!r}; see delimiter:"
        raise DamagedFileError(msg)
    while True:
        taken.clear()
        record: Any
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            record = Rejected(Reason.MALFORMED, f"the row is not CSV ({error}): expected quotes doubled inside quotes")
        else:
            if not cells:
                continue
            record = {name: cell for name, cell in zip(header, cells, strict=False) if cell != ""}
            if len(cells) > len(header):
                record = Rejected(Reason.MALFORMED, f"the row has {len(cells)} cells: expected {len(header)} as in the header")
        raw = b"".join(text.raw for text in taken).rstrip(b"\r\n")
        yield taken[0].number, raw, too_long_line(raw) if taken[0].too_long else record


def _avro(path: Path, progress: Progress | None) -> Iterator[Row]:
    import fastavro

    with opened(path) as stream:
        number = told = 0
        try:
            for number, record in enumerate(fastavro.reader(stream), 1):
                yield number, b"", record
                if progress and number % 4096 == 0:
                    progress(stream.tell() - told)
                    told = stream.tell()
        except Exception as error:  # fastavro raises whatever its reading of damaged bytes ends in
            msg = f"{path}: not a whole Avro container file, after record {number} ({type(error).__name__}: {error}): copy the file again"
            raise DamagedFileError(msg) from error
        if progress:
            progress(path.stat().st_size - told)


def _parquet(path: Path, progress: Progress | None) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path) as stream:
        number = told = 0
        try:
            file = pq.ParquetFile(stream)
            for batch in file.iter_batches(4096):
                for record in batch.to_pylist():
                    number += 1
                    yield number, b"", record
                if progress:
                    now = path.stat().st_size * number // max(file.metadata.num_rows, 1)
                    progress(now - told)
                    told = now
        except (pa.ArrowException, OSError) as error:
            msg = f"{path}: not a whole Parquet file, after row {number} ({str(error).partition(chr(10))[0][:200]}): copy the file again"
            raise DamagedFileError(msg) from error
