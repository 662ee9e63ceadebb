"""What the demo's customers allow, which the data set does not say: made up, from a hash of the row, as Consent events.

In the first second of the month nearly all say something (`ANSWERS`), and in which time zone they live (`ZONES`). Some of those who granted
everything revoke it in the second half of the month. Consents are control records: no feature and no score sees them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keepline.jobs.demo.dataset import DAY_MS, DAYS, END_MS, F64, SEED, uniform

if TYPE_CHECKING:
    import pandas as pd

Said = tuple[str, str, str]
"""Purpose, channel, status."""
ALL_GRANTED: Said = ("MARKETING", "ALL", "GRANTED")
ANSWERS: tuple[tuple[float, tuple[Said, ...]], ...] = (
    (0.70, (ALL_GRANTED,)),
    (0.10, (ALL_GRANTED, ("MARKETING", "SMS", "DENIED"))),
    (0.05, (("MARKETING", "EMAIL", "GRANTED"),)),
    (0.05, (ALL_GRANTED, ("PROFILING", "ALL", "DENIED"))),
    (0.06, (("MARKETING", "ALL", "DENIED"),)),
    (0.04, ()),
)
"""Share of the customers, and what they say; the last ones say nothing."""
ZONES = ((0.40, "Europe/Lisbon"), (0.25, "Europe/Athens"), (0.20, "America/New_York"), (0.15, "Asia/Kolkata"))
REVOKED = 0.05
"""Share of those who granted all and nothing else, who take it back later."""


def consents(table: pd.DataFrame, end_ms: int = END_MS, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """The Consent events of these customers (`dataset.customers`) as canonical JSON objects, by time."""
    row = table["row"].to_numpy(np.uint64)
    start = end_ms - DAYS * DAY_MS
    answers = _drawn([share for share, _ in ANSWERS], uniform(row, "consent", seed))
    zones = _drawn([share for share, _ in ZONES], uniform(row, "zone", seed))
    # Behind the Subscription, and one ms apart: the newer consent counts.
    first = start + 1 + (uniform(row, "consent moment", seed) * 990).astype(np.int64)
    revokes = uniform(row, "revokes", seed) < REVOKED
    revoked_at = start + ((1 + uniform(row, "revoked", seed)) / 2 * DAYS * DAY_MS).astype(np.int64)
    made = []
    for place, name in enumerate(table.index.tolist()):
        said = [(int(first[place]) + number, each) for number, each in enumerate(ANSWERS[answers[place]][1])]
        if revokes[place] and [each for _, each in said] == [ALL_GRANTED]:
            said.append((int(revoked_at[place]), ("MARKETING", "ALL", "REVOKED")))
        for number, (time, (purpose, channel, status)) in enumerate(said):
            head = {"type": "Consent", "customer_id": name, "event_id": f"{name}-k{number}", "event_time": time}
            made.append({**head, "purpose": purpose, "channel": channel, "status": status, "time_zone": ZONES[zones[place]][1]})
    return iter(sorted(made, key=lambda event: event["event_time"]))


def _drawn(shares: list[float], draws: F64) -> list[int]:
    """For each draw from [0, 1), which share it falls into."""
    found: list[int] = np.searchsorted(np.cumsum(shares)[:-1], draws, side="right").tolist()
    return found
