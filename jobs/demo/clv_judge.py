"""Judges the scores of lifetime value that the job committed: their RFM against the published summary, their values against scipy.

    the last Score records of 1997-09-30 ──► streamed: frequency, recency, T and monetary value, as the job put them out
        ├─ against the published summary: frequency exactly, the others to its two decimals
        ├─ P(alive), expected purchases: against the closed forms by scipy with the manifest's parameters
        └─ and against those with the published parameters, within what their printed digits leave open

**Where RFM comes from.** A Score carries its three largest reasons with the raw features; of a customer the reasons of all three scores
are taken together. Where T or the monetary value is not among them it is solved out of p_alive or clv_bgnbd, which have one solution; what
was solved out of a score is not used to judge that score. Without a repeat purchase recency and monetary value are 0 by definition.

Closed forms: P. S. Fader, B. G. S. Hardie and K. L. Lee (2005), "Counting your customers" the easy way, Marketing Science 24:275-284,
equation 10; P. S. Fader and B. G. S. Hardie (2008), Computing P(alive) using the BG/NBD model; Gamma-Gamma: (2013), The Gamma-Gamma model
of monetary value, equation 5. Parameters: the paper of 2005, table 2; the sample's summary and the last as ../shared/data/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import hyp2f1

from keepline.jobs.demo.clv_data import DemoDataError
from keepline.models.clv.bgnbd import Bgnbd
from keepline.models.clv.gamma_gamma import GammaGamma
from keepline.models.clv.manifest import ClvModel
from keepline.models.clv.value import DAYS_A_WEEK, PERIOD_WEEKS

if TYPE_CHECKING:
    import pandas as pd

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Records = Mapping[tuple[str, str], Mapping[str, Any]]
"""Score records by (customer_id, score)."""

PUBLISHED = Bgnbd(r=0.2426, alpha=4.4135, a=0.7929, b=2.4258)
"""Weeks."""
LAST_DIGIT = 1e-4
BOX = 1.5 * LAST_DIGIT
"""A fit whose rounded parameters are at most one off in the last digit is within this of what is printed."""
PRINTED = 0.005
"""Half of the last of two decimals."""
EXACT = 1e-9
FEATURES = ("frequency", "recency_days", "t_days", "monetary_value")


@dataclass(frozen=True)
class Rfm:
    """Of each customer, float64[n]; and whose T and monetary value were solved out of a score, bool[n]."""

    frequency: Float64
    recency_days: Float64
    t_days: Float64
    monetary_value: Float64
    solved_t: Bools
    solved_monetary: Bools


@dataclass(frozen=True)
class Verdict:
    """What was compared; arrays and lists in the order of `customers`."""

    customers: tuple[str, ...]
    rfm: Rfm
    differences: dict[str, list[str]]
    """By feature: the customers whose value is not the published one."""
    p_alive: Float64
    p_alive_scipy: Float64
    expected: Float64
    """Purchases over the horizon, as clv_bgnbd has them."""
    expected_scipy: Float64
    p_alive_difference: float
    """The largest to scipy with the manifest's parameters, over customers whose T was not solved out of it."""
    expected_difference: float
    """The same of expected purchases, as a share, over customers whose monetary value was not solved out of clv_bgnbd."""
    p_alive_published: float
    expected_published: float
    """The largest differences to scipy with the published parameters."""
    outside: list[str]
    """Customers whose P(alive) or expected purchases are not within what the printed digits leave open."""

    @property
    def equal(self) -> int:
        """Customers whose RFM is the published one."""
        return len(self.customers) - len(set().union(*self.differences.values()))

    @property
    def holds(self) -> bool:
        """Whether all comparisons hold."""
        exact = self.p_alive_difference <= EXACT and self.expected_difference <= EXACT
        return self.equal == len(self.customers) and exact and not self.outside


def p_alive(parameters: Bgnbd, x: Float64, t_x: Float64, t: Float64) -> Float64:
    """P(alive), 1 without a repeat purchase; weeks."""
    r, alpha, a, b = parameters
    odds = a / (b + np.maximum(x, 1.0) - 1.0) * ((alpha + t) / (alpha + t_x)) ** (r + x)
    found: Float64 = 1.0 / (1.0 + np.where(x > 0, odds, 0.0))
    return found


def expected(parameters: Bgnbd, x: Float64, t_x: Float64, t: Float64, horizon: float) -> Float64:
    """Repeat purchases in (t, t + horizon], equation 10; weeks."""
    r, alpha, a, b = parameters
    form = hyp2f1(r + x, b + x, a + b + x - 1.0, horizon / (alpha + t + horizon))
    if_alive = (a + b + x - 1.0) / (a - 1.0) * (1.0 - ((alpha + t) / (alpha + t + horizon)) ** (r + x) * form)
    found: Float64 = if_alive * p_alive(parameters, x, t_x, t)
    return found


def mean_amount(parameters: GammaGamma, x: Float64, monetary: Float64) -> Float64:
    """The mean amount that Gamma-Gamma expects of a purchase."""
    p, q, gamma = parameters
    found: Float64 = p * (gamma + x * monetary) / (p * x + q - 1.0)
    return found


def solve_t(parameters: Bgnbd, x: Float64, t_x: Float64, alive: Float64) -> Float64:
    """T in weeks of a customer with a repeat purchase, out of P(alive)."""
    r, alpha, a, b = parameters
    found: Float64 = (alpha + t_x) * ((1.0 / alive - 1.0) * (b + x - 1.0) / a) ** (1.0 / (r + x)) - alpha
    return found


