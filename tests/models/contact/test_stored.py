"""A contact as bytes: back as it was, the same bytes as every build of this version, and a clear word for bytes of another one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest

from keepline.models.contact import stored
from keepline.models.contact.rules import Cap, Escalation, Offer, QuietHours, Rise, Trigger
from keepline.models.contact.state import Contact
from keepline.models.contact.stored import HEAD, ContactStateError, pack, unpack, with_clock
from tests.models.contact.lives import DAY, HOUR, NOON, POLICY, SMS, Life, consent, outcome, record, signal

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


def test_a_contact_comes_back_as_it_was() -> None:
    contact = full()
    assert all(getattr(contact, name) for name in Contact.__dataclass_fields__ if name not in ("ended", "active"))
    assert unpack(pack(contact)) == contact
    assert unpack(pack(replace(contact, ended=True, active=("at_risk",)))) == replace(contact, ended=True, active=("at_risk",))
    assert unpack(pack(Contact("c"))) == Contact("c")


def test_the_head_is_where_the_docstring_says() -> None:
    contact = full()
    contact = replace(
        contact,
        ended=True,
        rest=replace(contact.rest, until=7, mask=2**64 - 1, offer=-1, print=2**32 - 1, refusal=3, marketing=9, profiling=6),
    )
    state = pack(contact)
    assert HEAD.size == 44
    assert (state[0], state[1]) == (1, 1)
    assert state[2:4] == b"\xff\xff"
    assert state[4:8] == b"\xff" * 4
    assert int.from_bytes(state[8:16], "little") == 7
    assert state[16:24] == b"\xff" * 8
    assert tuple(state[24:28]) == (3, 9, 6, 0)
    assert int.from_bytes(state[28:36], "little") == contact.clock == NOON + 2
    assert int.from_bytes(state[36:44], "little") == contact.wake > 0
    assert unpack(with_clock(state, NOON + 99)) == replace(contact, clock=NOON + 99)


def test_bytes_of_every_build_of_version_1_are_read() -> None:
    """Made when version 1 was. A change that does not read them needs a version of its own."""
    folder = Path(__file__).parent
    assert unpack((folder / "state-1.bin").read_bytes()) == full()


@pytest.mark.parametrize("state", [b"", b"\0", b"\x02" + bytes(60), b"\xff" * 60])
def test_another_version_is_refused_with_what_to_do(state: bytes) -> None:
    with pytest.raises(
        ContactStateError, match=r"is of version \d+ \(\d+ bytes\): this build reads versions 1 to 1; run the build that wrote it"
    ):
        unpack(state)


@pytest.mark.parametrize("cut", [1, 20, 43, 44, 45, 200, -1])
def test_damaged_bytes_are_refused(cut: int) -> None:
    with pytest.raises(ContactStateError, match="damaged"):
        unpack(pack(full())[:cut])


def test_an_older_version_is_read_by_its_own_schema_and_the_newest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What adding a field will be: state-2.avsc with a default, and VERSION = 2."""
    old = pack(full())
    newer = json.loads(Path(stored.__file__).with_name("state-1.avsc").read_bytes())
    newer["fields"].insert(3, {"name": "mood", "type": "string", "default": "fine"})
    parsed = {1: stored._schema(1), 2: fastavro.parse_schema(newer)}
    read: list[dict[str, Any]] = []
    reader = fastavro.schemaless_reader

    def reading(*args: Any) -> Any:
        read.append(reader(*args))
        return read[-1]

    monkeypatch.setattr(stored, "VERSION", 2)
    monkeypatch.setattr(stored, "_schema", parsed.__getitem__)
    monkeypatch.setattr(stored.fastavro, "schemaless_reader", reading)
    assert unpack(old) == full()
    assert read[0]["mood"] == "fine"


def test_the_size_is_what_the_docstring_says() -> None:
    life = Life(POLICY)
    life.send(consent(NOON))
    assert life.contact is not None
    assert len(pack(life.contact)) < 120
    life.send(signal(NOON + 1, features={f"a_feature_name_{i}": float(i) for i in range(36)}))
    assert 1024 < len(pack(life.contact)) < 2048
