"""One real user's six days: the figures that are known of them (data/README.md of the shared data), to the last digit given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keepline.jobs.next_app_files import Read, read_log
from keepline.models.next_app.appusage import DEVICE_ROWS
from keepline.models.next_app.baselines import baselines
from keepline.models.next_app.evaluation import Evaluation, Options, evaluate
from keepline.models.next_app.metrics import METRICS

KNOWN = {
    "popularity": (0.566, 0.753, 0.789, 0.678),  # one user: the same as MFU
    "MFU": (0.566, 0.753, 0.789, 0.678),
    "MRU": (0.542, 0.768, 0.804, 0.670),
    "Markov-1": (0.563, 0.744, 0.804, 0.681),
}
BOTH = Options(collapse=True, exclude_current=True)


@pytest.fixture(scope="module")
def read(shared_data: Path) -> Read:
    return read_log(shared_data / "apps" / "appusagepro_1user_6days.csv.gz")


def rounded(found: Evaluation) -> dict[str, tuple[float, ...]]:
    return {name: tuple(round(metrics[m].value, 3) for m in METRICS) for name, metrics in found.metrics.items()}


def test_every_row_is_accounted_for(read: Read) -> None:
    assert read.rows == 4147 + 3, "the rows, and the lines of the footer"
    assert read.dropped == {"SCREEN": 617 + 676 + 74, "FOOTER": 3, "DUPLICATE": 1}
    counts = read.as_json()
    assert (counts["opens"], counts["unlocks"], counts["reordered"], counts["device_rows"]) == (2293, 486, 0, 6)


def test_the_known_figures(read: Read) -> None:
    found = evaluate(read.log, baselines(), BOTH)
    assert found.scored == 535
    assert rounded(found) == KNOWN
    for metrics in found.metrics.values():
        for one in metrics.values():
            assert one.low < one.value < one.high
            assert 0.05 < one.high - one.low < 0.10


def test_without_the_rows_of_the_device_two_targets_fewer(read: Read) -> None:
    """What docs/next-app.md says of the boots and shutdowns that the known figures count as opens."""
    device = [i for i, name in enumerate(read.log.apps) if name in DEVICE_ROWS]
    found = evaluate(read.log.select(~np.isin(read.log.app, device)), baselines(), BOTH)
    assert found.scored == 533
    assert {name: figures[3] for name, figures in rounded(found).items()} == {
        "popularity": 0.684, "MFU": 0.684, "MRU": 0.682, "Markov-1": 0.686
    }  # fmt: skip
