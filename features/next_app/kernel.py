"""The kernel of `next_app`: admit an event, apply it, and make the rows of all candidates at an unlock.

Per event: decode → validate (schemas) → `admit` (duplicate, late) → `update`; at an Unlock then `context` and `candidates`. Control types
never arrive here; any other type counts for duplicates, newest and `now`, as in features/kernel.py. The state is never dropped.

An AppOpen at or after the newest one is in order: it puts its app on screen. If that app was on screen already, the two count once (the
last use moves). Otherwise the open counts, and follows the app that was on screen. One before the newest counts, but follows nothing and
leaves the screen as it is. Frequencies are kept as of the app's last use.

Arguments: `state`, `ri`, `rn`, `rs`, `buf`, `constants`, … are addresses; the forms without `_at` take the state block as int64 and
`base`, and arrays. Nothing raises, nothing is allocated; nothing depends on a clock or on how events are batched.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from keepline.features.aggregators.memory import remember, remembers
from keepline.features.layout import I_LAST_BAND, MAGIC, NONE, W_IDENTITY, W_NEWEST, W_NOW
from keepline.features.next_app.apps import find, keep, name_start
from keepline.features.next_app.constants import C_CONTEXT, C_FREQUENCY, C_HALF_LIFE, C_HOUR, C_TRANSITION
from keepline.features.next_app.counters import (
    add,
    advance,
    byte,
    count,
    counter,
    follow,
    followed,
    followers,
    opens_by_day,
    opens_by_hour,
    set_counter,
    total,
)
from keepline.features.next_app.layout import (
    APPS,
    B_FREQUENCY,
    B_LAST,
    B_LENGTHS,
    B_NAMES,
    B_ROWS,
    BATTERY_FIRST,
    BATTERY_SIZE,
    CITIES,
    CITY_FIRST,
    CITY_SIZE,
    F_BATTERY,
    F_CITY,
    F_FREQUENCY,
    F_HOUR,
    F_NETWORK,
    F_OPENS_7D,
    F_OPENS_24H,
    F_SINCE,
    F_TRANSITION,
    F_WEEKEND,
    FEATURES,
    HOUR_FIRST,
    HOUR_SIZE,
    LATENESS,
    MAX_NAME,
    NETWORK_FIRST,
    NETWORK_SIZE,
    OTHER_CITY,
    ROW,
    SET_ID,
    SIZE,
    STATE_VERSION,
    W_CITIES,
    W_CITY_SEEN,
    W_OPENED,
    W_SCREEN,
    WEEKEND_FIRST,
    WEEKEND_SIZE,
    X_BATTERY,
    X_CITY,
    X_HOUR,
    X_NETWORK,
    X_WEEKEND,
)
from keepline.features.spec import DAY, HOUR
from keepline.features.words import get, get_float, put, put_count, put_float
from keepline.schemas.catalog import event_type
from keepline.schemas.jit import njit
from keepline.schemas.mem import address
from keepline.schemas.status import DUPLICATE, LATE, OK

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

APP_OPEN, UNLOCK = event_type("AppOpen").id, event_type("Unlock").id
_APP = event_type("AppOpen").field("app").register
_BATTERY, _CHARGING, _NETWORK, _CITY, _OFFSET = (
    event_type("Unlock").field(name).register for name in ("battery_percent", "charging", "network", "city_hash", "utc_offset_minutes")
)
_LATER = event_type("AppOpen").field("battery_percent").register - _BATTERY
"""The fields of Unlock stand so many registers later in AppOpen."""
_LAST, _FREQUENCY = B_LAST >> 3, B_FREQUENCY >> 3
_COLUMNS = len(FEATURES)
_CHARGED, _HIGH, _MEDIUM, _LOW, _UNKNOWN = range(5)  # as BATTERY
_MINUTE = 60_000
_SATURDAY = 2  # 1970-01-01 was a Thursday


@njit
def admit_at(state: int, t: int, id_hash: int) -> int:
    """As `admit`."""
    if get(state, W_IDENTITY) == 0:
        return OK
    if remembers(state, id_hash):
        return DUPLICATE
    return LATE if get(state, W_NEWEST) - t > LATENESS else OK


@njit
def init_at(state: int, t: int) -> None:
    """Start a state with its first event at `t`; the bytes are zero, but for `timer_at`."""
    put(state, W_IDENTITY, MAGIC | SET_ID << 16 | STATE_VERSION << 32)
    put(state, W_NEWEST, t)
    put(state, W_NOW, t)
    put_count(state, 4 * I_LAST_BAND, -1)
    put(state, W_OPENED, NONE)


@njit
def _battery(ri: int, rn: int, later: int) -> int:
    """The category of the battery (layout.BATTERY)."""
    percent = get(ri, _BATTERY + later)
    if get(ri, _CHARGING + later) != 0:
        return _CHARGED
    if byte(rn, _BATTERY + later) != 0:
        return _UNKNOWN
    return _HIGH if percent > 50 else _MEDIUM if percent >= 20 else _LOW


@njit
def _weekend(local: int) -> int:
    """1 on a Saturday or Sunday by the local clock (epoch ms of that clock)."""
    return 1 if (local // DAY - _SATURDAY) % 7 < 2 else 0


@njit
def context_at(state: int, event: int, t: int, ri: int, rn: int, out: int) -> None:
    """As `context`."""
    later = _LATER if event == APP_OPEN else 0
    local = t + get(ri, _OFFSET + later) * _MINUTE
    put(out, X_HOUR, local // HOUR % 24)
    put(out, X_WEEKEND, _weekend(local))
    put(out, X_BATTERY, _battery(ri, rn, later))
    put(out, X_NETWORK, min(max(get(ri, _NETWORK + later), 0), NETWORK_SIZE - 1))
    city = 0
    if byte(rn, _CITY + later) == 0:
        city = OTHER_CITY
        hashed = get(ri, _CITY + later)
        for k in range(CITIES):
            if get(state, W_CITIES + k) == hashed:
                city = k + 1
    put(out, X_CITY, city)


@njit
def _see_city(state: int, event: int, t: int, ri: int, rn: int) -> int:
    """The counter of the event's city, which gets a place: a free one, else that of the city seen the longest ago."""
    register = _CITY + (_LATER if event == APP_OPEN else 0)
    if byte(rn, register) != 0:
        return 0
    hashed = get(ri, register)
    oldest = 0
    for k in range(CITIES):
        kept = get(state, W_CITIES + k)
        if kept == hashed:
            put(state, W_CITY_SEEN + k, max(get(state, W_CITY_SEEN + k), t))
            return k + 1
        if kept == 0:
            oldest = k
            break
        if get(state, W_CITY_SEEN + k) < get(state, W_CITY_SEEN + oldest):
            oldest = k
    if get(state, W_CITIES + oldest) != 0:
        for place in range(APPS):
            set_counter(state + B_ROWS + ROW * place, CITY_FIRST + oldest + 1, 0)
    put(state, W_CITIES + oldest, hashed)
    put(state, W_CITY_SEEN + oldest, t)
    return oldest + 1


