"""Telemetry of a small crowd, made to hold everything a live run meets, and the same on every machine (seeded).

Records come in order of arrival, each with the partition it goes to. Per customer they are out of order by less than the
bound of disorder; some come twice, some months late, some are no events at all. A clock customer in every partition keeps
sending through the silences, so that ticks of the silent ones fall due there, and ends it: the last record of every partition
is the clock's, at one time, so that the last watermark is the same however the partitions were read.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import Any

from keepline.schemas.encode import Ok, encode

HOUR, DAY = 3_600_000, 86_400_000
START = 1_741_564_800_000
"""2025-03-10T00:00:00Z."""
JITTER = 40 * 60_000
"""Disorder of one customer's records, well within the default bound of an hour."""
CONTROL = ("Consent", "Outcome", "Erasure")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """One Kafka record. `event` is what replay gets for it (None: nothing, a file cannot hold it).

    `reason` is its dead letter's; "" for a record that is none.
    """

    partition: int
    key: bytes | None
    value: bytes | None
    event: Event | None = None
    reason: str = ""


def partition_of(key: bytes, partitions: int) -> int:
    """Where a key goes; not Kafka's own rule, which is none of the job's business."""
    return zlib.crc32(key) % partitions


def sent(event: Event, partitions: int, *, keyed: bool = True, partition: int | None = None) -> Sent:
    """An event as its producer sends it."""
    framed = encode(event)
    assert isinstance(framed, Ok), framed
    key = event["customer_id"].encode()
    place = partition_of(key, partitions) if partition is None else partition
    return Sent(place, key if keyed else None, framed.value, event)


class Crowd:
    """Makes the records. `customers` is their number, `partitions` the topic's."""

    def __init__(self, seed: int, customers: int, partitions: int = 1) -> None:
        self._draw = random.Random(seed)
        self._names = [f"c{number:03d}" for number in range(customers)]
        self.partitions = partitions
        self._count = 0
        self._recent: dict[str, list[Event]] = {name: [] for name in self._names}

    def active(self, begin: int, days: float, per_day: int, late_behind: int = 0) -> list[Sent]:
        """Days of use, `per_day` events of all customers together; with `late_behind`, some are that much older, and so late."""
        draw, made = self._draw, []
        for _ in range(int(days * per_day)):
            arrival = begin + int(draw.random() * days * DAY)
            # Squared: a few customers make most of the events, many make one a week.
            name = self._names[int(draw.random() ** 2 * len(self._names))]
            made.append((arrival, self._event(name, arrival - int(draw.random() * JITTER))))
        made.sort(key=lambda item: item[0])
        out: list[Sent] = []
        for arrival, event in made:
            out.append(sent(event, self.partitions, keyed=draw.random() > 0.05))
            # A control record that comes again, or months late, is out of order by more than the bound: it is none of these.
            seen = self._recent[event["customer_id"]]
            if event["type"] not in CONTROL:
                seen.append(event)
            # Old times come right behind a fresh event of the same customer, so that no tick of silence lies between them: an event
            # that is behind a tick by more than the bound of disorder is where live and replay may differ.
            if seen and draw.random() < 0.03:
                # One of the last few is a duplicate; one further back than 32 is not, and counts.
                out.append(sent(draw.choice(seen[-5:] if draw.random() < 0.7 else seen[:1]), self.partitions))
            if late_behind and draw.random() < 0.1:
                late = self._event(event["customer_id"], arrival - late_behind)
                out += [sent(late, self.partitions)] if late["type"] not in CONTROL else []
        return _with_clock(out, begin, days, self.partitions)

    def silent(self, begin: int, days: float) -> list[Sent]:
        """Days in which only the clocks send."""
        return _with_clock([], begin, days, self.partitions)

    def _event(self, name: str, time: int) -> Event:
        draw = self._draw
        self._count += 1
        head: Event = {"customer_id": name, "event_id": f"e{self._count}", "event_time": time}
        kind = draw.choices(
            ["Call", "DataSession", "Message", "SupportContact", "Bill", "Payment", "Subscription", "Other", "Control"],
            [30, 20, 15, 12, 6, 5, 4, 5, 3],
        )[0]
        if kind == "Call":
            outcome = draw.choice(["COMPLETED", "COMPLETED", "DROPPED", "FAILED"])
            direction = draw.choice(["OUTGOING", "INCOMING"])
            return {"type": kind, **head, "duration_s": draw.random() * 1800, "outcome": outcome, "direction": direction}
        if kind == "DataSession":
            return {"type": kind, **head, "megabytes": draw.random() * 300, "network": draw.choice(["WIFI", "G4", "G5"])}
        if kind == "SupportContact":
            topic = draw.choice(["QUESTION", "COMPLAINT", "CANCELLATION"])
            return {"type": kind, **head, "topic": topic, "resolved": draw.choice([None, True, False])}
        if kind == "Bill":
            due = time + draw.randrange(1, 20) * DAY
            return {"type": kind, **head, "bill_id": f"b{draw.randrange(9)}", "amount": round(draw.random() * 120, 2), "due_time": due}
        if kind == "Payment":
            return {"type": kind, **head, "bill_id": draw.choice([None, f"b{draw.randrange(9)}"]), "amount": 50.0}
        if kind == "Subscription":
            started = time - draw.randrange(900) * DAY
            rest = {"started_time": started, "contract_months": draw.choice([1, 12, 24]), "ended": draw.random() < 0.2}
            internet = draw.choice(["NONE", "DSL", "FIBER", "MOBILE"])
            return {"type": kind, **head, "plan": "gross ß", "monthly_charge": draw.random() * 90, "internet": internet, **rest}
        if kind == "Other":
            return draw.choice([
                {"type": "Purchase", **head, "order_id": "o", "amount": -3.5 if self._count % 4 == 0 else float(self._count % 70)},
                {"type": "PageView", **head, "page": "/plans"},
                {"type": "PromotionResponse", **head, "promotion_id": "p", "response": "OPENED"},
                {"type": "Unlock", **head, "battery_percent": 40},
                {"type": "AppOpen", **head, "app": "mail"},
            ])  # fmt: skip
        if kind == "Control":
            channel = draw.choice(["ALL", "ALL", "SMS", "PUSH"])
            zone = draw.choice([None, "Europe/Athens", "America/New_York", "no zone"])
            granted = {"type": "Consent", **head, "purpose": "MARKETING", "status": "GRANTED", "channel": channel, "time_zone": zone}
            outcome = {"type": "Outcome", **head, "intervention_id": "0" * 32, "outcome": "ACCEPTED"}
            refused = granted | {"purpose": draw.choice(["MARKETING", "PROFILING"]), "status": draw.choice(["DENIED", "REVOKED"])}
            erasure = {"type": "Erasure", **head, "request_id": f"r{self._count}"}
            return draw.choice([granted] * 8 + [refused] * 3 + [outcome] * 3 + [erasure])
        return {"type": "Message", **head}


