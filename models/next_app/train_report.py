"""What a training of the next app found: a rich table, report.json, report.md and metrics.svg. Decides nothing, and names no app."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from keepline.models.manifest import MANIFEST_FILE
from keepline.models.next_app import report
from keepline.models.next_app.evaluation import Evaluation
from keepline.models.next_app.manifest import Estimate, NextAppManifest
from keepline.models.next_app.metrics import LEVEL, METRICS

FAMILIES = {"logistic": "Logistic regression", "trees": "Boosted trees", "ensemble": "Ensemble of logistic regression and boosted trees"}
REPORT_FILES = ("report.json", "report.md", "metrics.svg")


def as_json(manifest: NextAppManifest) -> dict[str, Any]:
    """All figures, for machines; without the prior, whose apps have names."""
    return manifest.model_dump(mode="json", exclude={"sha256", "prior", "forest"})


def write(manifest: NextAppManifest, found: Evaluation, out: Path) -> None:
    """Write REPORT_FILES into `out`."""
    text = json.dumps(as_json(manifest), indent=1, allow_nan=False) + "\n"
    (out / "report.json").write_text(text, encoding="utf-8")
    (out / "report.md").write_text("\n".join(_markdown(manifest)) + "\n", encoding="utf-8")
    report.plot(found, out / "metrics.svg")


def show(manifest: NextAppManifest, out: Path, console: Console | None = None) -> None:
    """Print the figures, what moves them, and what was written."""
    console = console or Console()
    data = manifest.data
    console.print(_metrics(f"On the last 15 % of each user's opens ({data.test.targets}); {LEVEL:.0%} intervals", manifest.metrics))
    if manifest.metrics_at_unlocks:
        console.print(_metrics("Of these the opens that came first after an unlock", manifest.metrics_at_unlocks))
    grid = Table("column", title="What moves z")
    for heading in ("coefficient", "effect"):
        grid.add_column(heading, justify="right")
    for name, coefficient, effect in _columns(manifest):
        grid.add_row(name, coefficient, effect)
    console.print(grid)
    for line in (*_facts(manifest), f"wrote {out / MANIFEST_FILE} and {', '.join(REPORT_FILES)}"):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _metrics(title: str, metrics: Mapping[str, Mapping[str, Estimate]]) -> Table:
    grid = Table("ranker", title=title)
    for name in METRICS:
        grid.add_column(name, justify="right")
    for ranker, found in metrics.items():
        grid.add_row(ranker, *(_figure(found[name]) for name in METRICS))
    return grid


def _figure(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"


def _columns(manifest: NextAppManifest) -> Iterator[tuple[str, str, str]]:
    """Columns by effect, then those without any."""
    coefficients = {term.name: term.coefficient for term in manifest.linear or []}
    for name in [*manifest.importance, *(name for name in manifest.columns if name not in manifest.importance)]:
        coefficient = f"{coefficients[name]:+.4f}" if coefficients.get(name) else "-"
        yield name, coefficient, f"{manifest.importance[name]:.4f}" if name in manifest.importance else "-"


def _facts(manifest: NextAppManifest) -> Iterator[str]:
    data = manifest.data
    for name, part in (("fit", data.fit), ("validation", data.validation), ("test", data.test)):
        yield (
            f"{name}: {part.opens} opens, {part.targets} of an app that was not on screen, {part.scored} of these of a candidate; "
            f"{part.start} to {part.end}"
        )
    yield f"fitted on {data.fitted_on}"
    chosen = ", ".join(f"{name} {value:g}" for name, value in manifest.settings.items())
    yield f"chosen by validation: {chosen}; a prior of {len(manifest.prior)} apps"


def _markdown(manifest: NextAppManifest) -> Iterator[str]:
    data = manifest.data
    yield f"# Model {manifest.model_id}, version {manifest.version}"
    yield ""
    yield f"{FAMILIES[manifest.family]} on {data.users} users with {data.apps} apps and {data.unlocks} unlocks. Made by"
    yield ""
    yield f"    {manifest.created.command}"
    yield ""
    yield from (f"- {fact}" for fact in _facts(manifest))
    yield f"- learnt from {'all opens' if data.at == 'opens' else 'the opens that came first after an unlock'}: {data.rows} candidates"
    yield ""
    yield "## On the last 15 %"
    yield ""
    yield f"Of each user's opens; the app on screen is neither candidate nor target. In brackets: {LEVEL:.0%} intervals."
    yield ""
    yield from _lines(manifest.metrics)
    if manifest.metrics_at_unlocks:
        yield "The opens that came first after an unlock alone:"
        yield ""
        yield from _lines(manifest.metrics_at_unlocks)
    yield "![metrics](metrics.svg)"
    yield ""
    yield "## What moves z"
    yield ""
    if manifest.forest is None:
        yield "Effect: |change of z| for one standard deviation of the column."
    else:
        yield f"Effect: mean |contribution| to the logit of the {manifest.forest.trees} trees, which weigh {manifest.trees_weight:g}."
    yield "A column without a coefficient was left out: the criterion of models/next_app/families.py did not fall with it."
    yield ""
    yield "| column | coefficient | effect |"
    yield "|---|---|---|"
    yield from (f"| {name} | {coefficient} | {effect} |" for name, coefficient, effect in _columns(manifest))


def _lines(metrics: Mapping[str, Mapping[str, Estimate]]) -> Iterator[str]:
    yield f"| ranker | {' | '.join(METRICS)} |"
    yield f"|---|{'---|' * len(METRICS)}"
    for ranker, found in metrics.items():
        yield f"| {ranker} | {' | '.join(_figure(found[name]) for name in METRICS)} |"
    yield ""
