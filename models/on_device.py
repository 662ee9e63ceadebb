"""The next app on a phone without a network: one file that needs Python's standard library alone, and a twin for apps in other languages.

    FILE of `keepline next-app export` ──► Phone ── open(…), unlock(…) ──► ranked apps
                                             │ └── save ──► FILE, at most 16 KiB
                                             └── every event ──► Buffer ──► JSON Lines ──► `keepline next-app sync`

The profile is kept up to date by the rules of the stream (features/next_app), so that it is the stream's but for the weights, which are
quantised to int8. docs/on-device.md describes both files byte by byte.

Example:
    phone = Phone.load("c-1.klna", Buffer("c-1.jsonl"))
    phone.open("org.mail", 1_767_225_600_000, network="WIFI")
    ranked = phone.unlock(1_767_225_660_000, battery_percent=40)  # [("org.maps", 0.41), …]
    phone.save("c-1.klna")
"""

from __future__ import annotations

import json
import math
import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

MAGIC, VERSION, LIMIT = b"KLNA", 1, 16_384
"""The file begins with magic and version; it is never longer than the limit."""
NONE = -(1 << 63)
"""No such time."""
HOUR, DAY = 3_600_000, 86_400_000
NETWORKS = ("UNKNOWN", "WIFI", "G2", "G3", "G4", "G5")
FEATURES = (
    *("log_seconds_since_use", "log_transition", "log_hour", "log_opens_24h", "log_opens_7d", "log_frequency"),
    *("log_weekend", "log_battery", "log_network", "log_city"),
)
"""In the order of the weights."""
APPS, SUCCESSORS, CITIES, MAX_NAME, ALL_NAMES = 64, 8, 4, 127, 1424
LATENESS = 90 * DAY
GROUPS = {"hour": (0, 24), "weekend": (24, 2), "battery": (26, 5), "network": (31, 6), "city": (37, 5)}
"""First counter and size of each group of an app's profile."""
SHARE = 65_535
"""The prior's shares are written in so many parts."""
TIMES = (631_152_000_000, 4_102_444_800_000)
"""1990 to 2099, the bounds of the stream, epoch ms."""
LEVELS = 2
"""Arrays of weights at most."""

_HEAD = struct.Struct("<4sHHII")
_FIXED = struct.Struct("<16sQIHHqqq6d4q4q8B")
_SCALE = struct.Struct("<d10b")
_PRIOR = struct.Struct("<BH")
_APP = struct.Struct("<BBqd25s8H21s8s8s")
MOST_PRIOR = 32
_SET, _SET_VERSION = 3, 1
_FARTHEST = 1 << 52
_STEPS, _LEAST = 65_536, -1000.0
_AGAIN = "Export it again with `keepline next-app export`."


class DeviceFileError(ValueError):
    """A file that is not what it should be; the message says where, what was expected and what to do."""


class Weights(NamedTuple):
    """The linear model: coefficient j is the sum of scale · whole[j] over the arrays, the second of which holds what the first left out."""

    scales: tuple[float, ...]
    whole: tuple[tuple[int, ...], ...]
    """int8."""

    @property
    def coefficients(self) -> list[float]:
        """By feature, in the order of FEATURES."""
        return [math.fsum(scale * row[j] for scale, row in zip(self.scales, self.whole, strict=True)) for j in range(len(FEATURES))]


class Model(NamedTuple):
    """What does not change on the phone."""

    model_id: str
    version: int
    weights: Weights
    half_life: float  # ms
    smoothing: tuple[float, float, float, float]  # of frequency, transition, hour and context
    prior_opens: float
    prior: tuple[tuple[str, int], ...]
    """Apps by share of opens of all users, the largest first, in parts of 1 / SHARE."""


class App:
    """A kept app; fields as in the state (features/next_app/layout.py)."""

    __slots__ = ("days", "frequency", "hours", "last", "name", "profile", "successors")

    def __init__(self, name: str, last: int) -> None:
        self.name, self.last, self.frequency = name, last, 0.0
        self.hours, self.days, self.profile = [0] * 25, [0] * 8, [0] * 42
        self.successors: list[tuple[int, int]] = []
        """(place, count), the one that followed last first."""


