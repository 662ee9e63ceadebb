"""`python -m tests.schemas.compatibility`: may the committed schemas be released as they stand?

For every event and output: the committed schema is the newest of its history; and each released version and the committed one are
compatible in both directions by the checker of the Apache `avro` package. Backward: what we read now reads what was written then.
Forward: what was released then reads what is written now, since producers and readers are never upgraded at one moment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from keepline.schemas import catalog
from keepline.schemas.history import FOLDER, released

COMMITTED = Path(catalog.__file__).parent


def committed(root: Path = COMMITTED) -> dict[str, Any]:
    """The schemas of this version, by name."""
    return {path.stem: json.loads(path.read_bytes()) for folder in ("events", "outputs") for path in sorted((root / folder).glob("*.avsc"))}


def clashes(reader: Any, writer: Any) -> list[str]:
    """Why this reader cannot read what this writer writes; nothing if it can."""
    result = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(reader)), parse(json.dumps(writer)))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return [f"{', '.join(sorted(result.messages))} at {', '.join(sorted(result.locations))}"]


def problems(schemas: dict[str, Any], history: Path = FOLDER) -> Iterator[str]:
    """What stands against a release."""
    for name in sorted({path.name for path in history.iterdir()} - set(schemas)):
        yield f"{name}: released, but its schema is gone; restore it: its records stay in topics and archives"
    for name, schema in schemas.items():
        versions = released(name, history)
        if not versions:
            yield f"{name}: no released version; commit the schema as schemas/history/{name}/1.avsc"
            continue
        if versions[-1] != schema:
            yield f"{name}: the schema is not its newest released version; commit it as schemas/history/{name}/{len(versions) + 1}.avsc"
        named = [(f"version {number}", each) for number, each in enumerate(versions, 1)]
        current = ("the committed schema", schema)
        compared = {(a[0], b[0]): (a[1], b[1]) for a, b in [*pairwise(named), *((each, current) for each in named)]}
        for (older, newer), (old, new) in compared.items():
            for told in clashes(new, old):
                yield f"{name}: {newer} cannot read records of {older}: {told}"
            for told in clashes(old, new):
                yield f"{name}: {older} cannot read records of {newer}: {told}"


if __name__ == "__main__":
    found = list(problems(committed()))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)
