"""The Java job computes what Keepline computes: its scores and reasons over synthetic events and over histories that hunt."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from keepline.models.manifest import checksum
from keepline.operators.host import HostOperator
from keepline.operators.jar import JVM
from keepline.operators.spec import OperatorSpec
from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.encode import Ok, encode
from keepline.schemas.packed import SCORES, Record, pack_record, peek
from keepline.schemas.records import to_record
from tests.benchmarks import events
from tests.benchmarks.kernel import MANIFEST
from tests.benchmarks.peers.systems import java_flink

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_750_000_123_456
TYPES = [event.name for event in EVENT_TYPES if event.name in (*events.MIX, "Subscription")]


def talkative() -> dict[str, Any]:
    """The committed model with all features in it, logarithms among them, so that a wrong one shows in the score."""
    chance = random.Random(36)
    raw: dict[str, Any] = json.loads(MANIFEST.read_bytes())
    for number, term in enumerate(raw["terms"]):
        term["transform"] = "log1p" if number < 19 or number % 3 == 0 else "identity"
        term["coefficient"] = chance.uniform(-0.1, 0.1)
        term["center"] = chance.uniform(0, 4)
    return raw | {"intercept": 0.0, "sha256": checksum(raw | {"intercept": 0.0})}


def by_java(manifest: dict[str, Any], values: Iterable[bytes], folder: Path) -> list[dict[str, Any] | None]:
    """What the Java job makes of each event; None where it gives no score."""
    (folder / "events").write_bytes(b"".join(struct.pack(">i", len(value)) + value for value in values))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    command = java_flink.command(
        "io.keepline.peer.ScoreFile", str(folder / "manifest.json"), str(folder / "events"), str(folder / "scores")
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    raw, at, found = (folder / "scores").read_bytes(), 0, []
    while at < len(raw):
        (length,) = struct.unpack_from(">i", raw, at)
        found.append(to_record(raw[at + 4 : at + 4 + length])[1] if length else None)
        at += 4 + length
    return found


def by_keepline(manifest: dict[str, Any], values: Iterable[bytes]) -> list[dict[str, Any] | None]:
    """What the operator makes of each event, without what its ticks give."""
    operator = HostOperator(OperatorSpec(manifest, emit="every"))
    found: list[dict[str, Any] | None] = []
    frames = []
    for number, value in enumerate(values, 1):
        key, time = peek(value)
        assert key is not None
        frames += operator.add(key, pack_record(Record(key, value, event_time=time, created_ms=number)))
        found.append(None)
    for frame in [*frames, *operator.flush()]:
        if frame.channel == SCORES and frame.created_ms:  # a tick's has none
            found[frame.created_ms - 1] = to_record(frame.value)[1]
    return found


def hunting(n: int) -> list[bytes]:
    """Events of few customers: steps around hours, days, windows, 90 and 400 days; repeated ids, corrected bills, far times back."""
    chance = random.Random(20)
    values, now = [], {f"c{i}": START for i in range(12)}
    for number in range(n):
        customer = chance.choice(list(now))
        unit = chance.choice((1, 1000, 60_000, HOUR, HOUR, HOUR, DAY))
        step = chance.choice((0, 1, 1, 2, 5)) * unit + chance.choice((-1, 0, 1))
        rare = chance.randrange(300)
        if rare < 8:
            step = chance.choice((7, 8, 14, 15, 24, 25, 30, 31, 32, 61, 89, 90, 91, 399, 400)) * DAY + chance.choice((-1, 0, 1))
        now[customer] += step
        back = chance.choice((0, 0, 0, 1, 26, 200, 745, 2160)) * chance.randrange(HOUR) if chance.randrange(4) == 0 else 0
        if rare == 9:
            back = 90 * DAY + chance.choice((-1, 0, 1))
        event: dict[str, Any] = {
            "type": chance.choice(TYPES),
            "customer_id": customer,
            "event_id": f"e{chance.randrange(max(0, number - 60), number + 1)}" if chance.randrange(4) == 0 else f"e{number}",
            "event_time": now[customer] - back,
        }
        match event["type"]:
            case "Call":
                event |= {
                    "duration_s": chance.choice((0.0, 0.1, chance.random() * 4000)),
                    "outcome": chance.choice(("COMPLETED", "DROPPED", "FAILED")),
                }
            case "DataSession":
                event |= {"megabytes": chance.choice((0.0, 0.1, chance.random() * 900))}
            case "SupportContact":
                event |= {
                    "topic": chance.choice(("QUESTION", "COMPLAINT", "CANCELLATION", "OTHER")),
                    "resolved": chance.choice((None, True)),
                }
            case "Bill":
                due = chance.choice((0, DAY, 14 * DAY, -DAY)) + chance.choice((-1, 0, 1))
                event |= {"bill_id": f"b{chance.randrange(12)}", "amount": chance.random() * 90, "due_time": event["event_time"] + due}
            case "Payment":
                event |= {"bill_id": chance.choice((None, f"b{chance.randrange(12)}")), "amount": 1.0}
            case "Subscription":
                event |= {
                    "plan": "p", "started_time": event["event_time"] - chance.choice((-DAY, 0, 1000 * DAY)),
                    "contract_months": chance.choice((0, 1, 24)), "monthly_charge": chance.random() * 80,
                    "internet": chance.choice(("NONE", "DSL", "FIBER", "MOBILE")), "autopay": chance.random() < 0.5,
                    "paperless": chance.random() < 0.5, "time_zone": chance.choice((None, "UTC")),
                }  # fmt: skip
        encoded = encode(event)
        assert isinstance(encoded, Ok)
        values.append(encoded.value)
    return values


def synthetic(n: int) -> list[bytes]:
    """Those of the benchmarks."""
    made = events.make(events.Stream(40), 0, n)
    return [made.buffer[made.at[k] : made.at[k + 1]].tobytes() for k in range(n)]


@pytest.mark.parametrize(("make", "n", "quiet"), [(synthetic, 12_000, 0), (hunting, 8_000, 100)])
def test_scores_and_reasons_are_keeplines(make: Callable[[int], list[bytes]], n: int, quiet: int, tmp_path: Path) -> None:
    values, manifest = make(n), talkative()
    ours, javas = by_keepline(manifest, values), by_java(manifest, values, tmp_path)
    assert len(javas) == len(ours)
    assert sum(score is None for score in ours) >= quiet  # duplicates and late events were among them
    for number, (our, their) in enumerate(zip(ours, javas, strict=True)):
        if our is None or their is None:
            assert our is their, number
            continue
        exact = ("customer_id", "score", "band", "as_of", "event_id", "model_id", "model_version", "role")
        assert {name: their[name] for name in exact} == {name: our[name] for name in exact}, number
        assert their["value"] == pytest.approx(our["value"], abs=1e-9), number
        assert [reason["feature"] for reason in their["reasons"]] == [reason["feature"] for reason in our["reasons"]], number
        for mine, yours in zip(their["reasons"], our["reasons"], strict=True):
            assert mine["value"] == pytest.approx(yours["value"], rel=1e-9, abs=1e-9), number
            assert mine["contribution"] == pytest.approx(yours["contribution"], rel=1e-9, abs=1e-9), number


def test_it_is_built_against_what_keepline_is_built_against() -> None:
    def properties(pom: Path) -> dict[str, str | None]:
        found = ElementTree.parse(pom).getroot().find("{http://maven.apache.org/POM/4.0.0}properties")
        assert found is not None
        return {each.tag.rpartition("}")[2]: each.text for each in found}

    ours, javas = properties(JVM / "pom.xml"), properties(java_flink.PROJECT / "pom.xml")
    for name in ("flink.version", "connector.version", "maven.compiler.release"):
        assert javas[name] == ours[name]
