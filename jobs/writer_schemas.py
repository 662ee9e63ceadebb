"""The setting `writer_schemas`: Avro schemas of other producers, from files, checked before the job is submitted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keepline.schemas.errors import SchemaError
from keepline.schemas.resolve import reader_of, resolve


def writer_schemas(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The schemas of .avsc files, and of all in the folders given. SchemaError with file, field and reason for one that we cannot read."""
    for path in paths:
        files = sorted(path.rglob("*.avsc")) if path.is_dir() else [path]
        if not files:
            message = f"{path}: no .avsc file in this folder; writer_schemas names Avro schemas or folders of them"
            raise SchemaError(message)
        for file in files:
            try:
                schema = json.loads(file.read_bytes())
                resolve(schema, reader_of(schema))
            except (OSError, ValueError) as error:
                message = f"{file}: cannot be read as an Avro schema: {error}"
                raise SchemaError(message) from None
            except SchemaError as error:
                message = f"{file}: {error}"
                raise SchemaError(message) from None
            yield schema
