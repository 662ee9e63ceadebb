"""Training rows: from a file's worth of framed events and a list of (customer, time) to a matrix, on the stream's own kernel.

Data passes in two compiled sweeps: `scan` decodes and validates every record; then, customer by customer and in order of
arrival, every sound record is admitted and applied, and rows are read on the way.

A row at T is what the records with event_time ≤ T make, in order of arrival. While a customer's records come without one
later than T, the running state is that row's state. From the first later record on, the row goes on in a copy of the state, which
takes the remaining records up to T alone; with disorder of an hour that is an hour of records, not the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keepline.features.kernel import admit_at, drop, exists, init, read, silent, update_at
from keepline.features.layout import NEVER
from keepline.features.plan import P_SIZE, Plan
from keepline.features.spec import FeatureError
from keepline.features.words import get
from keepline.schemas.catalog import CUSTOMER_ID, EVENT_ID, EVENT_TIME, EVENT_TYPES
from keepline.schemas.decode import check_time, decode, registers
from keepline.schemas.jit import njit
from keepline.schemas.mem import address, prefetch
from keepline.schemas.packed import peek
from keepline.schemas.programs import default_programs
from keepline.schemas.status import DUPLICATE, LATE, OK
from keepline.schemas.text import hash64

if TYPE_CHECKING:
    from collections.abc import Sequence

F64 = NDArray[np.float64]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
DAY_AHEAD = 24 * 3_600_000
BOUNDS = (631_152_000_000, 4_102_444_800_000)  # 1990-01-01 to 2100-01-01, epoch ms
AHEAD = 4
"""How far ahead a record's bytes are fetched into the cache."""
_CONTROL = np.array([event.control for event in EVENT_TYPES], np.uint8)


class EventBatch(NamedTuple):
    """Framed Avro values in order of arrival: value i is `buffer[offsets[i] : offsets[i] + lengths[i]]`."""

    buffer: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[bytes]) -> EventBatch:
        """Pack values that are at hand as bytes."""
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        return cls(np.frombuffer(b"".join(values), np.uint8), np.cumsum(lengths) - lengths, lengths)


class Scan(NamedTuple):
    """What the first sweep found, one entry a record."""

    status: NDArray[np.uint8]  # a code of schemas.status
    field: NDArray[np.int8]  # register of the offending field, or -1
    time: NDArray[np.int64]  # event time, ms
    customer: NDArray[np.int64]  # hash of customer_id
    control: NDArray[np.uint8]  # 1: a control type, which makes no feature


class Groups(NamedTuple):
    """Sound records customer by customer: those of customer `keys[g]` are order[starts[g]:starts[g + 1]], in order of arrival."""

    keys: NDArray[np.int64]  # hashes of customer_id, rising
    order: NDArray[np.int64]
    starts: NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """The matrix (queries × features, float64) and what became of every record (OK, a reason, DUPLICATE or LATE)."""

    x: NDArray[np.float64]
    status: NDArray[np.uint8]
    field: NDArray[np.int8]

    @property
    def duplicates(self) -> int:
        """Records that were duplicates."""
        return int(np.count_nonzero(self.status == DUPLICATE))

    @property
    def late(self) -> int:
        """Records more than the lateness behind their customer's newest."""
        return int(np.count_nonzero(self.status == LATE))

    @property
    def rejected(self) -> int:
        """Records that would be dead letters."""
        return int(np.count_nonzero((self.status != OK) & (self.status < DUPLICATE)))


@njit
def _scan(
    buffer: U8, offsets: I64, lengths: I64, programs: Any, control_of: U8, limits: I64, regs: Any,
    status: U8, field: I8, time: I64, customer: I64, control: U8,
) -> None:  # fmt: skip
    ri, rf, rs, rn = regs
    for i in range(offsets.shape[0]):
        code, kind, bad = decode(buffer, offsets[i], offsets[i] + lengths[i], programs, ri, rf, rs, rn)
        if code == OK:
            code = check_time(ri[EVENT_TIME], limits[0], limits[1], limits[2], limits[3])
            bad = -1 if code == OK else EVENT_TIME
        status[i], field[i] = code, bad
        if code == OK:
            time[i], customer[i], control[i] = ri[EVENT_TIME], ri[CUSTOMER_ID], control_of[kind]


