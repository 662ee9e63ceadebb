"""What the kernel counts, against what it put out: every count is that of the frames, which other tests compare with the naive twin."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from typing import Any

import pytest

from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.host import HostOperator
from keepline.operators.spec import OperatorSpec
from keepline.schemas.catalog import EVENT_TYPES, output_schema
from keepline.schemas.packed import DEAD_LETTERS, LATE_EVENTS, SCORES, SIGNALS, Record, pack_record
from keepline.schemas.records import to_record
from tests.jobs.models_for_tests import manifest
from tests.whole.history import no_events, strewn, whole_history

CONTROL = {kind.name for kind in EVENT_TYPES if kind.control}


def run(emit: str, batch: int) -> tuple[HostOperator, list[Any], list[Any]]:
    records = strewn(no_events(1), whole_history(seed=2, customers=15, partitions=1, per_day=60), seed=1)
    operator = HostOperator(OperatorSpec(manifest(), emit=emit), batch=batch)
    frames = []
    for offset, record in enumerate(records):
        packed = pack_record(Record(record.key, record.value or b"", 0, 0, offset, 0))
        frames += operator.add(record.key or b"derived", packed)
    last = max(record.event["event_time"] for record in records if record.event and not record.reason)
    # Longer than a customer is remembered: every one is forgotten.
    frames += operator.advance(last + 500 * 86_400_000)
    return operator, records, frames


def bucket(value: float) -> int:
    """By looking for it: the first whose upper bound the score does not exceed."""
    return next(place for place in range(20) if value <= (place + 1) / 20)


@pytest.mark.parametrize("batch", [1, 256])
def test_counts_are_those_of_the_frames(batch: int) -> None:
    operator, records, frames = run("every", batch)
    counted = operator.kernel.stats
    made = {channel: [to_record(frame.value)[1] for frame in frames if frame.channel == channel and frame.value] for channel in range(5)}
    reasons = Counter(letter["reason"] for letter in made[DEAD_LETTERS])
    assert {reason.name: int(counted[stats.DEAD_LETTERS + reason]) for reason in stats.DEAD_REASONS} == {
        reason.name: reasons[reason.name] for reason in stats.DEAD_REASONS
    }
    assert sum(count > 0 for count in reasons.values()) == len(stats.DEAD_REASONS) - 1  # all but FUTURE_TIME, which needs a clock
    assert counted[stats.LATE_EVENTS] == len(made[LATE_EVENTS]) > 0
    assert counted[stats.SIGNALS] == sum(frame.channel == SIGNALS for frame in frames) > 0
    assert counted[stats.ERASED] == sum(frame.channel == SCORES and not frame.value for frame in frames) > 0
    bands = Counter(score["band"] for score in made[SCORES])
    assert [int(counted[stats.EMITTED + number]) for number in range(3)] == [bands[band] for band in stats.BANDS]
    ticks = [score for score in made[SCORES] if not score["event_id"]]
    assert counted[stats.TICKS] == len(ticks) > 0
    assert counted[stats.ACCEPTED] == len(made[SCORES]) - len(ticks)
    sound = [record.event for record in records if record.event and not record.reason]
    assert counted[stats.CONTROL] == sum(event["type"] in CONTROL for event in sound) > 0
    assert counted[stats.DUPLICATES] > 0
    outcomes = (stats.ACCEPTED, stats.DUPLICATES, stats.LATE_EVENTS, stats.CONTROL)
    assert sum(int(counted[word]) for word in outcomes) + sum(reasons.values()) == len(records)
    customers = {event["customer_id"] for event in sound if event["type"] not in CONTROL}
    assert counted[stats.FORGOTTEN] >= len(customers)
    values = [score["value"] for score in made[SCORES]]
    assert counted[stats.SCORED : stats.SCORED + 20].tolist() == [Counter(map(bucket, values))[place] for place in range(20)]
    assert counted[stats.SCORE_SUM] == sum(math.floor(value * 1e6) for value in values)


def test_scores_that_are_not_put_out_are_counted_in_the_distribution_too() -> None:
    (every, *_), (band, *_) = run("every", 256), run("band", 256)
    places = slice(stats.SCORED, stats.SCORE_SUM + 1)
    assert band.kernel.stats[places].tolist() == every.kernel.stats[places].tolist()
    assert sum(band.kernel.stats[stats.EMITTED : stats.EMITTED + 3]) < sum(every.kernel.stats[stats.EMITTED : stats.EMITTED + 3])


@pytest.mark.parametrize("value", [0.0, 1e-300, 0.05, 0.05000001, 0.15, 0.3, 0.95, 1.0])
def test_a_bound_belongs_to_its_bucket(value: float) -> None:
    import numpy as np

    words = np.zeros(at.HDR + at.STATS_WORDS, np.int64)
    stats.count_score(words.ctypes.data, value)
    assert words[at.STATS + stats.SCORED : at.STATS + stats.SCORE_SUM].tolist() == [int(place == bucket(value)) for place in range(20)]


def test_the_description_has_every_count_in_a_word_of_its_own() -> None:
    scores = [(name, "m" if name == "churn" else "n", 7) for name in stats.SCORE_NAMES]
    described = json.loads(stats.describe(scores, "c0de"))
    words = [(line["at"], line["at"] + len(line.get("bounds", [0]))) for line in described if "at" in line]
    words += [(line["sum"], line["sum"] + 1) for line in described if line["kind"] == "histogram"]
    words.sort()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(words))
    assert words[-1][1] <= at.STATS + at.STATS_WORDS
    names = [(line["name"], *line.get("labels", {}).values()) for line in described]
    assert len(set(names)) == len(names)
    infos = [line["labels"] for line in described if line["kind"] == "info"]
    assert infos == [{"model_id": model, "version": "7", "code": "c0de"} for model in ("m", "n")]


def test_bands_are_those_of_the_schema() -> None:
    (band,) = (field["type"] for field in output_schema("Score")["fields"] if field["name"] == "band")
    assert tuple(band["symbols"]) == stats.BANDS
