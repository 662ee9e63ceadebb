"""Rows out of Keepline's events: AppOpen and Unlock, as the stream's decoder reads them.

blocks of framed events (schemas/blocks.py) ──► columns, by the compiled decoder ──► Row, or the reason why there is none
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keepline.models.next_app.log import NONE, OPEN, UNLOCK, Row
from keepline.schemas.blocks import EventBlock
from keepline.schemas.catalog import event_type
from keepline.schemas.decode import decode, registers
from keepline.schemas.jit import njit
from keepline.schemas.programs import default_programs
from keepline.schemas.status import OK, Reason

_TYPES = (event_type("AppOpen"), event_type("Unlock"))
_IDS = np.array([event.id for event in _TYPES])
_NUMBERS = np.array(
    [[event.field(name).register for name in ("battery_percent", "charging", "network", "utc_offset_minutes")] for event in _TYPES]
)
_TEXTS = np.array(
    [
        [event.field(name).register for name in ("customer_id", "event_id", "city_hash", "app" if event.name == "AppOpen" else "city_hash")]
        for event in _TYPES
    ]
)
"""Registers by kind of event; an unlock has no app, and its city stands there unread."""


@njit
def _read(
    buffer: Any, offsets: Any, lengths: Any, programs: Any, regs: Any, ids: Any, fields: Any, texts: Any, status: Any, kinds: Any, out: Any
) -> None:
    ri, _, rs, rn = regs
    for i in range(offsets.shape[0]):
        status[i], kind, _ = decode(buffer, offsets[i], offsets[i] + lengths[i], programs, ri, regs[1], rs, rn)
        kinds[i] = -1
        for k in range(2):
            if status[i] == OK and kind == ids[k]:
                kinds[i] = k
                for j in range(4):
                    out[i, j] = -1 if rn[fields[k, j]] else ri[fields[k, j]]
                    out[i, 4 + 2 * j] = rs[texts[k, j], 0]
                    out[i, 5 + 2 * j] = -1 if rn[texts[k, j]] else rs[texts[k, j], 1]


def rows_of(block: EventBlock) -> Iterator[Row | str]:
    """A row for every AppOpen and Unlock of a block, and the code of a reason (jobs/next_app_files.py) for every other line."""
    for line in block.rejected:
        yield line.why.reason.name
    n = len(block)
    status, kinds, columns = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros((n, 12), np.int64)
    _read(block.buffer, block.offsets, block.lengths, default_programs(), registers(), _IDS, _NUMBERS, _TEXTS, status, kinds, columns)
    memory = block.buffer.data

    def text(start: int, length: int) -> str:
        return str(memory[start : start + length], "utf-8", "surrogateescape") if length > 0 else ""

    for time, why, kind, values in zip(block.times.tolist(), status.tolist(), kinds.tolist(), columns.tolist(), strict=True):
        if why != OK:
            yield Reason(why).name
        elif kind < 0:
            yield "OTHER_TYPE"
        else:
            battery, charging, network, offset, *at = values
            user, event_id, city = text(at[0], at[1]), text(at[2], at[3]), text(at[4], at[5])
            app = text(at[6], at[7]) if kind == OPEN else ""
            if kind == OPEN and not app:
                yield "INVALID_FIELD"
                continue
            yield Row(user, event_id, time, UNLOCK if kind else OPEN, app, max(battery, NONE), charging == 1, network, city, offset)