def scan(
    batch: EventBatch,
    *,
    programs: Any = None,
    bounds: tuple[int, int] = BOUNDS,
    wall_clock: int = 0,
) -> Scan:
    """Decode and validate every record. `wall_clock` (epoch ms, 0: none) refuses times over 24 h ahead of it."""
    n = len(batch.offsets)
    found = Scan(np.zeros(n, np.uint8), np.full(n, -1, np.int8), np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.uint8))
    limits = np.array([*bounds, wall_clock, DAY_AHEAD], np.int64)
    _scan(*batch, default_programs() if programs is None else programs, _CONTROL, limits, registers(), *found)  # type: ignore[arg-type]
    return found


@njit
def _count(status: U8, customer: I64, group: I64) -> tuple[I64, I64]:
    """(hashes, records of each) of customers in the order they come; group[i] is the number of sound record i's, else −1.

    An open-addressed table at most half full: sorting the hashes would take five times as long.
    """
    table = np.full((1 << 12, 2), -1, np.int64)
    keys, counts = np.empty(1 << 11, np.int64), np.zeros(1 << 11, np.int64)
    n = 0
    for i in range(customer.shape[0]):
        group[i] = -1
        if status[i] != OK:
            continue
        if n == keys.shape[0]:
            keys, counts = np.append(keys, np.empty_like(keys)), np.append(counts, np.zeros_like(counts))
            table = np.full((2 * table.shape[0], 2), -1, np.int64)
            for number in range(n):
                place = keys[number] & (table.shape[0] - 1)
                while table[place, 1] >= 0:
                    place = (place + 1) & (table.shape[0] - 1)
                table[place, 0], table[place, 1] = keys[number], number
        key = customer[i]
        place = key & (table.shape[0] - 1)
        while table[place, 1] >= 0 and table[place, 0] != key:
            place = (place + 1) & (table.shape[0] - 1)
        number = table[place, 1]
        if number < 0:
            table[place, 0], table[place, 1] = key, n
            keys[n] = key
            number = n
            n += 1
        counts[number] += 1
        group[i] = number
    return keys[:n], counts[:n]


@njit
def _arrange(group: I64, place: I64, order: I64) -> None:
    """Record i goes to the next free place of its group; place[g] is where group g begins."""
    for i in range(group.shape[0]):
        g = group[i]
        if g >= 0:
            order[place[g]] = i
            place[g] += 1


def arrange(found: Scan) -> Groups:
    """Sound records by customer, each customer's in order of arrival."""
    group = np.empty(len(found.status), np.int64)
    keys, counts = _count(found.status, found.customer, group)
    rank = np.argsort(keys)
    starts = np.append(0, np.cumsum(counts[rank]))
    place, order = np.empty(len(keys), np.int64), np.empty(int(starts[-1]), np.int64)
    place[rank] = starts[:-1]
    _arrange(group, place, order)
    return Groups(keys[rank], order, starts)


@njit
def _take(state: int, kind: int, ri: int, rf: int, rn: int, ints: int) -> int:
    """Admit and apply the decoded record. Addresses only: arrays as arguments would double the time."""
    t, id_hash = get(ri, EVENT_TIME), get(ri, EVENT_ID)
    code = admit_at(state, t, id_hash, ints)
    if code == OK:
        update_at(state, kind, t, id_hash, ri, rf, rn, ints)
    return code


@njit
def _row(s32: I32, s64: I64, sf: F64, base: int, at: int, ints: I64, floats: F64, x: F64) -> None:
    """Read a row; defaults where nothing has happened or the silence has dropped the state. Slot 2 of the block is scratch."""
    if not exists(s64, base) or silent(s64, base, at, ints):
        base = 2 * ints[P_SIZE]
        drop(s64, base, ints)
        init(s32, s64, base, at, ints)
    read(s32, s64, sf, base, at, ints, floats, x)