class Circumstances(NamedTuple):
    """The category of each circumstance, by group of the profile; a city that is not kept has number 5."""

    hour: int
    weekend: int
    battery: int
    network: int
    city: int


class Phone:
    """One user's profile and model. Times are epoch ms; what an event says of the phone are the fields of Unlock in schemas/events."""

    def __init__(self, customer_id: str, model: Model, buffer: Buffer | None = None) -> None:
        """A user of whom nothing is known. With a buffer every event is kept for `sync`."""
        self.customer_id, self.model = customer_id, model
        self.device, self.applied = bytes(16), 0
        """Up to which number of which device the profile holds the buffered events; zeros: none."""
        self.now, self.newest, self.opened = NONE, NONE, NONE
        self.screen = -1
        """The place of the app on screen, if it is kept."""
        self.cities: list[tuple[int, int]] = [(0, 0)] * CITIES  # hash, last seen
        self.places: list[App | None] = [None] * APPS
        self._buffer: Buffer | None = None
        self._coefficients = model.weights.coefficients
        if buffer is not None:
            self._attach(buffer)

    @classmethod
    def load(cls, path: str | os.PathLike[str], buffer: Buffer | None = None) -> Phone:
        """The phone in a file, with the events of the buffer that it does not hold yet. DeviceFileError, OSError."""
        return cls.from_bytes(Path(path).read_bytes(), buffer, where=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, buffer: Buffer | None = None, *, where: str = "the file") -> Phone:
        """As `load`; `where` names the bytes in errors."""
        phone = _Reader(data, where).phone()
        if buffer is not None:
            phone._attach(buffer)
        return phone

    def _attach(self, buffer: Buffer) -> None:
        buffer.belong_to(self.customer_id)
        known = self.applied if self.device == bytes.fromhex(buffer.device) else 0
        if known > buffer.last:
            msg = (
                f"{buffer.path}: its last event is number {buffer.last}, but the profile holds {known}: an older copy of the buffer. "
                "Call `renew` on it, and export the profile again"
            )
            raise DeviceFileError(msg)
        self._buffer = buffer
        for event in buffer.pending:
            if event["sequence"] > known:
                self._apply(event)
        self._mark()

    def _mark(self) -> None:
        """All events of the buffer are in the profile."""
        if self._buffer is not None:
            self.device, self.applied = bytes.fromhex(self._buffer.device), self._buffer.last

    @property
    def apps(self) -> list[str]:
        """The kept apps, in the order of their places."""
        return [app.name for app in self.places if app is not None]

    def open(self, app: str, time: int, **circumstances: Any) -> None:
        """An app came to the foreground. ValueError for what the stream would refuse."""
        self._take({"type": "AppOpen", "event_time": time, "app": app} | circumstances)

    def unlock(self, time: int, *, top: int = 5, **circumstances: Any) -> list[tuple[str, float]]:
        """The phone was unlocked: apps and their probabilities, the largest first, at most `top`. ValueError as `open`."""
        event = {"type": "Unlock", "event_time": time} | circumstances
        self._take(event)
        return self.predict(event, top)

    def predict(self, unlock: dict[str, Any], top: int = 5) -> list[tuple[str, float]]:
        """The ranking in the circumstances of an unlock (fields as in schemas/events); nothing changes."""
        now = max(self.now, unlock["event_time"])
        kept, candidates = self._opens(now), self._rows(now, self._circumstances(unlock))
        opens = math.fsum(kept.values())
        share = self.model.prior_opens / (self.model.prior_opens + opens) if candidates else 1.0
        ranked = [(self._name(place), (1.0 - share) * value) for place, value in _softmax(candidates, self._coefficients)]
        of = {name: i for i, (name, _) in enumerate(ranked)}
        screen = None if self.screen < 0 else self._name(self.screen)
        prior = [(name, parts) for name, parts in self.model.prior if name != screen]
        parts_of_all = sum(parts for _, parts in prior)
        for name, parts in prior:
            value = share * parts / parts_of_all if parts_of_all else 0.0
            if name in of:
                ranked[of[name]] = (name, ranked[of[name]][1] + value)
            else:
                ranked.append((name, value))
        return sorted(ranked, key=lambda each: -each[1])[:top]  # stable: ties stay in the order of places, then of the prior

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file in the place of an older one, whole or not at all."""
        target = Path(path)
        unfinished = target.with_name(target.name + ".partial")
        _write(unfinished, self.to_bytes())
        unfinished.replace(target)

    def to_bytes(self) -> bytes:
        """The file. DeviceFileError where it would be longer than the limit."""
        self._mark()
        model, customer, model_id = self.model, self.customer_id.encode(), self.model.model_id.encode()
        sizes = [len(FEATURES), len(model.weights.scales), len(model.prior), len(self.apps), len(customer), len(model_id)]
        constants = [model.half_life, *model.smoothing, model.prior_opens]
        cities = [*(hashed for hashed, _ in self.cities), *(seen for _, seen in self.cities)]
        times = [self.now, self.newest, self.opened]
        head = [self.device, self.applied, model.version, _SET, _SET_VERSION]
        parts = [_FIXED.pack(*head, *times, *constants, *cities, self.screen + 1, *sizes, 0), customer, model_id]
        parts += [_SCALE.pack(scale, *row) for scale, row in zip(model.weights.scales, model.weights.whole, strict=True)]
        for name, share in model.prior:
            parts += [_PRIOR.pack(len(name.encode()), share), name.encode()]
        for place, app in enumerate(self.places):
            if app is not None:
                parts += _packed(place, app)
        body = b"".join(parts)
        length = _HEAD.size + len(body)
        if length > LIMIT:
            msg = f"the file would have {length} bytes, expected at most {LIMIT}: use a model with shorter names in its prior"
            raise DeviceFileError(msg)
        return _HEAD.pack(MAGIC, VERSION, 0, length, zlib.crc32(body)) + body

    # The rules of features/next_app/kernel.py.

    def _take(self, event: dict[str, Any]) -> None:
        _check(event)
        if self._buffer is not None:
            self._buffer.add(self.customer_id, event)
        self._apply(event)
        self._mark()

    def _apply(self, event: dict[str, Any]) -> None:
        t = event["event_time"]
        if self.newest - t > LATENESS:
            return
        self.newest, self.now = max(self.newest, t), max(self.now, t)
        self._see_city(event.get("city_hash"), t)
        if event["type"] == "AppOpen":
            self._open(event["app"], t, self._circumstances(event))

    def _see_city(self, name: str | None, t: int) -> None:
        if name is None:
            return
        hashed = hash64(name)
        oldest = 0
        for k, (kept, seen) in enumerate(self.cities):
            if kept == hashed:
                self.cities[k] = (kept, max(seen, t))
                return
            if kept == 0:
                oldest = k
                break
            if seen < self.cities[oldest][1]:
                oldest = k
        if self.cities[oldest][0] != 0:
            for app in self.places:
                if app is not None:
                    app.profile[GROUPS["city"][0] + oldest + 1] = 0
        self.cities[oldest] = (hashed, t)

    def _circumstances(self, event: dict[str, Any]) -> Circumstances:
        local = event["event_time"] + event.get("utc_offset_minutes", 0) * 60_000
        percent = event.get("battery_percent")
        if event.get("charging", False):
            battery = 0
        elif percent is None:
            battery = 4
        else:
            battery = 1 if percent > 50 else 2 if percent >= 20 else 3
        name, city = event.get("city_hash"), 0
        if name is not None:
            hashes = [hashed for hashed, _ in self.cities]
            city = 1 + hashes.index(hash64(name)) if hash64(name) in hashes else CITIES + 1
        return Circumstances(
            hour=local // HOUR % 24,
            weekend=int((local // DAY - 2) % 7 < 2),  # 1970-01-01 was a Thursday
            battery=battery,
            network=NETWORKS.index(event.get("network", "UNKNOWN")),
            city=city,
        )

    def _open(self, name: str, t: int, circumstances: Circumstances) -> None:
        in_order = t >= self.opened
        if in_order:
            self.opened = t
        if not 1 <= len(name.encode()) <= MAX_NAME:
            if in_order:
                self.screen = -1
            return
        place = next((i for i, app in enumerate(self.places) if app is not None and app.name == name), -1)
        if place < 0:
            place = self._keep(name, t)
        app, half_life = self._app(place), self.model.half_life
        if t > app.last:
            _advance(app, t)
            app.frequency *= math.exp2((app.last - t) / half_life)
            app.last = t
        if in_order and place == self.screen:
            return
        app.frequency += math.exp2((t - app.last) / half_life)
        _count(app, t, circumstances)
        if in_order:
            if self.screen >= 0:
                _follow(self._app(self.screen), place)
            self.screen = place

    def _keep(self, name: str, t: int) -> int:
        """The lowest free place, after those of the least use have gone until there is one, and room for the name."""
        while None not in self.places or sum(len(each.encode()) for each in self.apps) + len(name.encode()) > ALL_NAMES:
            self._evict(min((i for i, app in enumerate(self.places) if app is not None), key=self._usefulness))
        place = self.places.index(None)
        self.places[place] = App(name, t)
        return place

    def _usefulness(self, place: int) -> tuple[int, int, int]:
        app = self._app(place)
        log = math.log2(app.frequency) - (self.now - app.last) / self.model.half_life if app.frequency > 0 else _LEAST
        return math.floor(min(max(log, _LEAST), -_LEAST) * _STEPS + 0.5), app.last, place

    def _evict(self, place: int) -> None:
        self.places[place] = None
        for app in self.places:
            if app is not None:
                app.successors = [(other, count) for other, count in app.successors if other != place]
        if self.screen == place:
            self.screen = -1

    def _app(self, place: int) -> App:
        app = self.places[place]
        assert app is not None  # noqa: S101  only places of kept apps are passed around
        return app

    def _name(self, place: int) -> str:
        return self._app(place).name

    def _opens(self, now: int) -> dict[int, float]:
        """The decayed frequency of each kept app, by place."""
        half_life = self.model.half_life
        return {i: app.frequency * math.exp2((app.last - now) / half_life) for i, app in enumerate(self.places) if app is not None}

    def _rows(self, now: int, where: Circumstances) -> list[tuple[int, list[float]]]:
        """(place, features) of all kept apps but the one on screen."""
        frequency_smoothing, transition, hour, context = self.model.smoothing
        opens = self._opens(now)
        every = math.fsum(opens.values()) + frequency_smoothing * len(opens)
        followed = dict(self._app(self.screen).successors) if self.screen >= 0 else {}
        follows = sum(followed.values())
        rows = []
        for place, frequency in opens.items():
            if place == self.screen:
                continue
            app, share = self._app(place), (frequency + frequency_smoothing) / every
            hours = app.profile[:24]
            near = (hours[where.hour] + 0.5 * (hours[where.hour - 1] + hours[(where.hour + 1) % 24])) / 2.0
            row = [
                math.log1p(max(now - app.last, 0) / 1000.0),
                math.log((followed.get(place, 0) + transition * share) / (follows + transition)),
                math.log((near + hour / 24) / (sum(hours) + hour)),
                math.log1p(_opens_since(app.hours, app.last // HOUR, (now - DAY) // HOUR)),
                math.log1p(_opens_since(app.days, app.last // DAY, (now - 7 * DAY) // DAY)),
                math.log(share),
            ]
            for name in ("weekend", "battery", "network", "city"):
                first, size = GROUPS[name]
                counters, i = app.profile[first : first + size], getattr(where, name)
                row.append(math.log(((counters[i] if i < size else 0) + context / size) / (sum(counters) + context)))
            rows.append((place, row))
        return rows


class Buffer:
    """Events that the stream has not seen, numbered by device, as JSON Lines; every event is on the disk before it counts.

    The file must not be in a backup of the phone: restored, it would give numbers again that are taken (`acknowledge` and `sync` find that
    out, `renew` puts it right). A last line that was cut off by a crash is dropped.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the file, or begins one as a new device. DeviceFileError for what is no buffer, OSError."""
        self.path = Path(path)
        self.device, self.customer_id, self.acknowledged = secrets.token_hex(16), "", 0
        self.pending: list[dict[str, Any]] = []
        """Events that are not acknowledged, in order."""
        self._whole = True  # False where an event was not written to its end
        if self.path.exists():
            self._read()
        else:
            self._rewrite()

    @property
    def last(self) -> int:
        """The number of the last event; 0 if there was none."""
        return self.pending[-1]["sequence"] if self.pending else self.acknowledged

    def belong_to(self, customer_id: str) -> None:
        """Bind the buffer to a user. DeviceFileError if it is another's."""
        if self.customer_id not in ("", customer_id):
            msg = f"{self.path}: the buffer is another user's. Sync it, then begin one of this user's own in another file"
            raise DeviceFileError(msg)
        if not self.customer_id:
            self.customer_id = customer_id
            self._rewrite()

    def add(self, customer_id: str, event: dict[str, Any]) -> None:
        """Number an event and append it. OSError where that fails: then there is no such event."""
        self.belong_to(customer_id)
        line = {"device": self.device, "sequence": self.last + 1, "customer_id": customer_id} | event
        if not self._whole:
            self._rewrite()
        self._whole = False
        with self.path.open("ab") as file:
            file.write(_line(line))
            file.flush()
            os.fsync(file.fileno())
        self._whole = True
        self.pending.append(line)

    def acknowledge(self, sequence: int) -> None:
        """Forget the events up to this number, which `sync` has told. DeviceFileError if so many were never made."""
        if sequence > self.last:
            msg = (
                f"{self.path}: {sequence} events are in the stream, but the last here is number {self.last}: an older copy of the buffer, "
                "or another device's. Call `renew`, so that the events here are numbered anew"
            )
            raise DeviceFileError(msg)
        self.acknowledged = max(sequence, self.acknowledged)
        self.pending = [event for event in self.pending if event["sequence"] > sequence]
        self._rewrite()

    def renew(self) -> None:
        """Go on as a new device: the events that are left are numbered from 1. One of them that was synced before is sent again."""
        self.device, self.acknowledged = secrets.token_hex(16), 0
        self.pending = [event | {"device": self.device, "sequence": i} for i, event in enumerate(self.pending, 1)]
        self._rewrite()

    def _rewrite(self) -> None:
        head = {"device": self.device, "customer_id": self.customer_id, "acknowledged": self.acknowledged}
        unfinished = self.path.with_name(self.path.name + ".partial")
        _write(unfinished, b"".join(map(_line, [head, *self.pending])))
        unfinished.replace(self.path)
        self._whole = True

    def _read(self) -> None:
        raw = self.path.read_bytes()
        lines, torn = raw.split(b"\n")[:-1], not raw.endswith(b"\n")
        try:
            head, *events = map(json.loads, lines)
            self.device, self.customer_id, self.acknowledged = head["device"], head["customer_id"], head["acknowledged"]
            sound = len(bytes.fromhex(self.device)) == 16 and type(self.customer_id) is str and type(self.acknowledged) is int
            for number, event in enumerate(events, self.acknowledged + 1):
                sound = sound and (event["device"], event["sequence"]) == (self.device, number)
                _check(event)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            sound = False
        if not sound:
            msg = (
                f"{self.path} is no buffer of events: expected a line with device, customer_id and acknowledged, then one event a line, "
                "numbered without gaps. Keep the file for `keepline next-app sync`, which sends what can be read, and begin another"
            )
            raise DeviceFileError(msg)
        self.pending = events
        if torn:
            self._rewrite()


