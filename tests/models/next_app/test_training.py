"""The training from a log to a manifest: three parts, figures of the written model, the same bytes again, names in the prior alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.next_app.evaluation import Options, prepared, ranked
from keepline.models.next_app.learn import after_unlock
from keepline.models.next_app.log import OPEN
from keepline.models.next_app.manifest import FAMILIES, dump, load
from keepline.models.next_app.metrics import metrics
from keepline.models.next_app.model_ranker import ModelRanker
from keepline.models.next_app.train import WARM, TrainOptions, train, write
from keepline.models.next_app.train_report import REPORT_FILES
from tests.models.next_app.habits import people

LOG = people("mixed", 5, 100)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_file_and_its_report(tmp_path: Path, family: str) -> None:
    trained = train(LOG, TrainOptions(family, version=4), "keepline train next-app")
    write(trained, tmp_path)
    model = load(tmp_path)
    assert model.manifest.model_copy(update={"sha256": ""}) == trained.manifest
    assert (model.manifest.family, model.version) == (family, 4)
    assert (
        dump(train(LOG, TrainOptions(family, version=4), "keepline train next-app").manifest) == (tmp_path / "manifest.json").read_bytes()
    )
    for name in REPORT_FILES:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert family in text
        assert not any(app in text for app in (*LOG.apps, *LOG.users))
    figures = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert figures["metrics"][family]["MRR"]["value"] == trained.manifest.metrics[family]["MRR"].value
    assert not any(user in (tmp_path / "manifest.json").read_text(encoding="utf-8") for user in ("u1", "u2"))


def test_the_figures_are_of_the_written_model(tmp_path: Path) -> None:
    trained = train(LOG)
    write(trained, tmp_path)
    parts = prepared(LOG, Options(exclude_current=True), WARM)
    found = ranked(parts, [ModelRanker("logistic", parts.log.apps, trained=load(tmp_path))], Options(exclude_current=True))
    assert trained.manifest.metrics["logistic"]["MRR"].value == found.metrics["logistic"]["MRR"].value
    first = after_unlock(parts.log)[parts.targets]
    want = metrics(found.ranks["logistic"][first])["HR@1"].value
    assert trained.manifest.metrics_at_unlocks["logistic"]["HR@1"].value == want


def test_the_three_parts_of_each_user() -> None:
    data = train(LOG).manifest.data
    assert (data.fit.opens, data.validation.opens, data.test.opens) == (5 * 70, 5 * 15, 5 * 15)
    assert data.fit.targets == data.fit.opens - 5 + 5, "the first open of each user is of an app that was not on screen, too"
    assert data.fit.scored < data.fit.targets
    assert data.unlocks == int((LOG.kind != OPEN).sum())
    at_unlocks = train(LOG, TrainOptions(at="unlocks")).manifest.data
    assert 0 < at_unlocks.rows < data.rows / 2
    assert at_unlocks.fit.scored < data.fit.scored


def test_too_little_is_refused() -> None:
    short = people("random", 1, 20)
    with pytest.raises(TrainingDataError, match=r"opens to fit on and .* expected at least 20|opens of \d apps"):
        train(short)
    with pytest.raises(ModelError, match=r"--family is 'forest', expected logistic, trees or ensemble"):
        train(LOG, TrainOptions("forest"))
    with pytest.raises(ModelError, match=r"--at is 'x', expected opens or unlocks"):
        train(LOG, TrainOptions(at="x"))


def test_what_is_after_unlock() -> None:
    found = after_unlock(LOG)
    last: dict[int, int] = {}
    for i, event in enumerate(LOG.events()):
        assert found[i] == (last.get(event.user, OPEN) != OPEN)
        last[event.user] = event.kind
    assert np.count_nonzero(found) > 50
