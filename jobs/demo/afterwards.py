"""The weeks after the month: the customers who left leave, as the data set's labels say, so that decisions get real labels.

The month's events are made without looking at the labels, and the scores are judged on them alone. Only then come these: a Subscription
with `ended` for each customer who left, at a time from a hash of the row, for the data set does not say when. The others are silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keepline.jobs.demo import dataset

if TYPE_CHECKING:
    import pandas as pd


def leaving(table: pd.DataFrame, labels: pd.Series, end_ms: int, length_ms: int, seed: int = dataset.SEED) -> Iterator[dict[str, Any]]:
    """The last events of those who left, by time, in the `length_ms` after `end_ms`. `labels` as `dataset.labels` gives them."""
    left = table[labels.loc[table.index] == 1]
    subscriptions = {each["customer_id"]: each for each in dataset.events(left, end_ms) if each["type"] == "Subscription"}
    moments = end_ms + (dataset.uniform(left["row"].to_numpy(np.uint64), "leaves", seed) * length_ms).astype(np.int64)
    for moment, name in sorted(zip(moments.tolist(), left.index.tolist(), strict=True)):
        yield {**subscriptions[name], "event_id": f"{name}-end", "event_time": moment, "ended": True}
