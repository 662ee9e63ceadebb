"""A contact as bytes: back as it was, the same bytes as every build of this version, and a clear word for bytes of another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest

from keepline.models.contact import snapshot, stored
from keepline.models.contact.course import advance, on_signal
from keepline.models.contact.rest import asleep
from keepline.models.contact.rules import Cap, Escalation, Fall, Level, Offer, QuietHours, Rise, Trigger
from keepline.models.contact.state import Contact
from keepline.models.contact.stored import HEAD, ContactStateError, pack, unpack, with_clock
from tests.models.contact.lives import DAY, HOUR, NOON, POLICY, SMS, Life, alive, clv, consent, outcome, record, signal

RISING = Trigger("rising", Rise("score:churn", 0.9, 2 * DAY))
GIFT = Offer("gift", "A gift ❤", ("EMAIL",), ("overdue",))
FULL = replace(
    POLICY,
    triggers=(*POLICY.triggers, RISING),
    offers=(GIFT, SMS),
    caps=(Cap(5, DAY),),
    quiet=(QuietHours(11 * 60, 13 * 60, ("EMAIL", "CALL")),),
    escalation=Escalation(DAY),
)


def full() -> Contact:
    """A contact with something of everything."""
    life = Life(FULL)
    offered = life.send(signal(NOON - HOUR, features={"a": 0.1, "nan": float("inf"), "é": -0.0}))[0].record["intervention_id"]
    life.send(consent(NOON - 5, zone="UTC"), consent(NOON - 4, "DENIED", "PROFILING", "SMS"), outcome(NOON - 3, offered, "DELIVERED"))
    life.send(
        signal(NOON, active=2, value=0.5), outcome(NOON + 1, offered, "DECLINED"), record("SupportContact", NOON + 2, topic="COMPLAINT")
    )
    assert life.contact is not None
    return life.contact


FALLING = Trigger("falling", Fall("score:clv_bgnbd", 0.9, 9 * DAY))
LEAVING = Trigger("leaving", Level("score:p_alive", below=0.3))
TO_ALL = replace(SMS, triggers=(*SMS.triggers, "leaving"))
OF_SCORES = replace(FULL, triggers=(*FULL.triggers, FALLING, LEAVING), offers=(GIFT, TO_ALL))


def of_scores() -> Contact:
    """A contact with something of everything, of several scores."""
    life = Life(OF_SCORES)
    others = {"clv_bgnbd": clv(80.0), "p_alive": alive(0.25)}
    offered = life.send(signal(NOON - HOUR, active=4, others=others, features={"a": 0.1, "nan": float("inf"), "é": -0.0}))[0]
    life.send(consent(NOON - 5, zone="UTC"), outcome(NOON - 3, offered.record["intervention_id"], "DELIVERED"))
    life.send(signal(NOON, active=2, value=0.5, others=others | {"clv_bgnbd": clv(75.0)}))
    assert life.contact is not None
    return life.contact


def test_a_contact_comes_back_as_it_was() -> None:
    contact, wide = full(), of_scores()
    assert all(getattr(contact, name) for name in Contact._fields if name not in ("ended", "active"))
    assert unpack(pack(contact)) == contact
    assert [(each.source, each.falls, len(each.points)) for each in wide.trails] == [
        ("score:churn", False, 2),
        ("score:clv_bgnbd", True, 2),
    ]
    rested = snapshot.unpack(wide.rows[0].snapshot)
    assert (rested.score, rested.value, rested.scores) == ("p_alive", 0.25, {"churn": 0.9, "clv_bgnbd": 80.0, "p_alive": 0.25})
    assert unpack(pack(wide)) == wide
    assert unpack(pack(contact._replace(ended=True, active=("at_risk",)))) == contact._replace(ended=True, active=("at_risk",))
    assert unpack(pack(Contact("c"))) == Contact("c")


def test_the_head_is_where_the_docstring_says() -> None:
    contact = full()
    contact = contact._replace(
        ended=True,
        rest=contact.rest._replace(until=7, mask=2**64 - 1, offer=-1, print=2**32 - 1, refusal=3, marketing=9, profiling=6),
    )
    state = pack(contact)
    assert HEAD.size == 44
    assert (state[0], state[1]) == (3, 1)
    assert state[2:4] == b"\xff\xff"
    assert state[4:8] == b"\xff" * 4
    assert int.from_bytes(state[8:16], "little") == 7
    assert state[16:24] == b"\xff" * 8
    assert tuple(state[24:28]) == (3, 9, 6, 1)
    assert int.from_bytes(state[28:36], "little") == contact.clock == NOON + 2
    assert int.from_bytes(state[36:44], "little") == contact.wake > 0
    assert unpack(with_clock(state, NOON + 99)) == contact._replace(clock=NOON + 99)


@pytest.mark.parametrize(("version", "made"), [(1, full), (2, of_scores), (3, of_scores)])
def test_bytes_of_every_build_of_a_version_are_read(version: int, made: Callable[[], Contact]) -> None:
    """Made when the version was. A change that does not read them needs a version of its own."""
    state = (Path(__file__).parent / f"state-{version}.bin").read_bytes()
    assert state[0] == version
    assert unpack(state) == made()


def test_a_state_of_version_1_is_one_of_churn_alone() -> None:
    state = (Path(__file__).parent / "state-1.bin").read_bytes()
    found = unpack(state)
    assert {each.source for each in found.trails} == {"score:churn"}
    assert not any(each.falls for each in found.trails)
    snapshots = [snapshot.unpack(each.snapshot) for each in (*found.held, *found.rows)]
    assert len(snapshots) >= 3
    assert {(each.score, tuple(each.scores)) for each in snapshots} == {("churn", ("churn",))}
    assert all(each.scores["churn"] == each.value for each in snapshots)
    assert asleep(state, signal(NOON + 5, active=2, value=0.5), FULL) is None, "it is read in full once, and written as the newest version"
    assert pack(found)[0] == 3
    landed = advance(found, NOON + 15 * DAY, FULL).contact
    assert landed is not None
    assert unpack(pack(landed)) == landed
    assert {tuple(snapshot.unpack(row.snapshot).scores) for row in landed.rows} == {()}


@pytest.mark.parametrize("later", [HOUR, 2 * DAY, 11 * DAY])
def test_a_state_of_version_1_goes_on_as_it_would_have(later: int) -> None:
    """The same outputs as of the contact that it was packed of, whatever comes."""
    old = unpack((Path(__file__).parent / "state-1.bin").read_bytes())
    steps = [on_signal(each, signal(NOON + later, value=0.99, active=3), FULL) for each in (old, full())]
    assert steps[0] == steps[1]
    assert steps[0].outputs


@pytest.mark.parametrize("state", [b"", b"\0", b"\x04" + bytes(60), b"\xff" * 60])
def test_another_version_is_refused_with_what_to_do(state: bytes) -> None:
    """So is a state that a newer build wrote: there is no way back but the build that wrote it."""
    words = r"is of version \d+ \(\d+ bytes\): this build reads versions 1 to 3; run the build that wrote it, or a newer one"
    with pytest.raises(ContactStateError, match=words):
        unpack(state)


@pytest.mark.parametrize("cut", [1, 20, 43, 44, 45, 200, -1])
def test_damaged_bytes_are_refused(cut: int) -> None:
    with pytest.raises(ContactStateError, match="damaged"):
        unpack(pack(full())[:cut])


def test_a_newer_schema_changes_nothing_of_how_an_older_state_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What adding a field will be: state-4.avsc, VERSION = 4, and what makes version 4 of version 3."""
    newer = json.loads(Path(stored.__file__).with_name("state-3.avsc").read_bytes())
    newer["fields"].insert(3, {"name": "mood", "type": "string"})
    parsed = {version: stored._schema(version) for version in (1, 2, 3)} | {4: fastavro.parse_schema(newer)}
    moods: list[dict[str, Any]] = []
    old = (Path(__file__).parent / "state-1.bin").read_bytes(), pack(of_scores())
    monkeypatch.setattr(stored, "VERSION", 4)
    monkeypatch.setattr(stored, "_schema", parsed.__getitem__)
    monkeypatch.setitem(stored._MIGRATED, 3, moods.append)
    assert [unpack(state) for state in old] == [full(), of_scores()]
    assert [("trails" in each, "low" in each) for each in moods] == [(True, False), (False, False)], (
        "each step begins with the plain state of its version"
    )


def test_the_size_is_what_the_docstring_says() -> None:
    life = Life(POLICY)
    life.send(consent(NOON))
    assert life.contact is not None
    assert len(pack(life.contact)) < 120
    life.send(signal(NOON + 1, features={f"a_feature_name_{i}": float(i) for i in range(36)}))
    assert 1024 < len(pack(life.contact)) < 2048
    wide = Life(POLICY)
    features = {f"a_longer_feature_name_{i}": float(i) for i in range(56)}
    wide.send(consent(NOON), signal(NOON + 1, features=features, others={"p_alive": alive(0.2), "clv_bgnbd": clv(80.0)}))
    assert wide.contact is not None
    assert 2048 < len(pack(wide.contact)) < 3072
