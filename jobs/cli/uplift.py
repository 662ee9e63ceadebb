"""`keepline uplift`: what the contact policy changed, against the control group."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def uplift(
    outcomes: Annotated[Path, typer.Option(help="Folder or file that `keepline outcomes export` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.md and uplift.svg.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare churn of the contacted customers and of the control group, by programme, kind and trigger, with 95 % intervals.

    The treatment arm is everyone it was decided to contact, also those whom the message did not reach or who refused (intention to treat):
    they are in the control group too, where nobody can tell them apart. A customer counts once in a group, by the first decision.

    Example: keepline uplift --outcomes outcomes/ --out report/
    """
    from keepline.jobs.cli.progress import counted
    from keepline.jobs.uplift import measure
    from keepline.models import uplift_report

    with counted("reading outcomes", quiet=as_json) as progress:
        found = measure(outcomes, progress)
    uplift_report.write(found, out)
    if as_json:
        import json

        typer.echo(json.dumps(found.as_json(), allow_nan=False))
    else:
        uplift_report.show(found, out)
