"""What the Redis view holds of one customer, read back into records whose numbers are numbers.

The keys are known (view_keys.py), so they are asked for by name: a search through all keys would take a large Redis long, and the pattern
of one customer's id may fit another's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keepline.jobs.settings import mask_url
from keepline.jobs.view_keys import NEXT_APP_KEYS, VIEW_KEYS
from keepline.schemas.catalog import output_schema
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import APP_PREDICTIONS, DECISIONS, INTERVENTIONS, SCORES

RECORDS = {SCORES: "Score", INTERVENTIONS: "Intervention", DECISIONS: "Decision", APP_PREDICTIONS: "AppPrediction"}
"""The record of each channel that has a view."""
ERASED = "erased"
"""The field of a mark that stands for a minute in the place of an erased hash."""
TIMEOUT_S = 10.0


class ViewReadError(KeeplineError):
    """A Redis that cannot be asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One hash of the view."""

    key: str
    channel: int
    record: Mapping[str, Any]
    """With `as_of` and `sequence` of the frame; of a mark only these and `erased`."""
    ttl_ms: int | None
    """How long it stays; None for ever."""

    @property
    def erased(self) -> bool:
        """Whether it is the mark of an erased customer."""
        return ERASED in self.record


def read(url: str, customer: str) -> list[Kept]:
    """The customer's hashes, those of scores first. ViewReadError where Redis does not answer, refuses, or a key is no hash."""
    from redis import Redis
    from redis.exceptions import RedisError

    found = []
    try:
        with Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S) as client:
            for channel, key in keys(customer):
                with client.pipeline(transaction=False) as pipeline:
                    pipeline.hgetall(key)
                    pipeline.pttl(key)
                    fields, ttl = pipeline.execute()
                if fields:
                    found.append(Kept(key, channel, _record(channel, fields), ttl if ttl >= 0 else None))
    except (RedisError, OSError, ValueError) as error:
        msg = (
            f"Redis at {mask_url(url)}: {str(error).rstrip('.')}; check --redis-url, and that its user may read keepline:* (HGETALL, PTTL)"
        )
        raise ViewReadError(msg) from None
    return found


def keys(customer: str) -> Iterator[tuple[int, str]]:
    """(channel, key) of everything that the view may hold of a customer."""
    names = next(field["type"]["symbols"] for field in output_schema("Score")["fields"] if field["name"] == "score")
    for channel, template in (VIEW_KEYS | NEXT_APP_KEYS).items():
        for score in names if "{score}" in template else ("",):
            yield channel, template.format(customer_id=customer, score=score)


def _record(channel: int, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The record as its topic has it, and the fields of the view itself. A null, which a hash leaves out, is put back."""
    told = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
    record: dict[str, Any] = {name: int(told.pop(name)) for name in ("as_of", "sequence") if name in told}
    if ERASED in told:
        return record | {ERASED: True}
    for field in output_schema(RECORDS[channel])["fields"]:
        name = field["name"]
        if name in told:
            record[name] = _value(field["type"], told.pop(name))
        elif name not in record and isinstance(field["type"], list):
            record[name] = None
    return record | told


def _value(kind: Any, text: str) -> Any:
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if isinstance(kind, dict):
        kind = kind["type"]
    if kind in ("int", "long"):
        return int(text)
    if kind in ("float", "double"):
        return float(text)
    if kind == "boolean":
        return text == "true"
    return json.loads(text) if kind in ("array", "map", "record") else text
