"""What the kernel counts, and how the JVM shell is to export it.

The counts are the int64 words of the io buffer's section `stats`, right behind `hdr` (operators/layout.py). The kernel adds one where
something happens, and that is all that an event pays. The shell knows no domain: when it opens it is handed `describe()`, and exports
each line as a metric of the operator's group (`KernelMetrics.java`). So a new count is a constant here, an increment, and a line below.

Counts begin at 0 whenever the operator is opened, be it after a restart or a restore: `rate()` and `increase()` know that from counters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from keepline.operators import layout as at
from keepline.schemas.catalog import output_schema
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_i64, store_i64
from keepline.schemas.status import Reason

# Words of the section; what a name means stands in `describe` and docs/monitoring.md.
ACCEPTED, DUPLICATES, LATE_EVENTS, CONTROL, TICKS, FORGOTTEN, SIGNALS, ERASED = range(8)
DEAD_LETTERS = 8
"""Plus the reason's number (schemas/status.py), 1 to 15."""
EMITTED = 24
"""Plus three times the score's number, plus the band's (both as in schemas/outputs/Score.avsc)."""
SCORED = 40
"""Plus the bucket's number: every churn score, also those that are not put out."""
SCORE_BUCKETS = 20
SCORE_SUM = SCORED + SCORE_BUCKETS
"""Sum of all churn scores, in millionths."""
SCORE_UNIT = 1_000_000
PREDICTIONS, UNANSWERED = 61, 62
"""Of the next-app operator."""

COUNTERS = (
    ("events_accepted_total", ACCEPTED),
    ("events_duplicate_total", DUPLICATES),
    ("events_late_total", LATE_EVENTS),
    ("events_control_total", CONTROL),
    ("ticks_total", TICKS),
    ("customers_forgotten_total", FORGOTTEN),
    ("signals_total", SIGNALS),
    ("customers_erased_total", ERASED),
)
BANDS = ("LOW", "MEDIUM", "HIGH")
SCORE_NAMES: tuple[str, ...] = next(
    tuple(field["type"]["symbols"]) for field in output_schema("Score")["fields"] if field["name"] == "score"
)
"""As in schemas/outputs/Score.avsc."""
CHURN = "churn"
"""The score whose metrics have no label of its name, as before there were others."""
DEAD_REASONS = tuple(reason for reason in Reason if Reason.OK < reason < Reason.DUPLICATE)


def describe(scores: Iterable[tuple[str, str, int]], code: str) -> bytes:
    """The metrics as JSON: kind, name, `at` (a word of the io buffer), labels; a histogram's words hold the count of each bucket.

    `scores`: name, model id and model version of each.
    """
    scores = list(scores)
    lines = _counters(COUNTERS)
    lines += [
        {
            "kind": "counter",
            "name": "scores_emitted_total" if name == CHURN else "value_scores_emitted_total",
            "at": at.STATS + EMITTED + 3 * SCORE_NAMES.index(name) + number,
            "labels": {"band": band} if name == CHURN else {"score": name, "band": band},
        }
        for name, _, _ in scores
        for number, band in enumerate(BANDS)
    ]
    bounds = [round((bucket + 1) / SCORE_BUCKETS, 2) for bucket in range(SCORE_BUCKETS)]
    lines.append(
        {"kind": "histogram", "name": "score", "at": at.STATS + SCORED, "bounds": bounds, "sum": at.STATS + SCORE_SUM, "unit": SCORE_UNIT}
    )
    lines += _of_the_operator(((model_id, version) for _, model_id, version in scores), code)
    return json.dumps(lines).encode()


def describe_predictions(model_id: str, version: int, code: str) -> bytes:
    """The same of the next-app operator."""
    known = [line for line in COUNTERS if line[1] not in (TICKS, SIGNALS)]
    lines = _counters([*known, ("predictions_total", PREDICTIONS), ("unlocks_unanswered_total", UNANSWERED)])
    return json.dumps(lines + _of_the_operator([(model_id, version)], code)).encode()


def _counters(counters: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """The counters, and a dead letter's of each reason."""
    lines: list[dict[str, Any]] = [{"kind": "counter", "name": name, "at": at.STATS + word} for name, word in counters]
    lines += [
        {"kind": "counter", "name": "dead_letters_total", "at": at.STATS + DEAD_LETTERS + reason, "labels": {"reason": reason.name}}
        for reason in DEAD_REASONS
    ]
    return lines


def _of_the_operator(models: Iterable[tuple[str, int]], code: str) -> list[dict[str, Any]]:
    """What it waits for, and which models it has."""
    return [
        {"kind": "gauge", "name": "waiting_for_registry", "at": at.WAITING},
        *(
            {"kind": "info", "name": "model_info", "labels": {"model_id": model_id, "version": version, "code": code}}
            for model_id, version in dict.fromkeys((model_id, str(version)) for model_id, version in models)
        ),
    ]


@njit
def count(hdr: int, word: int) -> None:
    """One more of something."""
    place = 8 * (at.STATS + word)
    store_i64(hdr, place, load_i64(hdr, place) + 1)


@njit
def count_score(hdr: int, value: float) -> None:
    """One more score in its bucket, whose upper bound belongs to it."""
    bucket = min(max(math.ceil(value * SCORE_BUCKETS) - 1, 0), SCORE_BUCKETS - 1)
    count(hdr, SCORED + bucket)
    place = 8 * (at.STATS + SCORE_SUM)
    store_i64(hdr, place, load_i64(hdr, place) + int(value * SCORE_UNIT))
