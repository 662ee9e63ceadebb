"""The fuzzer's compiled part: makes damaged records, packs them among sound ones, and looks at what the operator made of them.

A case is a function of (seed, its number) alone, whatever was run before: so any case can be made again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keepline.schemas.decode import check_time, decode_at, get_long, same_bytes
from keepline.schemas.jit import njit
from keepline.schemas.mem import (
    address,
    copy_bytes,
    load_i32,
    load_i64,
    load_u8,
    load_u32,
    put_long,
    store_f64,
    store_i32,
    store_i64,
    store_u8,
)
from keepline.schemas.packed import DEAD_LETTERS, IN_HEADER, LATE_EVENTS, NO_TIME, NULL_KEY_FLAG, OUT_HEADER, OVERSIZED_FLAG, TRAILER
from keepline.schemas.status import DUPLICATE, INVALID_FIELD, KEY_MISMATCH, LATE, MALFORMED, OK, OVERSIZED, UNKNOWN_SCHEMA

ROOM = 4096
"""No case is longer."""
FINE = 0
WRONG_STATUS, WRONG_TYPE, WRONG_FIELD, WRONG_TEXT, WRONG_NULL, WRONG_NUMBER = 1, 2, 3, 4, 5, 6
PROBLEMS = {
    WRONG_STATUS: "the status is none of the decoder's",
    WRONG_TYPE: "the event type is out of range",
    WRONG_FIELD: "the field is out of range, or named without being wrong",
    WRONG_TEXT: "a text register points outside of the value",
    WRONG_NULL: "a null register is neither 0 nor 1",
    WRONG_NUMBER: "a sound event has a number that is not finite",
}
_INTERESTING = np.array(
    [0, 1, -1, 2, -2, 63, 64, -64, -65, 127, 128, 8191, 8192, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 2**62, -(2**62),
     2**63 - 1, -(2**63), 631_151_999_999, 631_152_000_000, 4_102_444_799_999, 4_102_444_800_000, 1_893_456_000_000, 262_144, 129],
    np.int64,
)  # fmt: skip
_DOUBLES = np.array([np.nan, np.inf, -np.inf, -0.0, -1.0, 5e-324, 1.7976931348623157e308, -1e-300])
_WITNESS = int.from_bytes(b"witness-", "little")
_BYTES = np.array([0, 1, 2, 3, 4, 0x7F, 0x80, 0x81, 0xC0, 0xC3, 0xED, 0xF4, 0xFE, 0xFF], np.uint8)


@njit(forceinline=True)
def mix(x: Any) -> Any:
    """Splitmix64's finaliser (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit
def draw(dice: Any, n: int) -> int:
    """A number from 0 to n−1; `dice` is uint64[1]."""
    dice[0] += np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mix(dice[0]) >> np.uint64(11)) % np.uint64(n))


@njit
def throw(dice: Any, seed: int, case: int) -> None:
    """Starts the dice of a case."""
    dice[0] = mix(np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) ^ mix(np.uint64(case) + np.uint64(0x632BE59BD9B4E019)))


@njit
def replace(out: int, n: int, start: int, gone: int, source: int, at: int, length: int) -> int:
    """Puts `length` bytes in the place of `gone` bytes at `start`; the new length. Nothing where there is no room."""
    if n - gone + length > ROOM or start + gone > n:
        return n
    step = length - gone
    if step > 0:
        for i in range(n - 1, start + gone - 1, -1):
            store_u8(out, i + step, load_u8(out, i))
    else:
        for i in range(start + gone, n):
            store_u8(out, i + step, load_u8(out, i))
    copy_bytes(out, start, source, at, length)
    return n + step


@njit
def varint_end(out: int, n: int, at: int) -> int:
    """Where the varint at `at` ends, at most `n`."""
    while at < n and load_u8(out, at) >= 128:
        at += 1
    return min(at + 1, n)


