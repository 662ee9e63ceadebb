"""What replay's files do not hold, expected from what was sent: tombstones, and dead letters of records that no file of events can hold."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable

from keepline.schemas.packed import MAX_VALUE
from tests.whole.history import Sent
from tests.whole.support import Record, erasures


def expected(records: Iterable[Sent]) -> dict[str, list[Record]]:
    """By key, in order, without the place in Kafka."""
    letters: dict[str, list[Record]] = {}
    for record in records:
        if record.event is None and record.reason:
            key, value = b64encode(record.key or b"").decode(), record.value or b""
            letters.setdefault(key, []).append({
                "key": key, "value": b64encode(value[:MAX_VALUE]).decode(), "value_length": len(value),
                "value_sha256": b64encode(hashlib.sha256(value).digest()).decode(), "reason": record.reason,
            })  # fmt: skip
    return letters


def tombstones(records: Iterable[Sent]) -> dict[str, list[Record]]:
    """By customer, one for each Erasure."""
    gone = {"tombstone": True}
    return {customer: [{"key": f"{customer}|churn|CHAMPION"} | gone] * len(asked) for customer, asked in erasures(records).items()}
