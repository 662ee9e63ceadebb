"""The two files of a phone: the format of docs/on-device.md, read here a second time from the page, and the buffer of events."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from keepline.models.on_device import DAY, Buffer, DeviceFileError, Model, Phone, quantised
from tests.conftest import ROOT
from tests.models.next_app.phones import START

GOLDEN = Path(__file__).parent / "golden" / "phone-1.klna"
PAGE = ROOT / "docs" / "on-device.md"


def made(buffer: Buffer | None = None) -> Phone:
    """A phone whose decayed frequencies are exact in every libm: half-lives pass between opens, whole ones."""
    weights = quantised([-0.42, 0.81, 0.37, 0.24, 0.11, 0.33, 0.06, 0.09, 0.04, 0.12])
    prior = (("org.chat", 30_000), ("org.mail", 20_000), ("karte", 9_000), ("ü", 4_000), ("news", 2_000), ("clock", 535))
    phone = Phone("c-1001", Model("next-app", 7, weights, float(DAY), (0.1, 1.0, 2.0, 2.0), 5.0, prior), buffer)
    for i, app in enumerate(("org.mail", "karte", "org.mail", "karte", "bank", "ü" * 9, "org.mail")):
        where = {"battery_percent": 10 * i, "charging": i == 3, "network": ("WIFI", "G4")[i % 2], "city_hash": f"city{i % 3}"}
        phone.open(app, START + i * DAY, utc_offset_minutes=60, **where)
    return phone


ASKED: dict[str, Any] = {"type": "Unlock", "event_time": START + 7 * DAY, "network": "WIFI", "city_hash": "city1", "utc_offset_minutes": 60}


def test_the_format_is_the_golden_file_s() -> None:
    """A change of the format changes this file: then it needs a new version, and readers of the old one."""
    assert made().to_bytes() == GOLDEN.read_bytes()


def test_the_golden_file_is_read() -> None:
    phone = Phone.load(GOLDEN)
    assert (phone.customer_id, phone.model.model_id, phone.model.version) == ("c-1001", "next-app", 7)
    assert phone.apps == ["org.mail", "karte", "bank", "ü" * 9]
    ranked = phone.predict(ASKED)
    known = [("org.chat", 0.55), ("karte", 0.285), ("ü", 0.073), ("news", 0.037), ("ü" * 9, 0.028)]
    assert [(app, round(p, 3)) for app, p in ranked] == known
    assert ranked == made().predict(ASKED)


def fields(section: str) -> list[tuple[int, str, int, str]]:
    """(offset, type, how many, name) of a table of the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"### {section}\n")[1].split("\n### ")[0].split("\n## ")[0]
    found = re.findall(r"^\| (\d+) \| ([a-z]\d*)(?: × (\d+))? \| `(\w+)`", text, re.MULTILINE)
    assert found
    return [(int(at), kind, int(count or 1), name) for at, kind, count, name in found]


CODES = {"u8": "B", "i8": "b", "u16": "H", "u32": "I", "u64": "Q", "i64": "q", "f64": "d"}


def take(data: bytes, at: int, section: str) -> tuple[dict[str, Any], int]:
    """The fields of one table at a place of the file, and where it ends."""
    out, end = {}, at
    for offset, kind, count, name in fields(section):
        assert at + offset == end, f"{section}: {name} is said to begin at {offset}"
        values = struct.unpack_from(f"<{count}{CODES[kind]}", data, end)
        out[name] = values[0] if count == 1 else values
        end += struct.calcsize(f"<{count}{CODES[kind]}")
    return out, end


def test_the_page_says_where_every_byte_is() -> None:
    data, phone = GOLDEN.read_bytes(), made()
    head, at = take(data, 0, "Head")
    assert bytes(head["magic"]) == b"KLNA"
    assert (head["version"], head["flags"], head["length"], head["crc"]) == (1, 0, len(data), zlib.crc32(data[16:]))
    fixed, at = take(data, at, "User and model")
    assert (fixed["now"], fixed["newest"], fixed["opened"], fixed["screen"]) == (phone.now, phone.newest, phone.opened, phone.screen + 1)
    assert (fixed["half_life"], fixed["prior_opens"], fixed["model_version"]) == (DAY, 5.0, 7)
    assert list(zip(fixed["city"], fixed["city_seen"], strict=True)) == phone.cities
    customer, at = data[at : at + fixed["customer_length"]], at + fixed["customer_length"]
    model_id, at = data[at : at + fixed["model_length"]], at + fixed["model_length"]
    assert (customer, model_id) == (b"c-1001", b"next-app")
    coefficients = [0.0] * fixed["features"]
    for _ in range(fixed["arrays"]):
        array, at = take(data, at, "Weights")
        coefficients = [total + array["scale"] * whole for total, whole in zip(coefficients, array["whole"], strict=True)]
    assert coefficients == pytest.approx(phone.model.weights.coefficients)
    for name, share in phone.model.prior:
        app, at = take(data, at, "Prior")
        assert (data[at : at + app["name_length"]].decode(), app["share"]) == (name, share)
        at += app["name_length"]
    for _ in range(fixed["apps"]):
        app, at = take(data, at, "Apps")
        kept = phone.places[app["place"]]
        assert kept is not None
        assert (data[at : at + app["name_length"]].decode(), app["last"], app["frequency"]) == (kept.name, kept.last, kept.frequency)
        assert (list(app["hours"]), list(app["days"])) == (kept.hours, kept.days)
        assert [byte >> 4 * half & 15 for byte in app["profile"] for half in (0, 1)] == kept.profile
        pairs = zip(app["successor"], app["successor_count"], strict=True)
        assert [(place, count) for place, count in pairs if count] == kept.successors
        at += app["name_length"]
    assert at == len(data)