@njit
def mutate(dice: Any, data: int, starts: Any, lengths: Any, marks: Any, out: int, scratch: int) -> int:
    """Writes one damaged (or now and then sound) framed value; its length."""
    events = starts.shape[0]
    one = draw(dice, events)
    n = lengths[one]
    copy_bytes(out, 0, data, starts[one], n)
    fields = 0
    while fields < marks.shape[1] and marks[one, fields, 0] >= 0:
        fields += 1
    for _ in range(1 + draw(dice, 3)):
        what = draw(dice, 20)
        at = draw(dice, n + 1)
        field = draw(dice, fields)
        place, kind = min(marks[one, field, 0], n), marks[one, field, 1]
        if what == 0:
            if at < n:
                store_u8(out, at, load_u8(out, at) ^ (1 << draw(dice, 8)))
        elif what == 1:
            if at < n:
                store_u8(out, at, _BYTES[draw(dice, _BYTES.shape[0])])
        elif what == 2:
            store_u8(scratch, 0, draw(dice, 256))
            n = replace(out, n, at, 0, scratch, 0, 1)
        elif what == 3:
            n = replace(out, n, at, min(1 + draw(dice, 4), n - at), scratch, 0, 0)
        elif what == 4:
            n = at
        elif what == 5:
            more = 1 + draw(dice, 12)
            for i in range(more):
                store_u8(scratch, i, draw(dice, 256))
            n = replace(out, n, n, 0, scratch, 0, more)
        elif what in (6, 7, 8):  # a number, a length or a branch that lies
            end = put_long(scratch, 0, _INTERESTING[draw(dice, _INTERESTING.shape[0])])
            n = replace(out, n, place, varint_end(out, n, place) - place, scratch, 0, end)
        elif what == 9:  # a length that is off by a little
            number, end = get_long(out, place, n)
            if end > 0:
                size = put_long(scratch, 0, number + draw(dice, 5) - 2)
                n = replace(out, n, place, end - place, scratch, 0, size)
        elif what == 10:  # the same number in a longer spelling, up to and beyond ten bytes
            end = varint_end(out, n, place)
            if 0 < end <= n and end > place:
                size = copy_bytes(scratch, 0, out, place, end - place)
                more = draw(dice, 11)
                for _grow in range(more):
                    store_u8(scratch, size - 1, load_u8(scratch, size - 1) | 128)
                    store_u8(scratch, size, 0)
                    size += 1
                n = replace(out, n, place, end - place, scratch, 0, size)
        elif what in (11, 12):
            for k in range(fields):
                place = marks[one, (field + k) % fields, 0]
                if marks[one, (field + k) % fields, 1] == 1 and place + 8 <= n:
                    store_f64(out, place, _DOUBLES[draw(dice, _DOUBLES.shape[0])])
                    break
        elif what == 13:  # the head of one event, the tail of another
            two = draw(dice, events)
            cut = draw(dice, lengths[two] + 1)
            n = replace(out, min(at, ROOM - lengths[two]), min(at, n), 0, data, starts[two] + cut, lengths[two] - cut)
        elif what == 14:  # another type's fingerprint
            copy_bytes(out, 0, data, starts[draw(dice, events)], min(n, 10))
        elif what == 15:  # the Confluent header
            for i in range(5):
                store_u8(scratch, i, 0 if i < 4 else draw(dice, 256))
            n = replace(out, n, 0, min(n, 10), scratch, 0, 5)
        elif what == 16:  # random bytes behind a sound header, or from the start
            for i in range(draw(dice, 2) * 10, n):
                store_u8(out, i, draw(dice, 256))
        elif what == 17:
            if kind == 0 and place + 1 < n:  # not UTF-8, or NUL, inside of a text
                store_u8(out, place + 1, _BYTES[draw(dice, _BYTES.shape[0])])
        elif what == 18:
            n = draw(dice, min(n, 12) + 1)
        elif n > at:
            end = min(n - at, 200)
            copy_bytes(scratch, 0, out, at, end)
            n = replace(out, n, at, 0, scratch, 0, end)
    return n


@njit
def check(buf: int, start: int, end: int, image: int, ri: Any, rf: Any, rs: Any, rn: Any, fields: Any) -> Any:
    """Decodes buf[start:end]; (problem, status, type)."""
    for r in range(16):
        ri[r], rf[r], rs[r, 0], rs[r, 1], rn[r] = -77, np.nan, -77, -77, 77
    status, etype, field = decode_at(buf, start, end, image, address(ri), address(rf), address(rs), address(rn))
    if status not in (OK, MALFORMED, UNKNOWN_SCHEMA, INVALID_FIELD):
        return WRONG_STATUS, status, etype
    if not -1 <= etype < fields.shape[0] or (status in (OK, INVALID_FIELD) and etype < 0):
        return WRONG_TYPE, status, etype
    if status in (OK, INVALID_FIELD):
        if not -1 <= field < fields[etype] or (field >= 0) != (status == INVALID_FIELD):
            return WRONG_FIELD, status, etype
        for r in range(fields[etype]):
            if rn[r] > 1:
                return WRONG_NULL, status, etype
            if rs[r, 0] != -77 and (rs[r, 1] < 0 or rs[r, 0] < start or rs[r, 0] + rs[r, 1] > end):
                return WRONG_TEXT, status, etype
            if status == OK and rn[r] == 0 and not np.isfinite(rf[r]):
                return WRONG_NUMBER, status, etype
    return FINE, status, etype