class _Reader:
    """The parts of a file, each checked, so that whatever the bytes are the phone is sound or there is a DeviceFileError."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data, self._at, self._where = data, 0, where

    def _refuse(self, what: str) -> NoReturn:
        msg = f"{self._where}: {what}. {_AGAIN}"
        raise DeviceFileError(msg)

    def _check(self, sound: bool, at: int, what: str, found: Any, expected: str) -> None:
        if not sound:
            self._refuse(f"byte {at}: {what} is {found!r:.60}, expected {expected}")

    def _take(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self._bytes(form.size))

    def _bytes(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            self._refuse(
                f"it ends at byte {len(self._data)}, expected {self._at + count} or more: the file was cut, or its counts are wrong"
            )
        self._at += count
        return found

    def _text(self, count: int, what: str) -> str:
        at = self._at
        raw = self._bytes(count)
        try:
            found = raw.decode()
        except UnicodeDecodeError:
            found = ""
        # What it says is not told: names of apps are in no message.
        self._check(bool(found) and "\0" not in found, at, what, f"{count} bytes", "text of at least 1 byte in UTF-8 without NUL")
        return found

    def phone(self) -> Phone:
        """The phone; DeviceFileError."""
        if not self._data.startswith(MAGIC):
            self._refuse(f"it begins with {self._data[:4]!r}, expected {MAGIC!r}: it is no file of a phone's profile")
        _, version, flags, length, crc = self._take(_HEAD)
        if version != VERSION:
            self._refuse(f"byte 4: format version {version}, expected {VERSION}: this program and the one that wrote it differ in age")
        self._check(flags == 0, 6, "what is reserved", flags, "0")
        self._check(length == len(self._data) <= LIMIT, 8, "the length", length, f"{len(self._data)}, the file's own, at most {LIMIT}")
        body = zlib.crc32(self._data[_HEAD.size :])
        self._check(crc == body, 12, "the CRC-32", f"{crc:08x}", f"{body:08x}, that of the bytes after it: the file was damaged")
        return self._body()

    def _body(self) -> Phone:
        found = self._take(_FIXED)
        device, applied, model_version, feature_set, set_version, now, newest, opened = found[:8]
        constants, hashes, seen = found[8:14], found[14:18], found[18:22]
        screen, features, levels, priors, apps, customer_length, id_length, reserved = found[22:]
        self._check((feature_set, set_version) == (_SET, _SET_VERSION), 44, "the feature set", (feature_set, set_version), "3, version 1")
        self._check(
            opened <= newest <= now,
            48,
            "the times",
            (now, newest, opened),
            "now, newest event, newest AppOpen: none later than the one before",
        )
        self._check(all(t == NONE or abs(t) <= _FARTHEST for t in (now, newest, opened)), 48, "a time", (now, newest, opened), "epoch ms")
        self._check(all(1e-9 <= value <= 1e15 for value in constants), 72, "a constant", constants, "numbers between 1e-9 and 1e15")
        self._check(all(abs(t) <= _FARTHEST for t in seen), 152, "when a city was seen", seen, "epoch ms")
        kept = [hashed for hashed in hashes if hashed]
        self._check(
            hashes == (*kept, *[0] * (CITIES - len(kept))) and len(set(kept)) == len(kept),
            120,
            "the cities",
            hashes,
            "each once, then zeros",
        )
        self._check(features == len(FEATURES), 185, "the number of features", features, str(len(FEATURES)))
        self._check(1 <= levels <= LEVELS, 186, "the number of arrays of weights", levels, f"1 to {LEVELS}")
        self._check(priors <= MOST_PRIOR, 187, "the number of apps in the prior", priors, f"at most {MOST_PRIOR}")
        self._check(apps <= APPS, 188, "the number of apps", apps, f"at most {APPS}")
        self._check(reserved == 0, 191, "what is reserved", reserved, "0")
        customer_id, model_id = self._text(customer_length, "the user's id"), self._text(id_length, "the model's id")
        weights, prior = self._weights(levels), self._prior(priors)
        half_life, frequency, transition, hour, context, prior_opens = constants
        smoothing = (frequency, transition, hour, context)
        phone = Phone(customer_id, Model(model_id, model_version, weights, half_life, smoothing, prior_opens, prior))
        phone.device, phone.applied, phone.now, phone.newest, phone.opened = device, applied, now, newest, opened
        phone.cities = list(zip(hashes, seen, strict=True))
        self._apps(phone, apps)
        self._check(self._at == len(self._data), self._at, "what follows the last app", len(self._data) - self._at, "no bytes")
        self._check(
            screen == 0 or (screen <= APPS and phone.places[screen - 1] is not None),
            184,
            "the app on screen",
            screen,
            "0 or a kept app's place plus 1",
        )
        phone.screen = screen - 1
        return phone

    def _weights(self, levels: int) -> Weights:
        at = self._at
        rows = [self._take(_SCALE) for _ in range(levels)]
        scales = tuple(row[0] for row in rows)
        self._check(all(0 <= scale <= 1e6 for scale in scales), at, "a scale of the weights", scales, "a number between 0 and 1e6")
        return Weights(scales, tuple(row[1:] for row in rows))

    def _prior(self, count: int) -> tuple[tuple[str, int], ...]:
        found: dict[str, int] = {}
        for _ in range(count):
            at = self._at
            length, share = self._take(_PRIOR)
            self._check(length <= MAX_NAME, at, "the length of a name", length, f"at most {MAX_NAME}")
            name = self._text(length, "the name of an app of the prior")
            self._check(name not in found, at, "an app of the prior", "a repeat", "each app once")
            self._check(not found or share <= min(found.values()), at, "a share of the prior", share, "none larger than the one before")
            found[name] = share
        return tuple(found.items())

    def _apps(self, phone: Phone, count: int) -> None:
        before, bytes_of_names, names = -1, 0, set[str]()
        for _ in range(count):
            at = self._at
            place, length, last, frequency, hours, *rest = self._take(_APP)
            days, (profile, successors, counts) = rest[:8], rest[8:]
            self._check(before < place < APPS, at, "the place of an app", place, f"above {before} and below {APPS}")
            self._check(1 <= length <= MAX_NAME, at + 1, "the length of a name", length, f"1 to {MAX_NAME}")
            self._check(-_FARTHEST <= last <= phone.now, at + 2, "the last use of an app", last, "epoch ms, not after the newest event")
            self._check(0 <= frequency <= 1e15, at + 10, "the frequency of an app", frequency, "a number of opens")
            app = App(self._text(length, "the name of an app"), last)
            before, bytes_of_names = place, bytes_of_names + length
            self._check(app.name not in names, at, "the name of an app", "a repeat", "each app once")
            names.add(app.name)
            app.frequency, app.hours, app.days = frequency, list(hours), days
            app.profile = [byte >> shift & 15 for byte in profile for shift in (0, 4)]
            app.successors = [(other, n) for other, n in zip(successors, counts, strict=True) if n]
            phone.places[place] = app
        self._check(bytes_of_names <= ALL_NAMES, self._at, "the sum of the names' bytes", bytes_of_names, f"at most {ALL_NAMES}")
        for kept in phone.places:
            followers = [] if kept is None else [other for other, _ in kept.successors]
            sound = len(set(followers)) == len(followers) and all(other < APPS and phone.places[other] is not None for other in followers)
            self._check(sound, self._at, "a successor of an app", followers, "places of kept apps, each once")


def quantised(coefficients: Sequence[float], levels: int = LEVELS) -> Weights:
    """int8 weights: each array rounds what those before it left out, in steps of 1 / 127 of the largest that is left."""
    left, scales, whole = list(coefficients), [], []
    for _ in range(levels):
        scale = max(map(abs, left)) / 127
        row = [round(value / scale) if scale else 0 for value in left]
        left = [value - scale * n for value, n in zip(left, row, strict=True)]
        scales.append(scale)
        whole.append(tuple(row))
    return Weights(tuple(scales), tuple(whole))


def hash64(text: str) -> int:
    """The hash by which the stream knows cities (schemas/text.py), as a signed number."""
    data, limit = text.encode(), (1 << 64) - 1
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - 8, 8)]
    if len(data) >= 8:
        words.append(int.from_bytes(data[-8:], "little"))
    elif len(data) >= 4:
        words.append(int.from_bytes(data[:4] + data[-4:], "little"))
    elif data:
        words.append(data[0] | data[len(data) >> 1] << 8 | data[-1] << 16 | 0x0101010101000000)
    h = 0x9E3779B97F4A7C15 ^ len(data) * 0xFF51AFD7ED558CCD & limit
    for word in [*words, 0]:
        h = (h ^ word) * 0xD6E8FEB86659FD93 & limit
        h = (h ^ h >> 32) * 0xFF51AFD7ED558CCD & limit
        h ^= h >> 32
    h = h or 1
    return h - (1 << 64) if h >> 63 else h


def _softmax(candidates: list[tuple[int, list[float]]], coefficients: list[float]) -> Iterator[tuple[int, float]]:
    """(place, probability) of each candidate."""
    z = [math.fsum(w * x for w, x in zip(coefficients, row, strict=True)) for _, row in candidates]
    largest = max(z, default=0.0)
    parts = [math.exp(value - largest) for value in z]
    whole = math.fsum(parts)
    for (place, _), part in zip(candidates, parts, strict=True):
        yield place, part / whole


def _advance(app: App, t: int) -> None:
    """Empty the buckets that begin after the last use and not after `t`."""
    for counts, length in ((app.hours, HOUR), (app.days, DAY)):
        newest, size = t // length, len(counts)
        for back in range(min(newest - app.last // length, size)):
            counts[(newest - back) % size] = 0


def _count(app: App, t: int, circumstances: Circumstances) -> None:
    """Count an open at `t`, not after the last use."""
    for counts, length, most in ((app.hours, HOUR, 255), (app.days, DAY, 65_535)):
        bucket, size = t // length, len(counts)
        if bucket > app.last // length - size:
            counts[bucket % size] = min(counts[bucket % size] + 1, most)
    for name, (first, size) in GROUPS.items():
        at = first + getattr(circumstances, name)
        if app.profile[at] == 15:
            app.profile[first : first + size] = [n >> 1 for n in app.profile[first : first + size]]
        app.profile[at] += 1


def _follow(app: App, place: int) -> None:
    """The app at `place` followed: it comes to the front; of eight, the one with the least count, the longest ago, makes room."""
    known = dict(app.successors)
    if known.get(place) == 255:
        known = {other: (n + 1) >> 1 for other, n in known.items()}
    elif place not in known and len(known) == SUCCESSORS:
        least = min(known.values())
        del known[[other for other, n in known.items() if n == least][-1]]
    app.successors = [(place, known.pop(place, 0) + 1), *known.items()]


def _opens_since(counts: Sequence[int], newest: int, first: int) -> int:
    """Opens in the buckets from `first` to `newest`, that of the last use."""
    return sum(counts[(newest - back) % len(counts)] for back in range(min(newest - first + 1, len(counts))))


def _packed(place: int, app: App) -> Iterable[bytes]:
    name = app.name.encode()
    profile = bytes(low | high << 4 for low, high in zip(app.profile[::2], app.profile[1::2], strict=True))
    successors, counts = (bytes(column).ljust(SUCCESSORS, b"\0") for column in list(zip(*app.successors, strict=True)) or ((), ()))
    yield _APP.pack(place, len(name), app.last, app.frequency, bytes(app.hours), *app.days, profile, successors, counts)
    yield name


def _whole(value: Any) -> bool:
    return type(value) is int and -(1 << 31) <= value < 1 << 31


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "battery_percent": (lambda value: value is None or _whole(value), "a whole number or None"),
    "charging": (lambda value: type(value) is bool, "True or False"),
    "network": (lambda value: value in NETWORKS, f"one of {', '.join(NETWORKS)}"),
    "city_hash": (lambda value: value is None or _sound(value), "text in UTF-8 without NUL, or None"),
    "utc_offset_minutes": (_whole, "a whole number"),
}
_OTHERS = ("device", "sequence", "customer_id", "type", "event_time", "app")


def _sound(value: Any) -> bool:
    try:
        return type(value) is str and b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _check(event: dict[str, Any]) -> None:
    """ValueError for an event that the stream would refuse."""
    if event["type"] not in ("AppOpen", "Unlock"):
        msg = f"type is {event['type']!r:.40}: expected AppOpen or Unlock"
        raise ValueError(msg)
    time = event["event_time"]
    if type(time) is not int or not TIMES[0] <= time < TIMES[1]:
        msg = f"event_time is {time!r:.40}: expected epoch milliseconds from 1990 to 2099; set the phone's clock"
        raise ValueError(msg)
    if event["type"] == "AppOpen" and not _sound(event["app"]):
        msg = "app is no name: expected text in UTF-8 without NUL"
        raise ValueError(msg)
    for name, value in event.items():
        if name not in _FIELDS and name not in _OTHERS:
            msg = f"unknown field {name!r:.40}: expected one of {', '.join(_FIELDS)}"
            raise ValueError(msg)
        if name in _FIELDS and not _FIELDS[name][0](value):
            msg = f"{name} is {value!r:.40}: expected {_FIELDS[name][1]}"
            raise ValueError(msg)


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write(path: Path, data: bytes) -> None:
    """All of it, on the disk, readable by this user alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
