"""The numbers that a decision rested on. A contact carries them along as bytes, for few steps read them: Avro by `snapshot-3.avsc`.

The schema goes with the version of the state that the bytes stand in (stored.py): another version's are read, and written anew.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

from keepline.models.contact.signal import Reason, Signal, values


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The numbers that a decision rested on, as its signal had them."""

    event_id: str
    value: float
    band: int
    reasons: tuple[Reason, ...]
    features: Mapping[str, float]
    model_id: str
    model_version: int
    score: str
    """The score that `value`, `band`, `reasons` and the model are of."""
    scores: Mapping[str, float]
    """All scores by name."""


@cache
def _schema() -> Any:
    return fastavro.parse_schema(json.loads(Path(__file__).with_name("snapshot-3.avsc").read_bytes()))


def snapshot(signal: Signal) -> bytes:
    """The numbers of a signal, to be kept: its main score, the values of all scores, its features."""
    return pack(
        Snapshot(
            signal.event_id,
            signal.value or 0.0,
            signal.band,
            signal.reasons,
            signal.features,
            signal.model_id,
            signal.model_version,
            signal.score,
            values(signal),
        )
    )


def pack(seen: Snapshot) -> bytes:
    """A snapshot as bytes."""
    features, scores = by_name(seen.features), by_name(seen.scores)
    return written(
        {
            "event_id": seen.event_id,
            "value": seen.value,
            "band": seen.band,
            "reasons": [{"feature": r.feature, "value": r.value, "contribution": r.contribution} for r in seen.reasons],
            "feature_names": features[0],
            "feature_values": features[1],
            "model_id": seen.model_id,
            "model_version": seen.model_version,
            "score": seen.score,
            "score_names": scores[0],
            "score_values": scores[1],
        }
    )


def written(plain: Mapping[str, Any]) -> bytes:
    """The fields of the schema as bytes."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, _schema(), plain)
    return stream.getvalue()


def unpack(packed: bytes) -> Snapshot:
    """The snapshot of such bytes."""
    plain: Any = fastavro.schemaless_reader(io.BytesIO(packed), _schema(), None)
    plain["features"] = _numbers(plain.pop("feature_names"), plain.pop("feature_values"))
    plain["scores"] = _numbers(plain.pop("score_names"), plain.pop("score_values"))
    plain["reasons"] = tuple(Reason(**each) for each in plain["reasons"])
    return Snapshot(**plain)


def named_only(packed: bytes) -> bytes:
    """The same without features and scores: what is left of a row that has been written."""
    seen = unpack(packed)
    return pack(Snapshot(seen.event_id, seen.value, seen.band, seen.reasons, {}, seen.model_id, seen.model_version, seen.score, {}))


def by_name(numbers: Mapping[str, float]) -> tuple[str, bytes]:
    """Numbers by name as lines and little-endian doubles."""
    return "\n".join(numbers), struct.pack(f"<{len(numbers)}d", *numbers.values())


def _numbers(names: str, numbers: bytes) -> dict[str, float]:
    return dict(zip(names.split("\n") if numbers else (), struct.unpack(f"<{len(numbers) // 8}d", numbers), strict=True))
