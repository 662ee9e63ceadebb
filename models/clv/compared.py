"""BG/NBD with Gamma-Gamma as a method that a regression is compared with: revenue expected over the labels' horizon.

    rows (frequency, recency_days, t_days, monetary_value) → days with an order expected in the horizon × their expected mean amount

No leak: both models are fitted on what came before, which is checked where the rows say their time. Weeks = days / 7.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from keepline.features.query import parse_time
from keepline.models import table
from keepline.models.clv import manifest as mf
from keepline.models.clv.bgnbd import Bgnbd, all_expected_purchases
from keepline.models.clv.gamma_gamma import GammaGamma, all_expected_values
from keepline.models.clv.regression import Rival
from keepline.models.clv.value import DAYS_A_WEEK
from keepline.models.errors import TrainingDataError

Amounts = npt.NDArray[np.float64]
NAME = "BG/NBD × Gamma-Gamma"
COLUMNS = ("frequency", "recency_days", "t_days", "monetary_value")


def load(path: Path) -> Rival:
    """The method of a folder that `keepline clv fit` wrote; ModelError where it cannot be loaded.

    It raises TrainingDataError for rows that are older than what it was fitted on: it would have seen what it is to predict.
    """
    manifest = mf.load(path).manifest
    until = parse_time(manifest.data.until)
    method = of_parameters(Bgnbd(*manifest.bgnbd.values(mf.BGNBD)), GammaGamma(*manifest.gamma_gamma.values(mf.GAMMA_GAMMA)))

    def amounts(rows: pd.DataFrame, horizon_days: float) -> Amounts:
        older = [at for at in rows[table.AT].unique() if parse_time(at) < until] if table.AT in rows.columns else []
        if older:
            msg = (
                f"{path} was fitted on events until {manifest.data.until}, but there are rows at {older[0]}: it has seen what it is to "
                f"predict. Fit with --until {older[0]}."
            )
            raise TrainingDataError(msg)
        return method(rows, horizon_days)

    return amounts


def of_parameters(bgnbd: Bgnbd, gamma_gamma: GammaGamma) -> Rival:
    """The method with these parameters; it raises TrainingDataError for rows without the columns it needs."""

    def amounts(rows: pd.DataFrame, horizon_days: float) -> Amounts:
        lacking = [name for name in COLUMNS if name not in rows.columns or not pd.api.types.is_float_dtype(rows[name])]
        if lacking:
            msg = (
                f"The rows have no numbers {', '.join(lacking)}, which BG/NBD needs. Make them with `keepline features clv`, or leave "
                "--bgnbd out."
            )
            raise TrainingDataError(msg)
        x, recency, age, mean = (rows[name].fillna(0.0).to_numpy(np.float64) for name in COLUMNS)
        weeks = horizon_days / DAYS_A_WEEK
        purchases = all_expected_purchases(*bgnbd, x, recency / DAYS_A_WEEK, age / DAYS_A_WEEK, weeks)
        found: Amounts = purchases * all_expected_values(*gamma_gamma, x, mean)
        return found

    return amounts
