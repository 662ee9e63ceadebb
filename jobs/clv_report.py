"""`keepline clv report`: event files to one HTML page (models/clv/report).

events ──► all purchases ──► until (60 % of their time, unless asked for) ──► purchases up to it, as `clv fit` takes them
  ──► the model given, or one fitted now ──► Report ──► FILE.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keepline.features.plan import compile as compile_plan
from keepline.features.query import parse_time
from keepline.features.rows import EventBatch, compute_rows
from keepline.features.sets import feature_set
from keepline.models import manifest as regression_manifest
from keepline.models.clv.manifest import ClvManifest, Data, load
from keepline.models.clv.purchases import Purchases, admit
from keepline.models.clv.report.found import Input, Report, find
from keepline.models.clv.report.page import page
from keepline.models.clv.report.regression import amounts
from keepline.models.clv.summary import DAY_MS, Summary, summarise
from keepline.models.clv.train import Options, train
from keepline.models.errors import ModelError, TrainingDataError
from keepline.schemas.blocks import concatenate
from keepline.schemas.files import read_blocks
from keepline.schemas.programs import compile_programs
from keepline.schemas.sources import Progress
from keepline.schemas.times import to_rfc3339

SHARE = 0.6
"""Of the time from the first order to the last, fitted on where no `until` is asked for."""


@dataclass(frozen=True)
class Asked:
    """What a report is to be made of."""

    events: Sequence[Path]
    until: str | None = None
    model: Path | None = None
    """Folder that `keepline clv fit` wrote; None: fit with `options`."""
    regression: Path | None = None
    """Folder that `keepline train clv` wrote."""
    options: Options = field(default_factory=Options)
    type_name: str | None = None


def report(asked: Asked, out: Path, progress: Progress | None = None) -> Report:
    """Write the page to `out`; KeeplineError says what to put right, and then nothing is written."""
    if out.suffix not in (".html", ".htm"):
        msg = f"--out is {out.name!r}, expected a name that ends in .html."
        raise TrainingDataError(msg)
    asked.options.check()
    given = None if asked.model is None else load(asked.model, feature_set("clv")).manifest
    blocks = concatenate(list(read_blocks(asked.events, asked.type_name, progress).blocks))
    batch = EventBatch(blocks.buffer, blocks.offsets, blocks.lengths)
    programs = compile_programs(currency=asked.options.currency if given is None else given.currency)
    plan = compile_plan(feature_set("clv"))

    admitted = admit(plan, batch, programs=programs)
    purchases, rejected = admitted.purchases, admitted.rejected + len(blocks.rejected)
    names = ", ".join(map(str, asked.events))
    orders = purchases.time[purchases.amount >= 0]
    if not orders.size:
        msg = (
            f"{names}: no order (Purchase with amount ≥ 0) in {admitted.events} events, of which {rejected} were refused. "
            "Give files with Purchase events."
        )
        raise TrainingDataError(msg)
    first, end = int(orders.min()), int(purchases.time.max())
    until = _until(asked, given, first, int(orders.max()))
    known = admit(plan, batch, until, programs=programs).purchases
    summary = summarise(known, until, asked.options.margin if given is None else given.default_margin)
    if not summary.customers:
        msg = f"{names}: no order at or before {to_rfc3339(until)}; the first is at {to_rfc3339(first)}. Give a later --until."
        raise TrainingDataError(msg)
    manifest = _fit(summary, known, until, asked.options) if given is None else given
    read = Input(
        first=first,
        end=end,
        purchases=len(purchases.time),
        rejected=rejected,
        duplicate=admitted.duplicate,
        late=admitted.late,
        fitted=given is None,
        default_until=given is None and asked.until is None,
    )
    others: Mapping[str, npt.NDArray[np.float64]] = {}
    if asked.regression is not None:
        others = _regression(asked.regression, plan, batch, programs, summary, max(end // DAY_MS - until // DAY_MS, 0))
    found = find(manifest, summary, purchases, read, others)
    _write(out, page(found))
    return found


def _until(asked: Asked, given: ClvManifest | None, first: int, last: int) -> int:
    """Epoch ms of the end of the calibration."""
    if asked.until is not None:
        until = parse_time(asked.until)
        if given is not None and until < parse_time(given.data.until):
            msg = (
                f"--until is {asked.until}, but {asked.model} was fitted on events until {given.data.until}: it has seen what it is to "
                f"predict. Leave --until out, or give {given.data.until} or later."
            )
            raise TrainingDataError(msg)
        return until
    if given is not None:
        return parse_time(given.data.until)
    return int(first + SHARE * (last - first)) // DAY_MS * DAY_MS + DAY_MS - 1


def _fit(summary: Summary, known: Purchases, until: int, options: Options) -> ClvManifest:
    data = Data(purchases_sha256=known.sha256(), purchases=len(known.time), until=to_rfc3339(until), customers=len(summary.customers))
    return train(summary, data, f"keepline clv report --until {to_rfc3339(until)}", options)


def _regression(
    path: Path, plan: Any, batch: EventBatch, programs: Any, summary: Summary, days: int
) -> Mapping[str, npt.NDArray[np.float64]]:
    """Revenue that a regression expects over `days`: its amounts for rows at `until`, in proportion to the length."""
    try:
        model = regression_manifest.load(path, feature_set("clv"))
    except ModelError as error:
        msg = f"--regression: {error} It must be a folder that `keepline train clv` wrote."
        raise ModelError(msg) from None
    if not isinstance(model.manifest, regression_manifest.RegressionManifest):
        msg = f"{path} is no regression of lifetime value. Give a folder that `keepline train clv` wrote."
        raise ModelError(msg)
    moments = np.full(len(summary.customers), summary.until, np.int64)
    rows = compute_rows(plan, batch, summary.customers, moments, programs=programs).x
    return {f"regression ({model.manifest.family})": amounts(model, rows) * (days / model.manifest.horizon_days)}


def _write(out: Path, text: str) -> None:
    """Write the file whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
