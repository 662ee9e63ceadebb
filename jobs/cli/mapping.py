"""`keepline mapping check`: everything that is wrong with a mapping file, each with line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(file: Annotated[Path, typer.Argument(help="The mapping file (YAML).")]) -> None:
    """Check a mapping file: all errors at once, as file:line:column: what, expected, what to do.

    Example: keepline mapping check cdr.yaml
    """
    from keepline.jobs.mapping.load import load

    mapping = load(file)
    for source in mapping.sources:
        reads = ", ".join([*source.topics, *source.files])
        typer.echo(f"{source.name}: {reads} → {', '.join(event.name for event in source.events)}")
    typer.echo(f"{file}: sound")


def schema() -> None:
    """Print the JSON Schema of mapping files, for editors.

    Example: keepline mapping schema > mapping.schema.json
    """
    from keepline.jobs.mapping.editors import text

    typer.echo(text(), nl=False)