@njit
def derived(value: int, n: int) -> Any:
    """(start, length) of the customer id as the source finds it, (0, 0) where it does not."""
    at = 10 if n >= 10 and load_u8(value, 0) == 0xC3 and load_u8(value, 1) == 1 else 5 if n >= 5 and load_u8(value, 0) == 0 else -1
    if at < 0:
        return 0, 0
    length, at = get_long(value, at, n)
    if at < 0 or length < 0 or length > n - at:
        return 0, 0
    return at, length


@njit
def put_record(out: int, at: int, flags: int, number: int, key: int, key_at: int, key_len: int, value: int, value_len: int) -> int:
    """One PACKED_IN record whose offset is `number`; where it ends."""
    store_i64(out, at, flags)
    store_i64(out, at + 8, number)
    store_i64(out, at + 16, number)
    store_i64(out, at + 24, 0)
    store_i64(out, at + 32, NO_TIME)
    store_i32(out, at + 40, key_len)
    store_i32(out, at + 44, value_len)
    end = copy_bytes(out, at + IN_HEADER, key, key_at, key_len)
    end = copy_bytes(out, end, value, 0, value_len)
    if flags & OVERSIZED_FLAG:
        for i in range(TRAILER):
            store_u8(out, end + i, i)
        end += TRAILER
    return end


@njit
def expected(buf: int, at: int, image: int, regs: Any, bounds: Any, wall: int) -> int:
    """The status that the operator has to find for a packed record, before duplicates and lateness."""
    ri, rf, rs, rn = regs
    if load_u8(buf, at) & OVERSIZED_FLAG:
        return OVERSIZED
    key_len, value_len = load_i32(buf, at + 40), load_i32(buf, at + 44)
    key = at + IN_HEADER
    end = key + key_len + value_len
    status, _, _ = decode_at(buf, key + key_len, end, image, address(ri), address(rf), address(rs), address(rn))
    if status != OK:
        return status
    if not same_bytes(buf, key, key_len, buf, rs[0, 0], rs[0, 1]):
        return KEY_MISMATCH
    return check_time(ri[2], bounds[0], bounds[1], wall, bounds[2])


