"""`keepline clv fit`: event files to a fitted BG/NBD with Gamma-Gamma.

events → purchases up to `until`, by the stream's rules → summary by customer → both fits → DIR/manifest.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keepline.features.plan import compile as compile_plan
from keepline.features.query import parse_time
from keepline.features.rows import EventBatch
from keepline.features.sets import feature_set
from keepline.models.clv.manifest import ClvManifest, Data, dump
from keepline.models.clv.purchases import Admitted, admit
from keepline.models.clv.summary import summarise
from keepline.models.clv.train import Options, train
from keepline.models.errors import TrainingDataError
from keepline.models.manifest import MANIFEST_FILE
from keepline.schemas.blocks import concatenate
from keepline.schemas.files import read_blocks
from keepline.schemas.programs import compile_programs
from keepline.schemas.sources import Progress
from keepline.schemas.times import to_rfc3339


@dataclass(frozen=True)
class FitDone:
    """The manifest that was written, and what became of the records."""

    manifest: ClvManifest
    events: int
    rejected: int
    duplicate: int
    late: int


def read_purchases(
    paths: Sequence[Path], until: int | None = None, type_name: str | None = None, currency: str = "", progress: Progress | None = None
) -> tuple[Admitted, int]:
    """The purchases in these files at or before `until` (epoch ms; None: all), and how many lines were no events at all."""
    _, blocks = read_blocks(paths, type_name, progress)
    events = concatenate(list(blocks))
    batch = EventBatch(events.buffer, events.offsets, events.lengths)
    found = admit(compile_plan(feature_set("clv")), batch, until, programs=compile_programs(currency=currency))
    return found, len(events.rejected)


def fit(
    paths: Sequence[Path], until: str, out: Path, options: Options, type_name: str | None = None, progress: Progress | None = None
) -> FitDone:
    """Fit on the purchases at or before `until` and write the manifest to `out`; KeeplineError says what to put right."""
    options.check()
    moment = parse_time(until)
    found, unreadable = read_purchases(paths, moment, type_name, options.currency, progress)
    summary = summarise(found.purchases, moment, options.margin)
    if not summary.customers:
        names = ", ".join(str(path) for path in paths)
        msg = (
            f"{names}: no order (Purchase with amount ≥ 0) at or before {to_rfc3339(moment)} in {found.events} events, of which "
            f"{found.rejected + unreadable} were refused. Give files with Purchase events, or a later --until."
        )
        raise TrainingDataError(msg)
    data = Data(
        purchases_sha256=found.purchases.sha256(),
        purchases=len(found.purchases.time),
        until=to_rfc3339(moment),
        customers=len(summary.customers),
    )
    manifest = train(summary, data, _command(paths, moment, options), options)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_FILE).write_bytes(dump(manifest))
    return FitDone(manifest, found.events, found.rejected + unreadable, found.duplicate, found.late)


def _command(paths: Sequence[Path], until: int, options: Options) -> str:
    """The command by the names of the files alone, so that the same input gives the same manifest anywhere."""
    parts = ["keepline clv fit", *(f"--events {path.name}" for path in paths), f"--until {to_rfc3339(until)}"]
    parts += [f"--horizon {options.horizon}", f"--discount {options.discount:g}", f"--margin {options.margin:g}"]
    if options.lifespan is not None:
        parts.append(f"--lifespan {options.lifespan:g}")
    if options.currency:
        parts.append(f"--currency {options.currency}")
    return " ".join([*parts, f"--model-id {options.model_id}", f"--version {options.version}"])