def solve_monetary(parameters: GammaGamma, x: Float64, mean: Float64) -> Float64:
    """The mean amount of repeat purchases, out of the one that is expected."""
    p, q, gamma = parameters
    found: Float64 = (mean * (p * x + q - 1.0) / p - gamma) / x
    return found


def streamed(records: Records, customers: Sequence[str], model: ClvModel) -> Rfm:
    """RFM as the job put it out. DemoDataError for a customer without a score, or without frequency or recency among the reasons."""
    told = np.full((len(customers), len(FEATURES)), np.nan)
    for row, customer in zip(told, customers, strict=True):
        for score in ("clv_formula", "clv_bgnbd", "p_alive"):
            for reason in _record(records, customer, score)["reasons"]:
                if reason["feature"] in FEATURES:
                    row[FEATURES.index(reason["feature"])] = reason["value"]
    frequency, recency, t_days, monetary = told.T.copy()
    once = frequency == 0
    recency[once] = monetary[once] = 0.0
    silent = np.isnan(frequency) | np.isnan(recency) | (once & np.isnan(t_days))
    if silent.any():
        names = ", ".join(np.array(customers)[silent][:3])
        msg = f"the reasons of {silent.sum()} customers' scores ({names}, …) lack frequency, recency or T: expected them among the largest"
        raise DemoDataError(msg)
    solved_t, solved_monetary = np.isnan(t_days), np.isnan(monetary)
    x, t_x = frequency, recency / DAYS_A_WEEK
    alive = values(records, customers, "p_alive")
    t_days[solved_t] = DAYS_A_WEEK * solve_t(model.bgnbd, x[solved_t], t_x[solved_t], alive[solved_t])
    horizon = model.manifest.horizon.periods * PERIOD_WEEKS
    mean = values(records, customers, "clv_bgnbd") / expected(model.bgnbd, x, t_x, t_days / DAYS_A_WEEK, horizon)
    monetary[solved_monetary] = solve_monetary(model.gamma_gamma, x[solved_monetary], mean[solved_monetary])
    return Rfm(frequency, recency, t_days, monetary, solved_t, solved_monetary)


def values(records: Records, customers: Sequence[str], score: str) -> Float64:
    """The values of a score, float64[n]."""
    return np.array([_record(records, customer, score)["value"] for customer in customers], np.float64)


def judge(records: Records, published: pd.DataFrame, model: ClvModel) -> Verdict:
    """`records`: the last Scores of the summary's last day; `published` as `clv_data.published`, of the customers to compare."""
    customers = tuple(published.index)
    rfm = streamed(records, customers, model)
    x, t_x, t = rfm.frequency, rfm.recency_days / DAYS_A_WEEK, rfm.t_days / DAYS_A_WEEK
    horizon = model.manifest.horizon.periods * PERIOD_WEEKS
    alive = values(records, customers, "p_alive")
    purchases = values(records, customers, "clv_bgnbd") / mean_amount(model.gamma_gamma, x, rfm.monetary_value)
    forms = {
        name: (p_alive(each, x, t_x, t), expected(each, x, t_x, t, horizon)) for name, each in (("own", model.bgnbd), ("paper", PUBLISHED))
    }
    judged_p, judged_e = ~rfm.solved_t, ~(rfm.solved_t | rfm.solved_monetary)
    outside = judged_p & ~_between(alive, [p_alive(each, x, t_x, t) for each in corners()])
    outside |= judged_e & ~_between(purchases, [expected(each, x, t_x, t, horizon) for each in corners()])
    return Verdict(
        customers, rfm, _differences(rfm, published), alive, forms["own"][0], purchases, forms["own"][1],
        _largest(alive - forms["own"][0], judged_p),
        _largest(purchases / forms["own"][1] - 1.0, judged_e),
        _largest(alive - forms["paper"][0], judged_p),
        _largest(purchases - forms["paper"][1], judged_e),
        [name for name, out in zip(customers, outside, strict=True) if out],
    )  # fmt: skip


def corners() -> list[Bgnbd]:
    """The published parameters, each at both ends of what its digits leave open: 16."""
    ends = [(each - BOX, each + BOX) for each in PUBLISHED]
    return [Bgnbd(*corner) for corner in product(*ends)]


def _between(found: Float64, forms: list[Float64]) -> Bools:
    inside: Bools = (found >= np.min(forms, axis=0) - EXACT) & (found <= np.max(forms, axis=0) + EXACT)
    return inside


def _differences(rfm: Rfm, published: pd.DataFrame) -> dict[str, list[str]]:
    pairs = {
        "frequency": np.abs(rfm.frequency - published["frequency"].to_numpy(np.float64)) > 0,
        "recency": np.abs(rfm.recency_days / DAYS_A_WEEK - published["recency"].to_numpy()) > PRINTED + EXACT,
        "T": np.abs(rfm.t_days / DAYS_A_WEEK - published["T"].to_numpy()) > PRINTED + EXACT,
        "monetary_value": np.abs(rfm.monetary_value - published["monetary_value"].to_numpy()) > PRINTED + EXACT,
    }
    names = published.index.to_numpy()
    return {name: names[other].tolist() for name, other in pairs.items()}


def _largest(differences: Float64, judged: Bools) -> float:
    return float(np.max(np.abs(differences[judged]), initial=0.0))


def _record(records: Records, customer: str, score: str) -> Mapping[str, Any]:
    found = records.get((customer, score))
    if found is None:
        msg = (
            f"{customer} has no {score} as of 1997-09-30: expected one of every customer and day; run the demo again, look at the job's log"
        )
        raise DemoDataError(msg)
    return found
