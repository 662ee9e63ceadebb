"""Every release and every state version has a committed savepoint, and each folder holds what its facts say.

What is missing is made with `python -m tests.savepoints` by the version that stores states so; tests/whole restores all of them.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from keepline.features.layout import MAGIC
from keepline.features.layouts import FOLDER as LAYOUTS
from keepline.features.sets import feature_set
from keepline.jobs.stack.java import ROOT
from keepline.models.contact import stored
from keepline.operators.parts import TAIL
from keepline.operators.spec import HOUR_MS
from tests.savepoints.committed import CLV_MODEL, POLICY

SAVEPOINTS = sorted(Path(__file__).parent.glob("churn-*"))
HOW = "make it with `python -m tests.savepoints churn-v… --release …` and commit the folder"


def facts(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "facts.json").read_text(encoding="utf-8")))


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").open(encoding="utf-8")]


def known_at(folder: Path, before: int) -> set[str]:
    """The customers that have a state after so many records."""
    known: set[str] = set()
    for event in lines(folder, "events")[:before]:
        if event["type"] == "Erasure":
            known.discard(event["customer_id"])
        elif event["type"] not in ("Consent", "Outcome"):
            known.add(event["customer_id"])
    return known


def test_every_release_has_one() -> None:
    released = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert released
    missing = set(released) - {facts(folder)["release"] for folder in SAVEPOINTS}
    assert not missing, f"no savepoint of release {sorted(missing)}: {HOW}"


def test_every_state_version_has_one() -> None:
    versions = {int(path.stem.removeprefix("churn-")) for path in LAYOUTS.glob("churn-*.json")}
    assert feature_set("churn").state_version in versions
    missing = versions - {facts(folder)["state_version"] for folder in SAVEPOINTS}
    assert not missing, f"no savepoint of state version {sorted(missing)}: {HOW}"


def test_the_newest_contacts_have_one() -> None:
    assert stored.VERSION in {facts(folder).get("contacts") for folder in SAVEPOINTS}, f"no savepoint of contacts' states: {HOW}"


def test_the_states_of_lifetime_value_have_one() -> None:
    versions = {int(path.stem.removeprefix("clv-")) for path in LAYOUTS.glob("clv-*.json")}
    assert versions == {1}, f"a new state version of clv: {HOW} (--both)"
    assert any((folder / CLV_MODEL).exists() for folder in SAVEPOINTS)


@pytest.mark.parametrize("folder", SAVEPOINTS, ids=lambda folder: folder.name)
def test_it_holds_states_as_its_facts_say(folder: Path) -> None:
    told = facts(folder)
    version = told["state_version"]
    assert folder.name.startswith(f"churn-v{version}")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1 << 20, "small enough to live in the repository"
    if told["format"] != "CANONICAL":
        return  # a backend's own files may be compressed
    identity = struct.pack("<q", MAGIC | feature_set("churn").id << 16 | version << 32)[:6]  # above it flags
    stored = (folder / "savepoint" / "_metadata").read_bytes()
    customers = known_at(folder, told["before"])
    size = json.loads((LAYOUTS / f"churn-{version}.json").read_text())["size"]
    if (folder / CLV_MODEL).exists():
        size += json.loads((LAYOUTS / f"clv-{feature_set('clv').state_version}.json").read_text())["size"] + TAIL
    head = struct.pack("<HBBi", 0, told["form"], 0, size)
    whole = stored.count(struct.pack(">i", size) + identity)  # behind its length, as Flink writes a byte array
    packed = stored.count(head)
    assert (whole, packed) == ((len(customers), 0) if told["form"] == 0 else (0, len(customers)))


@pytest.mark.parametrize("folder", [folder for folder in SAVEPOINTS if (folder / POLICY).exists()], ids=lambda folder: folder.name)
def test_it_holds_contacts_in_the_middle_of_things(folder: Path) -> None:
    """Held offers, rows that wait for outcomes and counts of a budget, each by its name in the bytes."""
    stored = (folder / "savepoint" / "_metadata").read_bytes()
    newest = max(event["event_time"] for event in lines(folder, "events")[: facts(folder)["before"]])
    erased = {event["customer_id"] for event in lines(folder, "events") if event["type"] == "Erasure"}
    decisions = [
        each for each in lines(folder, "decisions") if each["customer_id"] not in erased and each["decided_at"] <= newest - HOUR_MS
    ]
    held = [each for each in decisions if each["result"] == "HELD" and each["hold_until"] > newest]
    assert held
    assert all(each["intervention_id"].encode() in stored for each in held)
    landed = {each["decision_id"]: each["closed_at"] for each in lines(folder, "labelled-outcomes") if each["status"] == "LANDED"}
    waiting = [each for each in decisions if landed.get(each["decision_id"], 0) > newest]
    assert len(waiting) > 3
    assert all(each["decision_id"].encode() in stored for each in waiting)
    assert b"spring|" in stored
