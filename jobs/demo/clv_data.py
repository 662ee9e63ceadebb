"""The CDNOW sample: purchases of 2,357 customers of an online music shop, 1997-01 to 1998-06, and its published summary.

    PyPI package lifetimes, whose files are found as data; none of its code is imported
      CDNOW_sample.txt ──────────────────────────────► `purchases()` → `events()`: one Purchase a line, by time
      cdnow_customers_summary.csv,                     `published()`: frequency, recency, T, monetary value of each customer at
      cdnow_customers_summary_with_transactions.csv ─►  the end of 1997-09-30, in weeks of two decimals

Customers, dates and amounts are the data's. What it does not have is the time of day: made up, from a hash of (line, seed), between
`FIRST_HOUR` and `LAST_HOUR` UTC, in the order of the lines where a customer ordered twice a day. Costs and currency are not known.

Source of data and summary: P. S. Fader, B. G. S. Hardie and K. L. Lee (2005), "Counting your customers" the easy way, Marketing Science
24:275-284.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keepline.jobs.demo.dataset import HOUR_MS, SEED, uniform
from keepline.schemas.errors import KeeplineError

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "lifetimes"
FOLDER = "lifetimes/datasets"
START_MS = 852_076_800_000
"""1997-01-01T00:00:00Z: before the first purchase."""
END_MS = 875_664_000_000
"""1997-10-01T00:00:00Z: the summary is of the day before."""
UNTIL = "1997-09-30T23:59:59Z"
"""The last second before END_MS, as a model is fitted up to it."""
FIRST_HOUR, LAST_HOUR = 8, 20


class DemoDataError(KeeplineError):
    """Data of the demo that is not there or not what it was."""


def purchases() -> pd.DataFrame:
    """All lines of the sample by time; columns row (customer's number from 1), customer_id (cdnow-0001, …), line (from 1), time, amount."""
    import pandas as pd

    names = ["master", "row", "date", "cds", "amount"]
    table = pd.read_csv(_file("CDNOW_sample.txt"), sep=r"\s+", names=names, dtype={"date": str})
    table["line"] = np.arange(1, len(table) + 1)
    table["customer_id"] = _ids(table["row"])
    table["day"] = pd.to_datetime(table["date"], format="%Y%m%d").astype("datetime64[ms]").astype(np.int64)
    moment = FIRST_HOUR * HOUR_MS + uniform(table["line"].to_numpy(np.uint64), "time of day", SEED) * (LAST_HOUR - FIRST_HOUR) * HOUR_MS
    # Of several orders of a customer and day, the earlier line has the earlier time.
    table["moment"] = moment.astype(np.int64)
    table = table.sort_values(["row", "day", "line"], kind="stable")
    table["moment"] = table.sort_values(["row", "day", "moment"], kind="stable")["moment"].to_numpy()
    table["time"] = table["day"] + table["moment"]
    return table.sort_values(["time", "line"], kind="stable")[["row", "customer_id", "line", "time", "amount"]].reset_index(drop=True)


def events(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Purchase events of these lines, as canonical JSON objects, in their order."""
    for name, line, time, amount in table[["customer_id", "line", "time", "amount"]].itertuples(index=False):
        head = {"type": "Purchase", "customer_id": name, "event_id": f"{name}-p{line}", "event_time": int(time)}
        yield {**head, "order_id": f"{name}-o{line}", "amount": float(amount)}


def published() -> pd.DataFrame:
    """The summary; index = customer_id, columns row, frequency, recency, T, monetary_value (0 without a repeat purchase)."""
    import pandas as pd

    plain = pd.read_csv(_file("cdnow_customers_summary.csv")).rename(columns={"ID": "row"})
    money = pd.read_csv(_file("cdnow_customers_summary_with_transactions.csv"))
    money.columns = pd.Index(["row", "frequency", "recency", "T", "monetary_value"])
    if not plain.equals(money[plain.columns.tolist()]):
        msg = f"the two summaries of {PACKAGE} differ: expected those of version 0.11.3; install what requirements.lock has: make setup"
        raise DemoDataError(msg)
    return money.set_index(_ids(money["row"]).rename("customer_id"))


def _ids(rows: pd.Series) -> pd.Series:
    return "cdnow-" + rows.astype(str).str.zfill(4)


def _file(name: str) -> Path:
    try:
        path = Path(str(distribution(PACKAGE).locate_file(f"{FOLDER}/{name}")))
    except PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        msg = f"the data of the demo, {FOLDER}/{name} of the PyPI package {PACKAGE}, is not installed: make setup, or pip install {PACKAGE}"
        raise DemoDataError(msg)
    return path
