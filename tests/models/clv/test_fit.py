"""Both fits: the published figures on real purchases, parameters that simulated customers were made with, and data without an optimum."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keepline.models.clv.fit import Fitted, fit_bgnbd, fit_gamma_gamma
from keepline.models.clv.purchases import Purchases
from keepline.models.clv.summary import Summary, holdout, summarise
from keepline.models.errors import TrainingDataError

END_OF_DAY = 86_399_999


def ms(day: str) -> int:
    return int(pd.Timestamp(day).value // 1_000_000)


def purchases_of(table: pd.DataFrame) -> Purchases:
    """Of columns customer (text), time (ms), amount."""
    names, place = np.unique(table["customer"].to_numpy(str), return_inverse=True)
    amount = table["amount"].to_numpy(float)
    return Purchases(
        [str(name) for name in names], place.astype(np.int64), table["time"].to_numpy(np.int64), amount, np.full(len(amount), np.nan)
    )


@pytest.fixture(scope="module")
def cdnow(shared_data: Path) -> Purchases:
    file = shared_data / "clv" / "cdnow_sample.txt.gz"
    table = pd.read_csv(file, sep=r"\s+", names=["master", "customer", "date", "cds", "amount"], dtype=str)
    return purchases_of(table.assign(time=table["date"].map(ms)))


@pytest.fixture(scope="module")
def calibration(cdnow: Purchases) -> Summary:
    return summarise(cdnow, ms("1997-09-30") + END_OF_DAY)


def test_cdnow_summary_is_the_published_one(shared_data: Path, calibration: Summary) -> None:
    published = pd.read_csv(shared_data / "clv" / "cdnow_customers_summary.csv.gz")
    assert [int(name) for name in calibration.customers] == published["ID"].tolist()
    assert calibration.x.tolist() == published["frequency"].tolist()
    assert np.round(calibration.t_x, 2).tolist() == published["recency"].tolist()
    assert np.round(calibration.t, 2).tolist() == published["T"].tolist()


def test_cdnow_bgnbd_is_the_published_fit(calibration: Summary) -> None:
    """Fader, Hardie and Lee 2005, table 2: each to its last printed digit ± 1."""
    found = fit_bgnbd(calibration.x, calibration.t_x, calibration.t)
    assert (found.verdict, found.warnings, found.customers) == ("converged", (), 2357)
    for name, value in {"r": 0.2426, "alpha": 4.4135, "a": 0.7929, "b": 2.4258}.items():
        assert abs(found.parameters[name] - value) < 1.5e-4, name
    assert found.log_likelihood == pytest.approx(-9582.43, abs=0.005)
    assert all(error is not None and error > 0 for error in found.errors.values())


def test_cdnow_gamma_gamma_is_the_published_fit(calibration: Summary) -> None:
    """Fader and Hardie 2013, on 946 customers with a repeat purchase."""
    found = fit_gamma_gamma(calibration.x, calibration.monetary_value)
    assert (found.verdict, found.warnings, found.customers) == ("converged", (), 946)
    for name, value in {"p": 6.2496, "q": 3.7442, "gamma": 15.4435}.items():
        assert abs(found.parameters[name] - value) < 1.5e-4, name
    assert found.correlation == pytest.approx(0.11, abs=0.005)


def test_cdnow_holdout(cdnow: Purchases, calibration: Summary) -> None:
    """Weeks 40 to 78: each customer's E[Y(39) | x, t_x, T] (equation 10) against the days with an order."""
    from keepline.models.clv.bgnbd import all_expected_purchases

    found = fit_bgnbd(calibration.x, calibration.t_x, calibration.t)
    actual = holdout(cdnow, calibration, ms("1998-06-30") + END_OF_DAY)
    expected = all_expected_purchases(*found.bgnbd, calibration.x, calibration.t_x, calibration.t, 39.0)
    assert actual.sum() == 1882
    assert round(expected.sum()) == 1653
    assert round(float(np.abs(expected - actual).mean()), 3) == 0.785
    naive = calibration.x / calibration.t * 39
    assert (round(naive.sum()), round(float(np.abs(naive - actual).mean()), 3)) == (2930, 1.024)


def finite(found: Fitted) -> None:
    assert all(math.isfinite(value) and value > 0 for value in found.parameters.values())
    assert math.isfinite(found.log_likelihood)
    assert all(error is None or math.isfinite(error) for error in found.errors.values())


def test_online_retail_says_that_nobody_leaves(shared_data: Path) -> None:
    lines = pd.read_csv(shared_data / "clv" / "uci_online_retail_to_2011_05.csv.gz", dtype={"CustomerID": str, "InvoiceNo": str})
    lines = lines[lines["CustomerID"].notna()].assign(amount=lambda t: t["Quantity"] * t["UnitPrice"])
    orders = lines.groupby(["CustomerID", "InvoiceNo"]).agg(amount=("amount", "sum"), date=("InvoiceDate", "min")).reset_index()
    assert (orders["amount"] < 0).sum() > 500  # cancellations, which are no orders
    table = orders.assign(customer=orders["CustomerID"], time=orders["date"].map(ms))
    summary = summarise(purchases_of(table), ms("2011-05-31") + END_OF_DAY)
    found = fit_bgnbd(summary.x, summary.t_x, summary.t)
    finite(found)
    assert found.verdict == "degenerate"
    assert "Dropout goes to zero" in found.warnings[0]
    assert found.errors["a"] is None
    assert 0 < (found.errors["r"] or 0) < found.parameters["r"] / 10
    finite(fit_gamma_gamma(summary.x, summary.monetary_value))


