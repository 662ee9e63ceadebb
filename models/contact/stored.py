"""A contact as bytes, for a job's state: a version, a head of fixed size, the trails, then Avro by `state-N.avsc`, N being the version.

     0 u8 version   1 u8 flags (1 the contract is over)   2 i16 offer   4 u32 policy   8 i64 rest until   16 u64 levels
    24 u8 refusal   25 u8 marketing   26 u8 profiling     27 u8 trails  28 i64 clock   36 i64 wake
    44 each trail: u8 1 for falls, u8 0, u16 length of the source, u16 points, the source, and of each point i64 time and f64 value
    then Avro

Head and trails are what `rest.asleep` reads, and writes, without decoding the rest. A state of an older version is read by its own
schema, and what it did not know is added (`_MIGRATED`): version 1 knew the score churn alone, and before version 3 trails were Avro too,
and snapshots no bytes of their own. A released file is never changed, and no build reads a newer version.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

from keepline.models.contact.consent import Consent
from keepline.models.contact.snapshot import by_name, written
from keepline.models.contact.state import Contact, Contacted, Cooldown, Joined, Point, Proposal, Rest, Row, Told, Trail
from keepline.schemas.errors import KeeplineError

VERSION = 3
HEAD = struct.Struct("<BBhIqQBBBBqq")
TRAILS_AT, CLOCK_AT = 27, 28
ENDED_FLAG = 1
_TRAIL = struct.Struct("<BxHH")
WITH_TRAILS = 3
"""The first version that has the trails behind its head."""
_CLOCK = struct.Struct("<q")


class ContactStateError(KeeplineError):
    """Bytes that are no contact of a version that this build reads."""


@cache
def _schema(version: int) -> Any:
    return fastavro.parse_schema(json.loads(Path(__file__).with_name(f"state-{version}.avsc").read_bytes()))


def with_clock(state: bytes, clock: int) -> bytes:
    """The same state at a later `now`."""
    return state[:CLOCK_AT] + _CLOCK.pack(clock) + state[CLOCK_AT + _CLOCK.size :]


def trails_of(state: bytes) -> tuple[tuple[Trail, ...], int]:
    """The trails of a state of the newest version, and where its Avro begins."""
    at, found = HEAD.size, []
    for _ in range(state[TRAILS_AT]):
        falls, length, count = _TRAIL.unpack_from(state, at)
        at += _TRAIL.size
        source = state[at : at + length].decode()
        numbers = struct.unpack_from("<" + "qd" * count, state, at + length)
        at += length + 16 * count
        found.append(Trail(source, bool(falls), tuple(map(Point, numbers[::2], numbers[1::2]))))
    return tuple(found), at


def with_trails(state: bytes, trails: tuple[Trail, ...], end: int) -> bytes:
    """The same state with other trails; `end` is where its Avro begins."""
    return b"".join((state[:TRAILS_AT], bytes((len(trails),)), state[CLOCK_AT : HEAD.size], *map(_packed_trail, trails), state[end:]))


def _packed_trail(trail: Trail) -> bytes:
    source, count = trail.source.encode(), len(trail.points)
    numbers = [number for point in trail.points for number in (point.at, point.value)]
    return _TRAIL.pack(trail.falls, len(source), count) + source + struct.pack("<" + "qd" * count, *numbers)


def pack(contact: Contact) -> bytes:
    """A contact as bytes of the newest version."""
    rest = contact.rest
    stream = io.BytesIO()
    stream.write(
        HEAD.pack(
            VERSION, ENDED_FLAG if contact.ended else 0, rest.offer, rest.print, rest.until, rest.mask, rest.refusal, rest.marketing,
            rest.profiling, len(contact.trails), contact.clock, contact.wake,
        )
    )  # fmt: skip
    stream.writelines(map(_packed_trail, contact.trails))
    fastavro.schemaless_writer(stream, _schema(VERSION), _plain(contact))
    return stream.getvalue()


def _plain(contact: Contact) -> dict[str, Any]:
    return {
        "customer_id": contact.customer_id,
        "decisions": contact.decisions,
        "active": contact.active,
        "zone": contact.zone,
        "zone_at": contact.zone_at,
        "complained_at": contact.complained_at,
        "ticket_at": contact.ticket_at,
        "consents": [{"purpose": c.purpose, "channel": c.channel, "status": c.status, "at": c.at} for c in contact.consents],
        "contacts": [{"at": c.at, "channel": c.channel, "intervention_id": c.intervention_id} for c in contact.contacts],
        "cooldowns": [{"kind": c.kind, "until": c.until} for c in contact.cooldowns],
        "told": [{"trigger": t.trigger, "kind": t.kind, "reason": t.reason, "at": t.at} for t in contact.told],
        "held": [_plain_proposal(held) for held in contact.held],
        "rows": [_plain_row(row) for row in contact.rows],
    }


def _plain_proposal(held: Proposal) -> dict[str, Any]:
    return {
        "intervention_id": held.intervention_id,
        "kind": held.kind,
        "offer": held.offer,
        "channel": held.channel,
        "trigger": held.trigger,
        "reason": held.reason,
        "service": held.service,
        "campaign": held.campaign,
        "cooldown_ms": held.cooldown_ms,
        "valid_ms": held.valid_ms,
        "made_at": held.made_at,
        "due": held.due,
        "escalation_of": held.escalation_of,
        "snapshot": held.snapshot,
    }


def _plain_row(row: Row) -> dict[str, Any]:
    return {
        "decision_id": row.decision_id,
        "intervention_id": row.intervention_id,
        "kind": row.kind,
        "channel": row.channel,
        "trigger": row.trigger,
        "programme": row.programme,
        "policy": row.policy,
        "policy_version": row.policy_version,
        "decided_at": row.decided_at,
        "snapshot": row.snapshot,
        "arm": row.arm,
        "service": row.service,
        "escalation": row.escalation,
        "claimed": row.claimed,
        "escalates_at": row.escalates_at,
        "escalated": row.escalated,
        "landed": row.landed,
        "churned": row.churned,
        "outcomes": [{"outcome": each.outcome, "at": each.at} for each in row.outcomes],
    }


def unpack(state: bytes) -> Contact:
    """The contact of bytes that `pack` of this version or an older one made. ContactStateError for others."""
    version = state[0] if state else 0
    if not 1 <= version <= VERSION:
        message = (
            f"the state of a contact is of version {version} ({len(state)} bytes): this build reads versions 1 to {VERSION}; "
            "run the build that wrote it, or a newer one"
        )
        raise ContactStateError(message)
    try:
        _, flags, offer, print_, until, mask, refusal, marketing, profiling, _, clock, wake = HEAD.unpack_from(state)
        trails, at = trails_of(state) if version >= WITH_TRAILS else ((), HEAD.size)
        plain: Any = fastavro.schemaless_reader(io.BytesIO(state[at:]), _schema(version), None)
        for older in range(version, VERSION):
            _MIGRATED[older](plain)
    except Exception as error:  # fastavro raises whatever its reading of damaged bytes ends in
        message = f"the state of a contact is damaged ({len(state)} bytes, version {version}): {error}; restore an earlier checkpoint"
        raise ContactStateError(message) from error
    return Contact(
        customer_id=plain["customer_id"],
        clock=clock,
        wake=wake,
        decisions=plain["decisions"],
        active=tuple(plain["active"]),
        ended=bool(flags & ENDED_FLAG),
        zone=plain["zone"],
        zone_at=plain["zone_at"],
        complained_at=plain["complained_at"],
        ticket_at=plain["ticket_at"],
        consents=tuple(Consent(**each) for each in plain["consents"]),
        contacts=tuple(Contacted(**each) for each in plain["contacts"]),
        cooldowns=tuple(Cooldown(**each) for each in plain["cooldowns"]),
        told=tuple(Told(**each) for each in plain["told"]),
        trails=plain.get("trails", trails),
        held=tuple(Proposal(**each) for each in plain["held"]),
        rows=tuple(_row(each) for each in plain["rows"]),
        rest=Rest(until, mask, offer, refusal, marketing, profiling, print_),
    )


def _from_1(plain: dict[str, Any]) -> None:
    """To version 2: the lows were churn's, kept for rises; each snapshot was of churn, the only score that there was."""
    low = plain.pop("low")
    plain["trails"] = [{"source": "score:churn", "falls": False, "points": low}] if low else []
    for each in (*plain["held"], *plain["rows"]):
        seen = each["snapshot"]
        names, numbers = by_name({} if each.get("landed") else {"churn": seen["value"]})
        each["snapshot"] = seen | {"score": "churn", "score_names": names, "score_values": numbers}


def _from_2(plain: dict[str, Any]) -> None:
    """To version 3: the trails are no Avro any more, and a snapshot is bytes of its own."""
    trails = plain["trails"]
    plain["trails"] = tuple(Trail(each["source"], each["falls"], tuple(Point(**point) for point in each["points"])) for each in trails)
    for each in (*plain["held"], *plain["rows"]):
        each["snapshot"] = written(each["snapshot"])


_MIGRATED: dict[int, Callable[[dict[str, Any]], None]] = {1: _from_1, 2: _from_2}
"""By version: what makes the next version's plain state of it, in place."""


def _row(plain: dict[str, Any]) -> Row:
    return Row(**(plain | {"outcomes": tuple(Joined(**each) for each in plain["outcomes"])}))
