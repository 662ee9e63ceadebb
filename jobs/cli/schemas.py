"""`keepline schemas export`: topics and records for other programs, as AsyncAPI and JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(out: Annotated[Path, typer.Option(help="Folder; its files of these names are replaced.")]) -> None:
    """Write asyncapi.yaml (AsyncAPI 3.0: topics, keys, Avro payloads) and a JSON Schema for each event and output.

    The JSON Schemas (draft 2020-12) describe event files, and what `keepline tail` and `keepline replay` write.

    Example: keepline schemas export --out docs/api
    """
    from keepline.schemas.asyncapi import documents

    made = documents()
    for name, text in made.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    typer.echo(f"{out}: asyncapi.yaml and {len(made) - 1} JSON Schemas")