def _clock(partition: int, time: int, partitions: int) -> Sent:
    event = {"type": "Message", "customer_id": f"clock-{partition}", "event_id": f"t{time}", "event_time": time}
    return sent(event, partitions, partition=partition)


def _with_clock(records: list[Sent], begin: int, days: float, partitions: int) -> list[Sent]:
    """The clocks' records in between, four a day."""
    ticks = int(days * 4)
    out: list[Sent] = []
    for tick in range(ticks):
        time = begin + tick * DAY // 4 + 1
        out += [_clock(partition, time, partitions) for partition in range(partitions)]
        out += records[tick * len(records) // ticks : (tick + 1) * len(records) // ticks]
    return out


def clock(time: int) -> Sent:
    """A record of the one partition's clock."""
    return _clock(0, time, 1)


def closing(records: list[Sent], partitions: int) -> list[Sent]:
    """The last record of every partition: hours after everything else, and not on the hour, so that it moves every watermark."""
    last = max(record.event["event_time"] for record in records if record.event)
    return [_clock(partition, last // HOUR * HOUR + 5 * HOUR + 1234, partitions) for partition in range(partitions)]


def whole_history(seed: int, customers: int, partitions: int, per_day: int, silence: int = 96) -> list[Sent]:
    """Ten days of use, four silent, three of use, a long silence, two of use in which what is months old turns up, a silent week."""
    crowd = Crowd(seed, customers, partitions)
    records = crowd.active(START, 10, per_day) + crowd.silent(START + 10 * DAY, 4) + crowd.active(START + 14 * DAY, 3, per_day)
    records += crowd.silent(START + 17 * DAY, silence)
    records += crowd.active(START + (17 + silence) * DAY, 2, per_day, late_behind=(silence + 4) * DAY)
    records += crowd.silent(START + (19 + silence) * DAY, 7)
    return records + closing(records, partitions)


def no_events(partitions: int) -> list[Sent]:
    """Records that are dead letters, one of each kind and a few odd ones. Those that a file can hold carry their event."""
    # The oldest time of all: that of a dead letter moves event time too, and a replay does not know of those that no file can hold.
    call = {"type": "Call", "customer_id": "c000", "event_id": "bad", "event_time": START, "duration_s": 5.0}
    sound = sent(call, partitions)
    assert sound.value is not None
    value = sound.value

    def raw(key: bytes | None, data: bytes | None, reason: str) -> Sent:
        return Sent(partition_of(key or b"", partitions), key, data, None, reason)

    def wrong(reason: str, **fields: Any) -> Sent:
        record = sent(call | fields, partitions)
        return Sent(record.partition, record.key, record.value, record.event, reason)

    return [
        raw(b"c001", b"", "MALFORMED"),
        raw(b"c001", None, "MALFORMED"),
        raw(None, b"not Avro at all", "MALFORMED"),
        raw(b"\xff\xfe not UTF-8", b"\xc3\x01", "MALFORMED"),
        raw(b"c000", value[:-3], "MALFORMED"),
        raw(b"c000", value + b"\0", "MALFORMED"),
        raw(b"c002", b"\xc3\x01" + b"\x11" * 8 + value[10:], "UNKNOWN_SCHEMA"),
        raw(b"c002", b"\0\0\0\0\x07" + value[10:], "UNKNOWN_SCHEMA"),
        raw(b"c003", value, "KEY_MISMATCH"),
        raw(b"k" * 100_000, value, "KEY_MISMATCH"),
        raw(b"c000", value + b"x" * 300_000, "OVERSIZED"),
        raw(b"c000", encoded(call | {"event_time": 2_000_000_000_000_0}), "OUT_OF_BOUNDS_TIME"),
        wrong("INVALID_FIELD", duration_s=-1.0),
        wrong("INVALID_FIELD", event_id="nul \0"),
        wrong("OUT_OF_BOUNDS_TIME", event_time=START // 1000),
        wrong("OUT_OF_BOUNDS_TIME", event_time=0),
    ]


def encoded(event: Event) -> bytes:
    framed = encode(event)
    assert isinstance(framed, Ok), framed
    return framed.value


def strewn(records: list[Sent], among: list[Sent], seed: int) -> list[Sent]:
    """Some records put at random places among others, not before the first nor after the last hundred."""
    draw, out = random.Random(seed), list(among)
    for record in records:
        out.insert(draw.randrange(1, len(out) - 100), record)
    return out
