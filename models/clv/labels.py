"""Labels for a regression: what each customer spent in (T, T + horizon], from the events themselves.

    framed events → the horizon is over? → customers with an event by T
                  → purchases up to T + horizon, by the stream's rules (purchases.py) → sums of those after T

Refunds count, so that a label is what the feature `revenue` grows by. A customer of whom nothing was known at T has no label: nobody could
have asked for a prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keepline.features.plan import compile as compile_plan
from keepline.features.rows import EventBatch, Scan, arrange, known_customers, scan
from keepline.features.sets import feature_set
from keepline.models.clv.purchases import admit
from keepline.models.errors import TrainingDataError
from keepline.schemas.durations import shown
from keepline.schemas.status import OK
from keepline.schemas.times import DAY_MS, to_rfc3339


@dataclass(frozen=True, slots=True)
class Labels:
    """One entry a customer, sorted by customer_id."""

    customer_ids: list[str]
    revenue: npt.NDArray[np.float64]
    """Orders less refunds in (T, T + horizon]."""
    orders: npt.NDArray[np.int64]
    """Purchases with amount ≥ 0 in the same time."""
    unknown: int
    """Customers whose first event is in (T, T + horizon]: they have no label."""
    rejected: int
    """Events that the stream would not take."""


def labels(batch: EventBatch, at: int, horizon: int, *, programs: Any = None) -> Labels:
    """Labels of all customers known at `at` (epoch ms) over `horizon` (ms).

    `programs`: what decodes the events, with the currency of their amounts (schemas/programs.py). Raises TrainingDataError where the
    events do not reach the UTC day in which the horizon ends, or nobody is known.
    """
    end = at + horizon
    found = scan(batch, programs=programs)
    sound = found.status == OK
    _check_complete(found.time[sound], at, horizon)
    ids = _known(batch, found, at)
    if not ids:
        msg = f"No customer has an event at or before {to_rfc3339(at)}. Give a later --at."
        raise TrainingDataError(msg)
    purchases = admit(compile_plan(feature_set("clv")), batch, end, programs=programs).purchases
    after = purchases.time > at
    customer, amount = purchases.customer[after], purchases.amount[after]
    largest = np.finfo(np.float64).max  # as in the features
    revenue: npt.NDArray[np.float64] = np.clip(np.bincount(customer, amount, len(purchases.customers)), -largest, largest)
    orders = np.bincount(customer[amount >= 0], minlength=len(purchases.customers))
    place = {name: i for i, name in enumerate(purchases.customers)}
    asked = [place[name] for name in ids]
    later = len(_known(batch, found, end)) - len(ids)
    return Labels(ids, revenue[asked], orders[asked], later, int(np.count_nonzero(~sound)))


def _known(batch: EventBatch, found: Scan, until: int) -> list[str]:
    """Ids of the customers with a sound event by `until`, sorted. Control types make nobody known, as they make no row."""
    kept = (found.status == OK) & (found.control == 0) & (found.time <= until)
    within = EventBatch(batch.buffer, batch.offsets[kept], batch.lengths[kept])
    return known_customers(within, arrange(Scan(*(column[kept] for column in found))))


def _check_complete(times: npt.NDArray[np.int64], at: int, horizon: int) -> None:
    """A horizon that is not over yet would teach the model that customers stop buying."""
    if not len(times):
        msg = "There are no events to make labels from. Check --events and what was rejected."
        raise TrainingDataError(msg)
    end, newest = at + horizon, int(times.max())
    if newest // DAY_MS < end // DAY_MS:
        most = (newest // DAY_MS * DAY_MS + DAY_MS - 1 - at) // DAY_MS
        hint = f"Give --horizon {most}d or less, or an earlier --at." if most > 0 else "Give an earlier --at."
        msg = f"The events end at {to_rfc3339(newest)}, but {to_rfc3339(at)} + {shown(horizon)} is {to_rfc3339(end)}. {hint}"
        raise TrainingDataError(msg)