def test_the_buffer_keeps_every_event(tmp_path: Path) -> None:
    """Numbered from 1, on the disk at once, by a device that nobody chose."""
    buffer = Buffer(tmp_path / "b.jsonl")
    phone = made(buffer)
    head, *lines = map(json.loads, (tmp_path / "b.jsonl").read_text().splitlines())
    assert head == {"device": buffer.device, "customer_id": "c-1001", "acknowledged": 0}
    assert [(line["device"], line["sequence"]) for line in lines] == [(buffer.device, i) for i in range(1, 8)]
    assert lines[0] == {
        "device": buffer.device, "sequence": 1, "customer_id": "c-1001", "type": "AppOpen", "event_time": START, "app": "org.mail",
        "utc_offset_minutes": 60, "battery_percent": 0, "charging": False, "network": "WIFI", "city_hash": "city0",
    }  # fmt: skip
    assert (phone.device.hex(), phone.applied) == (buffer.device, 7)
    assert Buffer(tmp_path / "b.jsonl").pending == lines
    assert Buffer(tmp_path / "other.jsonl").device != buffer.device
    assert (tmp_path / "b.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_phone_that_was_not_saved_catches_up(tmp_path: Path) -> None:
    """Killed between two saves: what the buffer has and the file has not is applied again, and nothing twice."""
    path = tmp_path / "c.klna"
    made().save(path)
    phone = Phone.load(path, Buffer(tmp_path / "b.jsonl"))
    for i in range(10):
        phone.open(f"app{i % 3}", phone.now + 1000)
        if i == 4:
            phone.save(path)
    assert Phone.load(path).now < phone.now
    again = Phone.load(path, Buffer(tmp_path / "b.jsonl"))
    assert again.to_bytes() == phone.to_bytes()
    assert Phone.from_bytes(again.to_bytes(), Buffer(tmp_path / "b.jsonl")).to_bytes() == phone.to_bytes()


def test_a_new_export_gets_what_was_not_synced(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "b.jsonl")
    phone = Phone.from_bytes(made().to_bytes(), buffer)
    for i in range(6):
        phone.open(f"app{i % 3}", phone.now + 1000)
    buffer.acknowledge(4)
    fresh = made()
    for i in range(4):
        fresh.open(f"app{i % 3}", fresh.now + 1000)
    again = Phone.from_bytes(fresh.to_bytes(), Buffer(tmp_path / "b.jsonl"))
    assert again.to_bytes() == phone.to_bytes()


def test_acknowledged_events_go_and_numbers_go_on(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "b.jsonl")
    phone = made(buffer)
    buffer.acknowledge(5)
    assert [event["sequence"] for event in buffer.pending] == [6, 7]
    buffer.acknowledge(3)
    assert (buffer.acknowledged, len(buffer.pending)) == (5, 2)
    buffer.acknowledge(7)
    phone.unlock(phone.now + 1)
    assert [event["sequence"] for event in Buffer(tmp_path / "b.jsonl").pending] == [8]
    with pytest.raises(DeviceFileError, match=r"9 events are in the stream, but the last here is number 8.*Call `renew`"):
        buffer.acknowledge(9)
    old = buffer.device
    buffer.renew()
    profile = phone.to_bytes()
    assert Phone.from_bytes(profile, Buffer(tmp_path / "b.jsonl")).to_bytes() == profile, "nothing is applied twice"
    assert buffer.device != old
    assert [(event["device"], event["sequence"]) for event in Buffer(tmp_path / "b.jsonl").pending] == [(buffer.device, 1)]


def test_a_line_that_a_crash_cut_off_is_dropped(tmp_path: Path) -> None:
    """At every byte of the last line."""
    path = tmp_path / "b.jsonl"
    made(Buffer(path))
    whole = path.read_bytes()
    for cut in range(whole[:-1].rindex(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:cut])
        buffer = Buffer(path)
        assert buffer.last == 6, cut
        buffer.add("c-1001", {"type": "Unlock", "event_time": START})
        assert [event["sequence"] for event in Buffer(path).pending] == list(range(1, 8))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that could not be written never was: the profile does not hold it, and its number is the next one's."""
    path = tmp_path / "b.jsonl"
    phone = made(Buffer(path))
    before = phone.to_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                phone.unlock(phone.now + 1)
    assert phone.to_bytes() == before
    phone.open("after", phone.now + 2)
    assert [event["sequence"] for event in Buffer(path).pending] == list(range(1, 9))
    assert Buffer(path).pending[-1]["app"] == "after"


def test_what_is_no_buffer_of_this_user(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    phone = made(Buffer(path))
    sound = path.read_text()
    other = Phone("c-2", phone.model)
    with pytest.raises(DeviceFileError, match="another user's"):
        Phone.from_bytes(other.to_bytes(), Buffer(path))
    for wrong in (
        "",
        "{}\n",
        "[1]\n",
        '{"device": 1}\n',
        sound.replace('"sequence":3', '"sequence":4'),
        sound.replace("AppOpen", "Call"),
        "x",
    ):
        path.write_text(wrong)
        with pytest.raises(DeviceFileError, match="is no buffer of events: expected a line with device"):
            Buffer(path)
        assert path.read_text() == wrong, "what was there stays"
    path.write_text(sound)
    older = sound.splitlines(keepends=True)
    path.write_text("".join(older[:4]))
    with pytest.raises(DeviceFileError, match="its last event is number 3, but the profile holds 7: an older copy"):
        Phone.from_bytes(phone.to_bytes(), Buffer(path))
