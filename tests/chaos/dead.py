"""Dead letters of records that no file of events can hold, so that replay cannot make them: expected from what was sent."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable

from keepline.schemas.packed import MAX_VALUE
from tests.whole.history import Sent
from tests.whole.support import Record


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
