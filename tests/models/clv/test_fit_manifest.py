"""The manifest of BG/NBD: written, read back, and refused where it is damaged or does not fit, with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keepline.features.churn import CHURN
from keepline.features.clv import CLV
from keepline.models.clv import manifest as mf
from keepline.models.clv.batch import rows_of, score_rows
from keepline.models.clv.scorer import SCORES
from keepline.models.clv.summary import Summary
from keepline.models.clv.train import Options, train
from keepline.models.errors import ModelError
from keepline.models.manifest import checksum


def made_up(n: int = 300) -> Summary:
    dice = np.random.default_rng(2)
    frequency = dice.poisson(dice.gamma(0.7, 3.0, n)).astype(float)
    t_days = dice.integers(60, 400, n).astype(float)
    recency = np.where(frequency > 0, np.floor(t_days * dice.beta(2, 1, n)), 0.0)
    mean = np.where(frequency > 0, dice.gamma(3.0, 12.0, n), 0.0)
    columns = {
        "orders": frequency + 1,
        "frequency": frequency,
        "recency_days": recency,
        "t_days": t_days,
        "monetary_value": mean,
        "average_purchase_value": mean + 1,
        "purchase_frequency": (frequency + 1) * 30 / t_days,
        "gross_margin": np.full(n, 0.3),
    }
    return Summary([f"c{i}" for i in range(n)], 1_700_000_000_000, **columns)


@pytest.fixture(scope="module")
def manifest() -> mf.ClvManifest:
    data = mf.Data(purchases_sha256="0" * 64, purchases=900, until="2023-11-14T22:13:20.000Z", customers=300)
    return train(made_up(), data, "keepline clv fit …", Options(discount=0.01))


def test_comes_back_as_it_was(manifest: mf.ClvManifest, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(mf.dump(manifest))
    model = mf.load(tmp_path, CLV)
    assert model.manifest.model_dump(exclude={"sha256"}) == manifest.model_dump(exclude={"sha256"})
    assert mf.dump(model.manifest) == mf.dump(manifest)
    assert (model.table() == mf.ClvModel(manifest).table()).all()


def test_deciles_and_bands_are_those_of_the_customers(manifest: mf.ClvManifest) -> None:
    values = score_rows(rows_of(made_up()), mf.ClvModel(manifest).table()).values
    for i, score in enumerate(SCORES):
        share = [(values[:, i] <= limit).mean() for limit in manifest.deciles[score]]
        assert (np.array(share) >= np.arange(1, 10) / 10 - 0.01).all(), score
    assert manifest.bands["p_alive"] == (0.3, 0.7)
    low, high = manifest.bands["clv_bgnbd"]
    assert ((values[:, 1] < low).mean(), (values[:, 1] < high).mean()) == pytest.approx((0.3, 0.8), abs=0.01)


def changed(manifest: mf.ClvManifest, path: str, value: Any) -> bytes:
    """The manifest with one field changed, and the checksum made to fit."""
    raw = json.loads(mf.dump(manifest))
    *parents, last = path.split(".")
    place = raw
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    raw["sha256"] = checksum(raw)
    return json.dumps(raw).encode()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("bgnbd.parameters.r.value", -1.0, "bgnbd.parameters.r.value: Input should be greater than 0"),
        ("bgnbd.parameters.r", None, "bgnbd has parameters alpha, a, b, expected r, alpha, a, b"),
        ("gamma_gamma.parameters.q.value", 0.9, "q is 0.9, expected above 1"),
        ("horizon.periods", 0, "horizon.periods"),
        ("bands.p_alive", [0.7, 0.3], r"bands.p_alive is \[0.7, 0.3\], expected low ≤ high"),
        ("deciles.clv_bgnbd", [1.0], "deciles.clv_bgnbd has 1 values, expected 9"),
        ("baseline.t_days", None, "baseline lacks the mean of t_days"),
        ("family", "logistic", "family is 'logistic', expected 'bgnbd'"),
        ("time_unit", "days", "time_unit"),
        ("surplus", 1, "surplus"),
    ],
)
def test_what_does_not_fit_is_refused(manifest: mf.ClvManifest, path: str, value: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        mf.from_json(changed(manifest, path, value))


def test_damage_is_refused(manifest: mf.ClvManifest, tmp_path: Path) -> None:
    data = mf.dump(manifest)
    with pytest.raises(ModelError, match="was changed or damaged"):
        mf.from_json(data.replace(b'"customers": 300', b'"customers": 301'))
    for number in (b"NaN", b"Infinity", b"1e999"):
        with pytest.raises(ModelError, match="finite"):
            mf.from_json(data.replace(b'"discount": 0.01', b'"discount": ' + number))
    with pytest.raises(ModelError, match="is not JSON"):
        mf.from_json(data[:-20])
    with pytest.raises(ModelError, match="expected an object"):
        mf.from_json(b"[]")
    with pytest.raises(ModelError, match="keepline clv fit"):
        mf.load(tmp_path / "none")


def test_another_feature_set_is_refused(manifest: mf.ClvManifest) -> None:
    with pytest.raises(ModelError, match="made for feature set clv version 1, expected churn version 1"):
        mf.from_json(mf.dump(manifest), CHURN)


@pytest.mark.parametrize(
    "options", [Options(horizon=0), Options(discount=-0.1), Options(margin=float("nan")), Options(lifespan=0.0), Options(model_id="")]
)
def test_options_are_checked(options: Options) -> None:
    with pytest.raises(ModelError, match=r"expected|must not"):
        options.check()