@njit
def _count(state: int, place: int, t: int, ri: int, rn: int, city: int) -> None:
    """An open of the app at `place`, whose last use is not before `t`."""
    row = state + B_ROWS + ROW * place
    count(row, t, get(state, _LAST + place))
    local = t + get(ri, _OFFSET + _LATER) * _MINUTE
    add(row, HOUR_FIRST, HOUR_SIZE, local // HOUR % 24)
    add(row, WEEKEND_FIRST, WEEKEND_SIZE, _weekend(local))
    add(row, BATTERY_FIRST, BATTERY_SIZE, _battery(ri, rn, _LATER))
    add(row, NETWORK_FIRST, NETWORK_SIZE, min(max(get(ri, _NETWORK + _LATER), 0), NETWORK_SIZE - 1))
    add(row, CITY_FIRST, CITY_SIZE, city)


@njit
def _open(state: int, t: int, ri: int, rn: int, rs: int, buf: int, city: int, half_life: float) -> None:
    in_order = t >= get(state, W_OPENED)
    if in_order:
        put(state, W_OPENED, t)
    name, length = buf + get(rs, 2 * _APP), get(rs, 2 * _APP + 1)
    if length < 1 or length > MAX_NAME:
        if in_order:
            put(state, W_SCREEN, 0)
        return
    place = find(state, get(ri, _APP), name, length)
    if place < 0:
        place = keep(state, get(ri, _APP), name, length, t, get(state, W_NOW), half_life)
    last = get(state, _LAST + place)
    if t > last:
        advance(state + B_ROWS + ROW * place, last, t)
        put_float(state, _FREQUENCY + place, get_float(state, _FREQUENCY + place) * np.exp2((last - t) / half_life))
        put(state, _LAST + place, t)
        last = t
    screen = get(state, W_SCREEN) - 1
    if in_order and place == screen:
        return
    put_float(state, _FREQUENCY + place, get_float(state, _FREQUENCY + place) + np.exp2((t - last) / half_life))
    _count(state, place, t, ri, rn, city)
    if in_order:
        if screen >= 0:
            follow(state + B_ROWS + ROW * screen, place)
        put(state, W_SCREEN, place + 1)


@njit
def update_at(state: int, event: int, t: int, id_hash: int, ri: int, rn: int, rs: int, buf: int, constants: int) -> None:
    """As `update`."""
    if get(state, W_IDENTITY) == 0:
        init_at(state, t)
    remember(state, id_hash)
    put(state, W_NEWEST, max(get(state, W_NEWEST), t))
    put(state, W_NOW, max(get(state, W_NOW), t))
    if event == APP_OPEN:
        city = _see_city(state, event, t, ri, rn)
        _open(state, t, ri, rn, rs, buf, city, get_float(constants, C_HALF_LIFE))
    elif event == UNLOCK:
        _see_city(state, event, t, ri, rn)


@njit
def _affinity(row: int, first: int, size: int, i: int, smoothing: float) -> float:
    """Log of the smoothed share of category `i`; one beyond the group has no count."""
    n = counter(row, first + i) if i < size else 0
    return math.log((n + smoothing / size) / (total(row, first, size) + smoothing))


@njit
def _hour(row: int, hour: int, smoothing: float) -> float:
    near = counter(row, HOUR_FIRST + (hour + 23) % 24) + counter(row, HOUR_FIRST + (hour + 1) % 24)
    weight = (counter(row, HOUR_FIRST + hour) + 0.5 * near) / 2.0
    return math.log((weight + smoothing / HOUR_SIZE) / (total(row, HOUR_FIRST, HOUR_SIZE) + smoothing))


@njit
def opens_at(state: int, now: int, half_life: float) -> float:
    """As `opens`."""
    found = 0.0
    for place in range(APPS):
        if byte(state, B_LENGTHS + place) != 0:
            found += get_float(state, _FREQUENCY + place) * np.exp2((get(state, _LAST + place) - now) / half_life)
    return found


@njit
def candidates_at(state: int, now: int, context: int, constants: int, out: int, places: int) -> int:
    """As `candidates`."""
    half_life, smoothing = get_float(constants, C_HALF_LIFE), get_float(constants, C_FREQUENCY)
    screen = get(state, W_SCREEN) - 1
    # The frequencies first, in the places of the rows' column: each share needs the sum.
    n, kept, sum_frequency = 0, 0, 0.0
    for place in range(APPS):
        if byte(state, B_LENGTHS + place) == 0:
            continue
        frequency = get_float(state, _FREQUENCY + place) * np.exp2((get(state, _LAST + place) - now) / half_life)
        sum_frequency += frequency
        kept += 1
        if place != screen:
            put(places, n, place)
            put_float(out, _COLUMNS * n + F_FREQUENCY, frequency)
            n += 1
    back_off = get_float(constants, C_TRANSITION)
    follows = 0
    if screen >= 0:
        follows = followers(state + B_ROWS + ROW * screen)
    hour_smoothing, smooth = get_float(constants, C_HOUR), get_float(constants, C_CONTEXT)
    first_hour, first_day = (now - DAY) // HOUR, (now - 7 * DAY) // DAY
    for k in range(n):
        place = get(places, k)
        row, x = state + B_ROWS + ROW * place, out + 8 * _COLUMNS * k
        last = get(state, _LAST + place)
        share = (get_float(x, F_FREQUENCY) + smoothing) / (sum_frequency + smoothing * kept)
        follow_count = 0
        if screen >= 0:
            follow_count = followed(state + B_ROWS + ROW * screen, place)
        put_float(x, F_SINCE, math.log1p(max(now - last, 0) / 1000.0))
        put_float(x, F_TRANSITION, math.log((follow_count + back_off * share) / (follows + back_off)))
        put_float(x, F_HOUR, _hour(row, get(context, X_HOUR), hour_smoothing))
        put_float(x, F_OPENS_24H, math.log1p(opens_by_hour(row, last, first_hour)))
        put_float(x, F_OPENS_7D, math.log1p(opens_by_day(row, last, first_day)))
        put_float(x, F_FREQUENCY, math.log(share))
        put_float(x, F_WEEKEND, _affinity(row, WEEKEND_FIRST, WEEKEND_SIZE, get(context, X_WEEKEND), smooth))
        put_float(x, F_BATTERY, _affinity(row, BATTERY_FIRST, BATTERY_SIZE, get(context, X_BATTERY), smooth))
        put_float(x, F_NETWORK, _affinity(row, NETWORK_FIRST, NETWORK_SIZE, get(context, X_NETWORK), smooth))
        put_float(x, F_CITY, _affinity(row, CITY_FIRST, CITY_SIZE, get(context, X_CITY), smooth))
    return n


@njit
def exists(s64: I64, base: int) -> bool:
    """Whether the user has a state."""
    return get(address(s64) + base, W_IDENTITY) != 0


@njit
def drop(s64: I64, base: int) -> None:
    """Forget the user: all bytes zero."""
    for word in range(SIZE >> 3):
        put(address(s64) + base, word, 0)


@njit
def admit(s64: I64, base: int, t: int, id_hash: int) -> int:
    """OK, DUPLICATE or LATE; changes nothing."""
    return admit_at(address(s64) + base, t, id_hash)


@njit
def update(s64: I64, base: int, event: int, t: int, id_hash: int, ri: I64, rn: U8, rs: I64, buf: U8, constants: F64) -> None:
    """Apply one admitted event of type id `event`; starts the state if there is none. `rs` (16 × offset, length) finds texts in `buf`."""
    arguments = address(ri), address(rn), address(rs), address(buf), address(constants)
    update_at(address(s64) + base, event, t, id_hash, *arguments)


@njit
def context(s64: I64, base: int, event: int, t: int, ri: I64, rn: U8, out: I64) -> None:
    """Fill `out` (int64[5]) with the circumstances of an Unlock or AppOpen at `t`: local hour, weekend, battery, network, city."""
    context_at(address(s64) + base, event, t, address(ri), address(rn), address(out))


@njit
def candidates(s64: I64, base: int, now: int, context: I64, constants: F64, out: F64, places: I64) -> int:
    """The rows of all candidates at `now` ≥ the state's `now`, and how many; changes no state.

    `out`: float64[64, 10], a row a candidate in the order of the places (columns: layout.FEATURES); `places`: int64[64], whose they are.
    """
    return candidates_at(address(s64) + base, now, address(context), address(constants), address(out), address(places))


@njit
def opens(s64: I64, base: int, now: int, constants: F64) -> float:
    """The sum of the decayed frequencies of all kept apps at `now`, the one on screen too: how much is known of the user."""
    return opens_at(address(s64) + base, now, get_float(address(constants), C_HALF_LIFE))


@njit
def name_at(s64: I64, base: int, place: int) -> tuple[int, int]:
    """Byte offset in the block and length of the name of the app at a place."""
    state = address(s64) + base
    start = name_start(state, place)
    return base + B_NAMES + start, min(byte(state, B_LENGTHS + place), SIZE - B_NAMES - start)