@njit
def fill(
    seed: int, first: int, cases: int, corpus: Any, guard: int, progress: Any, image: int, regs: Any, fields: Any, bounds: Any, wall: int,
    witness: Any, digits: int, when: int, turn: int, events: int, offs: Any, lens: Any, slots: Any, names: int, scratch_slots: int,
    statuses: Any, space: Any,
) -> Any:  # fmt: skip
    """Makes `cases` cases, decodes each before a page that may not be read, and packs them with a witness behind each two.

    The entries of a batch are case, case, witness, and so on. Answers (problem, case, entries, bytes used). Slots: the witnesses' first,
    then the corpus's customers, then those of whoever else turns up.
    """
    data, starts, lengths, marks = corpus
    ri, rf, rs, rn = regs
    dice = np.zeros(1, np.uint64)
    out, scratch = address(space), address(space) + 2 * ROOM
    n_witness = witness.shape[0]
    entries, used, done = 0, 0, 0
    while done < cases:
        if entries % 3 == 2:
            k = (turn + entries // 3) % n_witness
            number = turn + entries // 3
            value = address(witness) + k * witness.shape[1]
            for i in range(10):
                store_u8(value, digits + 9 - i, 48 + number % 10)
                number //= 10
            put_long(value, when, bounds[3] + (turn + entries // 3) * 10_000)
            offs[entries] = used
            used = put_record(events, used, 0, -1, value, 11, 10, value, witness.shape[1])
            lens[entries], slots[entries] = used - offs[entries], k
            entries += 1
            continue
        case = first + done
        progress[0] = case
        throw(dice, seed, case)
        n = mutate(dice, address(data), starts, lengths, marks, out, scratch)
        copy_bytes(guard, ROOM - n, out, 0, n)
        problem, _, _ = check(guard, ROOM - n, ROOM, image, ri, rf, rs, rn, fields)
        if problem != FINE:
            return problem, case, entries, used
        start, length = derived(out, n)
        luck = draw(dice, 20)
        flags, key = 0, out
        if luck < 3:
            flags = NULL_KEY_FLAG
        elif luck == 3:
            length = 0
        elif luck == 4:  # the key is cut
            length = draw(dice, length + 1)
        elif luck == 5:
            key, start, length = scratch, 0, draw(dice, 200)
            for i in range(length):
                store_u8(scratch, i, draw(dice, 256))
        elif luck == 6:
            one = draw(dice, starts.shape[0])
            key, start, length = address(data), starts[one] + 11, 4
        if draw(dice, 500) == 0:
            flags |= OVERSIZED_FLAG
        offs[entries] = used
        used = put_record(events, used, flags, case, key, start, length, out, n)
        lens[entries] = used - offs[entries]
        slot = -1
        if length == 4 and load_u8(key, start) == 109 and load_u8(key, start + 1) == 45:
            slot = 10 * (np.int64(load_u8(key, start + 2)) - 48) + np.int64(load_u8(key, start + 3)) - 48
        if not 0 <= slot < names:
            slot = names + draw(dice, scratch_slots)
        slots[entries] = n_witness + slot
        statuses[done] = expected(events, offs[entries], image, regs, bounds, wall)
        entries += 1
        done += 1
    return FINE, 0, entries, used


@njit
def place(out: int, total: int, first: int, cases: int, seen: Any, reasons: Any, sound: Any, digest: Any, events: int, offs: Any) -> int:
    """Reads the frames of a run: dead letters and late events by case, the witnesses' frames, signals too, into a digest.

    −1, or where a frame is wrong. A dead letter's value has to be the record's own, byte for byte.
    """
    p = 0
    while p < total:
        size = np.int64(load_u32(out, p))
        key_len, value_len = np.int64(load_i32(out, p + 32)), np.int64(load_i32(out, p + 36))
        if size != OUT_HEADER + key_len + value_len or p + size > total:
            return p
        channel = load_u8(out, p + 4)
        end = p + size
        if DEAD_LETTERS <= channel <= LATE_EVENTS:
            at = p + OUT_HEADER + key_len + 10
            n, at = get_long(out, at, end)
            _, at = get_long(out, at + n, end)
            case, at = get_long(out, at, end)
            _, at = get_long(out, at, end)
            n, at = get_long(out, at, end)
            n, at = get_long(out, at + n, end)
            done = case - first
            if at < 0 or not 0 <= done < seen.shape[0]:
                return p
            entry = done + done // 2
            o = np.int64(offs[entry])
            value = o + IN_HEADER + load_i32(events, o + 40)
            if n != load_i32(events, o + 44) or not same_bytes(out, at, n, events, value, n):
                return p
            seen[done] += 1
            if channel == LATE_EVENTS:
                reasons[done] = LATE
            else:
                _, at = get_long(out, at + n, end)
                n, at = get_long(out, at, end)
                reason, at = get_long(out, at + n, end)
                if n != 32 or at < 0:
                    return p
                reasons[done] = reason + 1
        elif load_i64(out, p + OUT_HEADER) == _WITNESS:
            h = digest[0]
            for i in range(8, size):
                h = (h ^ np.uint64(load_u8(out, p + i))) * np.uint64(0x100000001B3)
            digest[0] = h
            digest[1] += np.uint64(1)
        else:
            sound[0] += 1
        p = end
    return -1


@njit
def judge(statuses: Any, seen: Any, reasons: Any) -> int:
    """The first case that has not exactly the dead letter it should have; −1 if there is none."""
    for i in range(statuses.shape[0]):
        if statuses[i] != OK:
            if seen[i] != 1 or reasons[i] != statuses[i]:
                return i
        elif seen[i] > 1 or (seen[i] == 1 and reasons[i] != LATE):
            return i
    return -1


__all__ = ["DUPLICATE", "PROBLEMS", "ROOM", "fill", "judge", "mutate", "place", "throw"]
