"""One user's `next_app` state driven from Python, an event at a time: for tests, notebooks and questions. The kernel is the real one.

Example:
    >>> user = User()
    >>> user.apply({"type": "AppOpen", "event_id": "e1", "event_time": 0, "app": "mail"}).name
    'OK'
    >>> user.apply({"type": "AppOpen", "event_id": "e2", "event_time": 60_000, "app": "maps"}).name
    'OK'
    >>> rows = user.candidates({"type": "Unlock", "event_time": 120_000})
    >>> [(app, round(row["log_opens_24h"], 3)) for app, row in rows.items()]
    [('mail', 0.693)]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keepline.features.layout import W_NOW
from keepline.features.next_app import kernel
from keepline.features.next_app.constants import Constants
from keepline.features.next_app.kernel import I64
from keepline.features.next_app.layout import APPS, B_LENGTHS, CONTEXT, FEATURES, SIZE, W_SCREEN
from keepline.schemas.catalog import EVENT_ID, EVENT_TIME, MISSING, NREG, EventType, event_type
from keepline.schemas.status import Reason
from keepline.schemas.text import hash64_of


class User:
    """A state and its kernel. Records are dicts as in JSON Lines, sound ones: types are not checked here."""

    def __init__(self, constants: Constants | None = None) -> None:
        """`constants`: default as `Constants()`."""
        self.constants = Constants() if constants is None else constants
        self._array = self.constants.array()
        self._s64 = np.zeros(SIZE // 8, np.int64)
        self._ri, self._rn, self._rs = np.zeros(NREG, np.int64), np.zeros(NREG, np.uint8), np.zeros(2 * NREG, np.int64)
        self._out, self._places, self._context = np.zeros((APPS, len(FEATURES))), np.zeros(APPS, np.int64), np.zeros(CONTEXT, np.int64)

    @property
    def state(self) -> bytes:
        """A copy of the state's bytes."""
        return self._s64.tobytes()

    @property
    def now(self) -> int:
        """The larger of the newest accepted event and the newest tick, epoch ms."""
        return int(self._s64[W_NOW])

    @property
    def apps(self) -> list[str]:
        """The kept apps, in the order of their places."""
        lengths = self._s64.view(np.uint8)[B_LENGTHS : B_LENGTHS + APPS]
        return [self.name(place) for place in range(APPS) if lengths[place]]

    @property
    def screen(self) -> str | None:
        """The app on screen, if it is kept."""
        place = int(self._s64[W_SCREEN]) - 1
        return None if place < 0 else self.name(place)

    def apply(self, record: Mapping[str, Any]) -> Reason:
        """Admit and apply one record; OK, DUPLICATE or LATE."""
        event = event_type(record["type"])
        if event.control:
            return Reason.OK
        texts = self._registers(event, record)
        t, id_hash = int(self._ri[EVENT_TIME]), int(self._ri[EVENT_ID])
        status = Reason(kernel.admit(self._s64, 0, t, id_hash))
        if status == Reason.OK:
            kernel.update(self._s64, 0, event.id, t, id_hash, self._ri, self._rn, self._rs, texts, self._array)
        return status

    def candidates(self, unlock: Mapping[str, Any], now: int | None = None) -> dict[str, dict[str, float]]:
        """The row of each candidate, by app, in the order of their places; the state stays as it is.

        `unlock` says the circumstances (an Unlock or AppOpen, applied or not); `now` is by default the larger of the state's and its time.
        """
        _, at, context = self.moment(unlock)
        n = kernel.candidates(self._s64, 0, at if now is None else now, context, self._array, self._out, self._places)
        rows = (dict(zip(FEATURES, row, strict=True)) for row in self._out[:n].tolist())
        return dict(zip(map(self.name, self._places[:n].tolist()), rows, strict=True))

    def moment(self, unlock: Mapping[str, Any]) -> tuple[I64, int, I64]:
        """What a question at an unlock needs: the state's words (not a copy), the moment (epoch ms), and the circumstances (int64[5])."""
        event = event_type(unlock["type"])
        self._registers(event, {"event_id": "", **unlock})
        kernel.context(self._s64, 0, event.id, int(unlock["event_time"]), self._ri, self._rn, self._context)
        return self._s64, max(self.now, int(unlock["event_time"])), self._context

    def opens(self, now: int) -> float:
        """The decayed opens of all kept apps."""
        return float(kernel.opens(self._s64, 0, now, self._array))

    def name(self, place: int) -> str:
        """The app at a place of the state."""
        start, length = kernel.name_at(self._s64, 0, place)
        return bytes(self._s64.view(np.uint8)[start : start + length]).decode()

    def _registers(self, event: EventType, record: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Fill the registers as the decoder would; the bytes that `rs` points into."""
        texts = b""
        for field in event.fields:
            value = record.get(field.name, "" if field.default is MISSING else field.default)
            self._rn[field.register] = value is None
            self._rs[2 * field.register : 2 * field.register + 2] = len(texts), 0
            if value is None:
                number = 0
            elif field.symbols:
                number = field.symbols.index(value)
            elif isinstance(value, str):
                number = int(np.uint64(hash64_of(value)).astype(np.int64))
                raw = value.encode()
                self._rs[2 * field.register + 1] = len(raw)
                texts += raw
            else:
                number = int(value)
            self._ri[field.register] = number
        return np.frombuffer(texts + b"\0", np.uint8)
