"""Train a model of the next app from a log, and judge it on what it has not seen.

    each user's opens:  70 % fit │ 15 % choose │ 15 % report          learn.py has the first two parts, and fits again on both
      → the written model against the baselines on the last part (the evaluation that `next-app evaluate` runs, by the stream's scorer)
      → DIR/manifest.json, report.json, report.md, metrics.svg

The log is read as the stream reads it: repeats are not left out, but no target. The same log, options and library versions give the same
bytes.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import scipy
import sklearn

from keepline.features.next_app.constants import Constants
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.manifest import MANIFEST_FILE, Created
from keepline.models.next_app.baselines import baselines
from keepline.models.next_app.evaluation import Evaluation, Options, prepared, ranked
from keepline.models.next_app.learn import after_unlock, learn
from keepline.models.next_app.log import COLUMNS, NONE, OPEN, Log
from keepline.models.next_app.manifest import FAMILIES, NextAppManifest, Part, TrainingData, checked, dump
from keepline.models.next_app.manifest import Estimate as Stored
from keepline.models.next_app.metrics import Estimate, metrics
from keepline.models.next_app.model_ranker import ModelRanker
from keepline.models.next_app.moments import Mask, moments
from keepline.models.next_app.papers import manifest_of
from keepline.models.next_app.split import on_screen, warm_events
from keepline.schemas.times import to_rfc3339

WARM = (17, 20)
"""Share of each user's opens before the last 15 %."""
FEWEST = 20
"""Targets that a fit needs."""
AT = ("opens", "unlocks")


@dataclass(frozen=True)
class TrainOptions:
    """What can be chosen about a training."""

    family: str = "logistic"
    at: str = "opens"
    """Learn from all opens, or ("unlocks") from those that came first after an unlock."""
    seed: int = 42
    model_id: str = "next-app"
    version: int = 1

    def check(self) -> None:
        """Raise ModelError with what to change."""
        for option, value, known in (("--family", self.family, FAMILIES), ("--at", self.at, AT)):
            if value not in known:
                msg = f"{option} is {value!r}, expected {', '.join(known[:-1])} or {known[-1]}."
                raise ModelError(msg)
        if not self.model_id or self.version < 1:
            msg = "--model-id must not be empty and --version must be at least 1."
            raise ModelError(msg)


@dataclass(frozen=True)
class Trained:
    """The model, and how it did on the last 15 %."""

    manifest: NextAppManifest
    evaluation: Evaluation


def train(
    log: Log, options: TrainOptions = TrainOptions(), command: str = "", progress: Callable[[int, int], None] | None = None
) -> Trained:
    """Train on a log; TrainingDataError where it holds too little. `progress`: as in `evaluate`, of the report."""
    options.check()
    protocol = Options(exclude_current=True, seed=options.seed)
    parts = prepared(log, protocol, WARM)
    learned = learn(parts.warm, options.family, options.seed, at=options.at)
    log = parts.log
    warm = warm_events(log, WARM)
    fit = np.zeros(len(log), np.bool_)
    fit[np.flatnonzero(warm)] = learned.fit
    scored = _scored(log)
    if options.at == "unlocks":
        scored &= after_unlock(log)
    named = {"fit": fit, "validation": warm & ~fit, "test": ~warm}
    told = {name: _part(log, which, scored) for name, which in named.items()}
    if told["fit"].scored < FEWEST or not told["validation"].scored:
        msg = (
            f"the log has {told['fit'].scored} opens to fit on and {told['validation'].scored} to choose by (of an app that was not on "
            f"screen and had been opened before), expected at least {FEWEST} and 1. Give a longer log, or more users."
        )
        raise TrainingDataError(msg)
    facts = {
        "model_id": options.model_id,
        "version": options.version,
        "data": TrainingData(
            log_sha256=sha256(log),
            users=len(log.users),
            apps=len(log.apps),
            unlocks=int((log.kind != OPEN).sum()),
            rows=learned.rows,
            at="unlocks" if options.at == "unlocks" else "opens",
            **told,
            fitted_on="fit and validation: the first 85 % of each user's opens, with what validation chose after a fit on the first 70 %",
        ),
        "created": Created(command=command, versions=_versions()),
    }
    bare = manifest_of(learned, metrics={}, metrics_at_unlocks={}, **facts)
    ranker = ModelRanker(options.family, log.apps, trained=checked(bare), name=options.family)
    found = ranked(parts, [*baselines(), ranker], protocol, progress)
    first = after_unlock(log)[parts.targets]
    at_unlocks = {name: metrics(ranks[first], options.seed) for name, ranks in found.ranks.items()} if first.any() else {}
    written = bare.model_copy(update={"metrics": _stored(found.metrics), "metrics_at_unlocks": _stored(at_unlocks)})
    checked(written)
    return Trained(written, found)


def write(trained: Trained, out: Path) -> None:
    """Write the manifest and the report's files into `out`."""
    from keepline.models.next_app import train_report

    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_FILE).write_bytes(dump(trained.manifest))
    train_report.write(trained.manifest, trained.evaluation, out)


def _scored(log: Log) -> Mask:
    """Opens whose app was a candidate."""
    found = moments(log, log.kind == OPEN, Constants())
    mask = np.zeros(len(log), np.bool_)
    mask[found.event[found.chosen != NONE]] = True
    return mask


def _part(log: Log, which: Mask, scored: Mask) -> Part:
    opens = which & (log.kind == OPEN)
    times = log.time[opens]
    return Part(
        opens=int(opens.sum()),
        targets=int((opens & (log.app != on_screen(log))).sum()),
        scored=int((opens & scored).sum()),
        start=to_rfc3339(int(times.min())) if len(times) else "",
        end=to_rfc3339(int(times.max())) if len(times) else "",
    )


def _stored(found: dict[str, dict[str, Estimate]]) -> dict[str, dict[str, Stored]]:
    return {ranker: {name: Stored(**one._asdict()) for name, one in each.items()} for ranker, each in found.items()}


def sha256(log: Log) -> str:
    """Of the events, whatever the format of their files; names included."""
    digest = hashlib.sha256()
    for column in COLUMNS:
        digest.update(np.ascontiguousarray(getattr(log, column).astype(np.int64)).tobytes())
    for names in (log.users, log.apps, log.cities):
        digest.update("\0".join(names).encode("utf-8", "surrogateescape") + b"\0\0")
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "numba": numba.__version__}
    return {"python": platform.python_version(), **found}
