"""One customer's state driven from Python, an event at a time: for tests, notebooks and questions. The kernel is the real one.

Example:
    >>> from keepline.features.churn import CHURN
    >>> customer = Customer(CHURN)
    >>> customer.apply({"type": "Call", "event_id": "e1", "event_time": 0, "duration_s": 60.0}).name
    'OK'
    >>> customer.row()["call_seconds_24h"], customer.row(25 * 3_600_000)["call_seconds_24h"]
    (60.0, 0.0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from keepline.features import kernel, plan
from keepline.features.layout import W_NOW
from keepline.schemas.catalog import EVENT_ID, EVENT_TIME, MISSING, NREG, event_type
from keepline.schemas.status import Reason
from keepline.schemas.text import hash64_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepline.features.spec import FeatureSet


def _hash(text: str) -> int:
    return int(np.uint64(hash64_of(text)).astype(np.int64))


class Customer:
    """A state and its kernel. Records are dicts as in JSON Lines, sound ones: types are not checked here."""

    def __init__(self, feature_set: FeatureSet, *, margin: float | None = None) -> None:
        """`margin`: as `plan.compile`."""
        self.margin = margin
        self.plan = plan.compile(feature_set, margin=margin)
        self._bytes = np.zeros(self.plan.size, np.uint8)
        self._s32, self._s64, self._sf = self._bytes.view(np.int32), self._bytes.view(np.int64), self._bytes.view(np.float64)
        self._ri, self._rf, self._rn = np.zeros(NREG, np.int64), np.zeros(NREG), np.zeros(NREG, np.uint8)

    @property
    def state(self) -> bytes:
        """A copy of the state's bytes."""
        return self._bytes.tobytes()

    @property
    def now(self) -> int:
        """The larger of the newest accepted event and the newest tick, epoch ms."""
        return int(self._s64[W_NOW])

    def apply(self, record: Mapping[str, Any]) -> Reason:
        """Admit and apply one record; OK, DUPLICATE or LATE."""
        event = event_type(record["type"])
        if event.control:
            return Reason.OK
        for field in event.fields:
            value = record.get(field.name, "" if field.default is MISSING else field.default)
            self._rn[field.register] = value is None
            if value is None:
                number: float = 0
            elif field.symbols:
                number = field.symbols.index(value)
            elif isinstance(value, str):
                number = _hash(value)
            else:
                number = value
            self._rf[field.register] = number
            self._ri[field.register] = number if isinstance(number, int) else int(min(max(number, -(2.0**62)), 2.0**62))
        t, id_hash = int(self._ri[EVENT_TIME]), int(self._ri[EVENT_ID])
        status = Reason(kernel.admit(self._s64, 0, t, id_hash, self.plan.ints))
        if status == Reason.OK:
            views = self._s32, self._s64, self._sf
            kernel.update(*views, 0, event.id, t, id_hash, self._ri, self._rf, self._rn, self.plan.ints)
        return status

    def tick(self, now: int) -> None:
        """Move `now` without an event."""
        self._s64[W_NOW] = max(self.now, now)

    def row(self, now: int | None = None) -> dict[str, float]:
        """The row at `now` (default: the state's own), which may not lie before it; the state stays as it is."""
        at = self.now if now is None else now
        x = np.full(self.plan.n_features, np.nan)
        views = self._s32, self._s64, self._sf
        if not kernel.exists(self._s64, 0) or kernel.silent(self._s64, 0, at, self.plan.ints):
            empty = Customer(self.plan.meta.feature_set, margin=self.margin)
            kernel.init(empty._s32, empty._s64, 0, at, self.plan.ints)
            views = empty._s32, empty._s64, empty._sf
        kernel.read(*views, 0, at, self.plan.ints, self.plan.floats, x)
        return dict(zip(self.plan.meta.names, x.tolist(), strict=True))