@njit
def _sweep(
    buffer: U8, offsets: I64, lengths: I64, programs: Any, time: I64, control: U8, order: I64, starts: I64,
    at: I64, asked: I64, asked_starts: I64, ints: I64, floats: F64, state: Any, regs: Any, earliest: I64, status: U8, x: F64,
) -> None:  # fmt: skip
    """Customer g has records order[starts[g]:starts[g+1]] and, by rising time, queries asked[asked_starts[g]:asked_starts[g+1]].

    `state` holds three slots: the running state, a row's own copy, scratch. `earliest` is room for one time per record.
    """
    s32, s64, sf = state
    ri, rf, rs, rn = regs
    size = ints[P_SIZE]
    words = size >> 3
    for g in range(starts.shape[0] - 1):
        first, end = starts[g], starts[g + 1]
        q, q_end = asked_starts[g], asked_starts[g + 1]
        drop(s64, 0, ints)
        if q < q_end:
            least = NEVER
            for i in range(end - 1, first - 1, -1):
                if control[order[i]] == 0:
                    least = min(least, time[order[i]])
                earliest[i] = least
        for i in range(first, end):
            record = order[i]
            if i + AHEAD < order.shape[0]:
                coming = address(buffer) + offsets[order[i + AHEAD]]
                prefetch(coming)
                prefetch(coming + 64)
            if control[record]:
                continue
            while q < q_end and at[asked[q]] < time[record]:
                moment = at[asked[q]]
                s64[words : 2 * words] = s64[:words]
                k = i
                while k < end and earliest[k] <= moment:
                    later = order[k]
                    if control[later] == 0 and time[later] <= moment:
                        _, kind, _ = decode(buffer, offsets[later], offsets[later] + lengths[later], programs, ri, rf, rs, rn)
                        _take(address(s64) + size, kind, address(ri), address(rf), address(rn), address(ints))
                    k += 1
                _row(s32, s64, sf, size, moment, ints, floats, x[asked[q]])
                q += 1
            _, kind, _ = decode(buffer, offsets[record], offsets[record] + lengths[record], programs, ri, rf, rs, rn)
            status[record] = _take(address(s64), kind, address(ri), address(rf), address(rn), address(ints))
        while q < q_end:
            _row(s32, s64, sf, 0, at[asked[q]], ints, floats, x[asked[q]])
            q += 1


@njit
def _hashes(buffer: U8, ends: I64, out: I64) -> None:
    start = 0
    for i in range(ends.shape[0]):
        out[i] = np.int64(hash64(buffer, start, ends[i] - start))
        start = ends[i]


def _hash_ids(ids: Sequence[str]) -> NDArray[np.int64]:
    encoded = [text.encode() for text in ids]
    ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
    out = np.empty(len(encoded), np.int64)
    _hashes(np.frombuffer(b"".join(encoded) + bytes(8), np.uint8), ends, out)
    return out


@njit
def _defaults(at: I64, which: I64, ints: I64, floats: F64, state: Any, x: F64) -> None:
    s32, s64, sf = state
    drop(s64, 0, ints)
    for q in which:
        _row(s32, s64, sf, 0, at[q], ints, floats, x[q])


def known_customers(batch: EventBatch, groups: Groups) -> list[str]:
    """Ids of all customers with a sound record, sorted."""
    ids = []
    for record in groups.order[groups.starts[:-1]]:
        start = int(batch.offsets[record])
        customer = peek(batch.buffer[start : start + int(batch.lengths[record])].tobytes())[0]
        ids.append((customer or b"").decode())
    return sorted(ids)


def compute_rows(
    plan: Plan,
    batch: EventBatch,
    customer_ids: Sequence[str],
    at: NDArray[np.int64],
    *,
    programs: Any = None,
    found: Scan | None = None,
    groups: Groups | None = None,
    bounds: tuple[int, int] = BOUNDS,
    wall_clock: int = 0,
) -> Rows:
    """One row per pair (customer_ids[i], at[i], epoch ms), in that order; defaults for customers without events.

    `found` and `groups` save the first sweep and the arranging where they have been made. Statuses are those of the whole input,
    as the stream would give them; `FeatureError` where the two lists differ in length.
    """
    at = np.ascontiguousarray(at, np.int64)
    if len(customer_ids) != len(at):
        msg = f"{len(customer_ids)} customer ids but {len(at)} times were asked for. Give one time for each customer id."
        raise FeatureError(msg)
    tables = default_programs() if programs is None else programs
    if found is None:
        found = scan(batch, programs=tables, bounds=bounds, wall_clock=wall_clock)
    status = found.status.copy()

    keys, order, starts = arrange(found) if groups is None else groups

    wanted = _hash_ids(customer_ids)
    asked = np.lexsort((at, wanted)).astype(np.int64)
    asked_keys = wanted[asked]
    known = np.isin(asked_keys, keys)
    strangers = asked[~known]
    asked, asked_keys = asked[known], asked_keys[known]
    asked_starts = np.append(np.searchsorted(asked_keys, keys), len(asked)).astype(np.int64)

    x = np.zeros((len(at), plan.n_features))
    block = np.zeros(3 * plan.size, np.uint8)
    state = block.view(np.int32), block.view(np.int64), block.view(np.float64)
    _sweep(
        *batch, tables, found.time, found.control, order, starts,
        at, asked, asked_starts, plan.ints, plan.floats, state, registers(), np.empty(len(order), np.int64), status, x,
    )  # fmt: skip
    _defaults(at, strangers, plan.ints, plan.floats, state, x)
    return Rows(x, status, found.field)