def test_parameters_of_simulated_customers_come_back() -> None:
    """Within four standard errors, which are of the right size: the errors of 20 fits spread as they say, within a factor of two."""
    true = np.array([0.9, 5.0, 0.6, 2.0])
    away = []
    for seed in range(20):
        dice = np.random.default_rng(seed)
        n = 1500
        age = dice.uniform(20, 60, n)
        rate, dropout = dice.gamma(true[0], 1 / true[1], n), dice.beta(true[2], true[3], n)
        x, t_x = np.zeros(n), np.zeros(n)
        clock, alive = np.zeros(n), np.ones(n, bool)
        while alive.any():
            clock[alive] += dice.exponential(1.0, int(alive.sum())) / np.maximum(rate[alive], 1e-300)
            alive &= clock <= age
            x[alive] += 1
            t_x[alive] = clock[alive]
            alive &= dice.random(n) >= dropout
        found = fit_bgnbd(x, t_x, age)
        assert found.verdict == "converged"
        errors = np.array(list(found.errors.values()), float)
        away.append((np.array(found.bgnbd) - true) / errors)
    assert np.abs(away).max() < 4
    spread = np.std(away, axis=0)
    assert (spread > 0.5).all()
    assert (spread < 2).all()


def test_amounts_of_simulated_customers_come_back() -> None:
    dice = np.random.default_rng(5)
    n = 4000
    x = dice.integers(1, 12, n).astype(float)
    m = dice.gamma(4.0 * x) / (x * dice.gamma(3.0, 1 / 20.0, n))
    found = fit_gamma_gamma(x, m)
    away = (np.array(found.gamma_gamma) - (4.0, 3.0, 20.0)) / np.array(list(found.errors.values()), float)
    assert found.verdict == "converged"
    assert np.abs(away).max() < 4
    scaled = fit_gamma_gamma(x, m * 1e6)  # another currency: γ alone is scaled
    assert scaled.gamma_gamma == pytest.approx((found.parameters["p"], found.parameters["q"], found.parameters["gamma"] * 1e6), rel=1e-4)


ZERO, ONE = np.zeros(1), np.ones(1)
DEGENERATE = {
    "nobody came back": (np.zeros(50), np.zeros(50), np.linspace(0, 40, 50), "No customer bought again"),
    "all are of today": (np.zeros(50), np.zeros(50), np.zeros(50), "No customer bought again"),
    "one customer, once": (ZERO, ZERO, ONE, "No customer bought again"),
    "one customer": (3 * ONE, ONE, 2 * ONE, "1 customers only"),
    "all alike": (np.full(60, 3.0), np.full(60, 2.0), np.full(60, 2.5), "do not differ in their rate"),
    "huge counts": (np.full(60, 3e5), np.full(60, 2.0), np.full(60, 400.0), "do not differ"),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_customers_end_with_a_verdict(name: str) -> None:
    x, t_x, t, said = DEGENERATE[name]
    found = fit_bgnbd(x, t_x, t)
    finite(found)
    assert found.verdict == "degenerate"
    assert said in " ".join(found.warnings)
    assert None in found.errors.values()


@pytest.mark.parametrize(
    ("x", "m", "said"),
    [
        (ONE, 5 * ONE, "p runs away"),
        (np.full(40, 2.0), np.full(40, 1e9), "q runs away"),
        (np.arange(1.0, 60.0), np.arange(1.0, 60.0) ** 3, "takes the two as independent"),
    ],
)
def test_degenerate_amounts_end_with_a_verdict(x: np.ndarray, m: np.ndarray, said: str) -> None:
    found = fit_gamma_gamma(x, m)
    finite(found)
    assert said in " ".join(found.warnings)


def test_repeat_purchases_that_cost_nothing_are_left_out_and_told() -> None:
    dice = np.random.default_rng(1)
    x, m = dice.integers(1, 9, 200).astype(float), dice.gamma(3.0, 10.0, 200)
    found = fit_gamma_gamma(np.append(x, 4.0), np.append(m, 0.0))
    assert found.parameters == fit_gamma_gamma(x, m).parameters
    assert any(warning.startswith("1 customers whose repeat purchases cost nothing") for warning in found.warnings)


def test_nothing_to_fit_on_is_an_error() -> None:
    none = np.empty(0)
    with pytest.raises(TrainingDataError, match="no customer with an order"):
        fit_bgnbd(none, none, none)
    with pytest.raises(TrainingDataError, match="No customer has a repeat purchase"):
        fit_gamma_gamma(np.zeros(5), np.zeros(5))
    with pytest.raises(TrainingDataError, match="expected x ≥ 0 and 0 ≤ t_x ≤ T"):
        fit_bgnbd(ONE, 3 * ONE, ONE)
