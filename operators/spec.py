"""What one customer operator is to do, as plain data: the JSON that the job hands to every TaskManager at submit.

It carries the model manifest itself, so a TaskManager needs no file of the submitting machine. `load` refuses what does
not fit, which fails the job at start with the reason.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from keepline.schemas.packed import MAX_VALUE

Emit = Literal["band", "delta", "every"]
HOUR_MS = 3_600_000
MIN_TIME_MS = 631_152_000_000
"""1990-01-01T00:00:00Z, the oldest event time that is accepted by default."""
MAX_TIME_MS = 4_102_444_800_000
"""2100-01-01T00:00:00Z, the bound that event times must stay below by default."""

CHANNELS = ("scores", "interventions", "decisions", "dead-letters", "late-events", "labelled-outcomes", "erasure-receipts")
"""Kinds of output of the retention job, by the number that travels in a frame."""
NEXT_APP_CHANNELS = ("", "", "", "dead-letters", "late-events", "", "erasure-receipts", "app-predictions")
"""Those of the next-app job; "" for a number that it does not use."""
NEXT_APP = ("next_app",)


MAX_KEY = 128 * 1024
"""A dead letter holds its key twice, so a longer one is cut: the letter has to stay below a megabyte, the usual limit of a topic."""
LARGEST_RECORD = MAX_VALUE + 2 * MAX_KEY + 8192
"""No output is larger: a dead letter of a long key and a large value."""


@dataclass(frozen=True, slots=True)
class OperatorSpec:
    """One operator's work. Times in milliseconds."""

    manifest: dict[str, Any] = field(default_factory=dict)
    """The churn model's manifest, whole: its checksum is checked again where it is loaded."""
    clv: dict[str, Any] = field(default_factory=dict)
    """The manifest of the closed forms of lifetime value, where `clv` is among the feature sets."""
    clv_regression: dict[str, Any] = field(default_factory=dict)
    """The manifest of a regression of lifetime value; empty: none."""
    topics: tuple[str, ...] = ("telemetry",)
    """Input topics, by the index that travels in a packed record (named in dead letters)."""
    emit: Emit = "delta"
    delta: float = 0.01
    """With `delta`: a score is emitted when it differs this much from the last emitted one, or its band changes."""
    policy: dict[str, Any] = field(default_factory=dict)
    """The contact policy, as `models.contact.carried` writes it; empty: nobody is contacted."""
    bound_ms: int = HOUR_MS
    """B, the bound of disorder: how far the watermark is behind the newest event."""
    ahead_ms: int = 24 * HOUR_MS
    """An event further ahead of the wall clock than this is refused (FUTURE_TIME)."""
    min_time_ms: int = MIN_TIME_MS
    max_time_ms: int = MAX_TIME_MS
    currency: str = ""
    """The configured currency; "" in an event means this one, and any other is refused."""
    feature_sets: tuple[str, ...] = ("churn",)
    """What is computed and scored, in the order churn, clv; or next_app alone."""
    next_app: dict[str, Any] = field(default_factory=dict)
    """The manifest of the next-app model, where that is the feature set."""
    apps: int = 5
    """How many apps a prediction has."""
    answer_within_ms: int = 60_000
    """An unlock further behind the user's newest event gets no prediction."""
    writer_schemas: tuple[dict[str, Any], ...] = ()
    """Avro schemas of other producers, whose records are read as ours."""
    registry_url: str = ""
    """Where schema ids are asked for; "" nowhere: then they are unknown."""
    registry: dict[str, str] = field(default_factory=dict)
    """Properties of the registry's client."""
    unknown_id_ms: int = 30_000
    """How long an id stays unknown once the registry has said so."""

    def dumps(self) -> bytes:
        """The spec as JSON bytes."""
        return json.dumps(asdict(self), allow_nan=False).encode()

    @staticmethod
    def loads(data: bytes) -> OperatorSpec:
        """The spec of `dumps`."""
        raw = json.loads(data)
        raw["topics"] = tuple(raw["topics"])
        raw["feature_sets"] = tuple(raw.get("feature_sets", ("churn",)))
        raw["writer_schemas"] = tuple(raw["writer_schemas"])
        return OperatorSpec(**raw)
