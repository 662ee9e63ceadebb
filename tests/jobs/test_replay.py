"""`keepline replay retention` against the naive twin of the whole job, through the real command and real files."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs.settings import PRETRAINED
from keepline.operators.spec import CHANNELS
from keepline.schemas.catalog import output_schema
from tests.cli.conftest import Command
from tests.jobs import cli_files as files
from tests.jobs.models_for_tests import manifest
from tests.jobs.naive_job import NaiveCustomer
from tests.jobs.policy_files import policy_file

EVENTS = files.months(seed=7)
HOUR, DAY = files.HOUR, files.DAY
RECORDS = {
    "scores": "Score",
    "interventions": "Intervention",
    "decisions": "Decision",
    "labelled-outcomes": "LabelledOutcome",
    "erasure-receipts": "ErasureReceipt",
    "dead-letters": "DeadLetter",
    "late-events": "LateEvent",
}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, and in the environment the tests' policy."""
    path = tmp_path / "model"
    path.mkdir()
    monkeypatch.setenv("KEEPLINE_POLICY", str(policy_file(path, more="")))
    (path / "manifest.json").write_text(json.dumps(manifest()), encoding="utf-8")
    return path


def outputs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.jsonl" for name in CHANNELS)
    return {name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()] for name in CHANNELS}


def of(records: list[dict[str, Any]], customer: str) -> list[dict[str, Any]]:
    return [record for record in records if record["customer_id"] == customer]


def looked_at(record: dict[str, Any]) -> bool:
    """Events that every policy is told of."""
    return record["type"] == "Subscription" or record.get("topic") in ("COMPLAINT", "CANCELLATION")


def twins(events: list[dict[str, Any]], emit: str, bound: int = HOUR) -> dict[str, NaiveCustomer]:
    found: dict[str, NaiveCustomer] = {}
    for made in events:
        levels = (("score", manifest()["threshold"]),)
        found.setdefault(made["customer_id"], NaiveCustomer(manifest(), emit, levels=levels, watched=looked_at)).take(made)
    end = max(made["event_time"] for made in events) - bound - 1
    for twin in found.values():
        twin.ticks(end)
    return found


def offered(twin: NaiveCustomer, cooldown: int) -> list[tuple[int, str]]:
    """What the tests' policy makes of a customer's signals: an offer while at risk, none of a kind within its cool-down."""
    made: list[tuple[int, str]] = []
    quiet: dict[str, int] = {}
    for (now, _, _, value, active), x in zip(twin.signals, twin.rows, strict=True):
        if value is None or not active:
            continue
        kind = "extra_data" if x["data_mb_30d"] >= 20.0 else "sms_discount"
        if now >= quiet.get(kind, now):
            made.append((now, kind))
            quiet[kind] = now + cooldown
    return made


def check(
    found: dict[str, list[dict[str, Any]]], events: list[dict[str, Any]], emit: str, cooldown: int = 30 * DAY, bound: int = HOUR
) -> None:
    expected = twins(events, emit, bound)
    for customer, twin in expected.items():
        scores = of(found["scores"], customer)
        assert [(s["as_of"], s["event_id"], s["band"]) for s in scores] == [(a, e, b) for a, e, _, b in twin.scores], customer
        assert [s["value"] for s in scores] == pytest.approx([value for _, _, value, _ in twin.scores], abs=1e-9)
        assert [(i["decided_at"], i["kind"]) for i in of(found["interventions"], customer)] == offered(twin, cooldown)
        assert [late["event_time"] for late in of(found["late-events"], customer)] == twin.late
        decisions = [d for d in of(found["decisions"], customer) if d["result"] == "EMITTED"]
        assert [d["intervention_id"] for d in decisions] == [i["intervention_id"] for i in of(found["interventions"], customer)]
    assert {score["customer_id"] for score in found["scores"]} <= expected.keys()
    assert found["interventions"]
    for name, record in RECORDS.items():
        fields = [field["name"] for field in output_schema(record)["fields"]]
        assert all(list(line) == fields for line in found[name])


@pytest.mark.parametrize("emit", [None, "band", "delta", "every"])
def test_every_customer_is_as_the_naive_twin_says(keepline: Command, tmp_path: Path, model: Path, emit: str | None) -> None:
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS))
    args = ["--emit", emit] if emit else []
    result = keepline("replay", "retention", "--events", source, "--model", model, "--out", "deep/out", "--json", *args)
    assert (result.code, result.err) == (0, "")
    found = outputs(tmp_path / "deep" / "out")
    check(found, EVENTS, emit or "delta")
    assert len(found["late-events"]) > 0
    summary = result.json
    assert summary["written"] == {name: len(records) for name, records in found.items()}
    assert summary["duplicate"] == sum(twin.duplicates for twin in twins(EVENTS, "band").values()) > 10
    unreadable = sum(text in dict(files.BAD) and "-1.0" not in text for text in files.lines(EVENTS))
    assert summary["events"] >= len(EVENTS) + 2 * len(files.BAD) - unreadable
    assert summary["customers"] == len({made["customer_id"] for made in EVENTS if made["type"] != "Consent"})


def test_cooldown_and_disorder_are_the_jobs(keepline: Command, tmp_path: Path, model: Path) -> None:
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS, bad=False))
    rules = ["--policy", str(policy_file(tmp_path, "3d", more="")), "--disorder", "36h", "--emit", "every"]
    assert keepline("replay", "retention", "--events", source, "--model", model, "--out", "out", *rules).code == 0
    check(outputs(tmp_path / "out"), EVENTS, "every", cooldown=3 * DAY, bound=36 * HOUR)


def test_without_a_policy_there_are_scores_and_nothing_is_decided(keepline: Command, tmp_path: Path, model: Path) -> None:
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS, bad=False))
    for policy, out in (("none", "without"), (str(policy_file(tmp_path)), "with")):
        assert keepline("replay", "retention", "--events", source, "--model", model, "--out", out, "--policy", policy).code == 0
    without, with_it = outputs(tmp_path / "without"), outputs(tmp_path / "with")
    assert without["scores"] == with_it["scores"]
    assert with_it["decisions"]
    assert [name for name, records in without.items() if records] == ["scores", "late-events"]


def test_settings_of_the_file_and_the_environment_hold(
    keepline: Command,
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS, bad=False))
    (tmp_path / "keepline.toml").write_text(f'model = "{model}"\nemit = "every"\npolicy = "nowhere.yaml"\n')
    monkeypatch.setenv("KEEPLINE_POLICY", str(policy_file(tmp_path, "2d", more="")))
    args = ["replay", "retention", "--events", source, "--out", "out"]
    assert keepline(*args).code == 0
    check(outputs(tmp_path / "out"), EVENTS, "every", cooldown=2 * DAY)
    monkeypatch.setenv("KEEPLINE_EMITT", "band")
    result = keepline(*args)
    assert (result.code, result.err) == (2, "error: environment: unknown setting KEEPLINE_EMITT; did you mean KEEPLINE_EMIT?\n")


def test_dead_letters_carry_file_and_line(keepline: Command, tmp_path: Path, model: Path) -> None:
    texts = files.lines(EVENTS)
    source = files.write(tmp_path / "e.jsonl", texts)
    result = keepline("replay", "retention", "--events", source, "--model", model, "--out", "out")
    assert result.code == 0
    assert f"{2 * len(files.BAD)} dead-letters" in result.out
    letters = outputs(tmp_path / "out")["dead-letters"]
    reasons = dict(files.BAD)
    wanted = sorted((number, reasons[text]) for number, text in enumerate(texts, 1) if text in reasons)
    assert sorted((letter["offset"], letter["reason"]) for letter in letters) == wanted
    for letter in letters:
        value = base64.b64decode(letter["value"])
        assert (letter["topic"], letter["partition"]) == ("e.jsonl", 0)
        assert letter["value_length"] == len(value)
        assert base64.b64decode(letter["value_sha256"]) == hashlib.sha256(value).digest()
        assert len(letter["message"]) > 20
    late = outputs(tmp_path / "out")["late-events"]
    assert {(event["topic"], json.loads(texts[event["offset"] - 1])["customer_id"] == event["customer_id"]) for event in late} == {
        ("e.jsonl", True)
    }
    assert all(event["behind_ms"] == event["newest_time"] - event["event_time"] > 90 * DAY for event in late)


def test_a_line_beyond_the_limit_is_cut_and_counted(keepline: Command, tmp_path: Path, model: Path) -> None:
    long = {"type": "PageView", "customer_id": "c", "event_id": "e", "event_time": files.START, "page": "x" * 300_000}
    source = files.write(tmp_path / "e.jsonl", [json.dumps(long), "{" + "y" * 300_000])
    assert keepline("replay", "retention", "--events", source, "--model", model, "--out", "out").code == 0
    letters = outputs(tmp_path / "out")["dead-letters"]
    assert [(letter["reason"], len(base64.b64decode(letter["value"]))) for letter in letters] == [
        ("OVERSIZED", 256 * 1024),
        ("MALFORMED", 256 * 1024),
    ]
    assert all(letter["value_length"] > 300_000 for letter in letters)


def test_a_folder_is_its_merged_single_file(keepline: Command, tmp_path: Path, model: Path) -> None:
    names = sorted({made["type"] for made in EVENTS})
    folder = files.by_type(tmp_path / "events", EVENTS)
    order = files.merged([(f"{name}.csv", [made for made in EVENTS if made["type"] == name]) for name in names])
    single = files.write(tmp_path / "single.jsonl", [json.dumps(made) for made in order])
    packed = tmp_path / "single.jsonl.gz"
    packed.write_bytes(gzip.compress(single.read_bytes()))
    args = ["replay", "retention", "--model", model, "--emit", "every"]
    assert keepline(*args, "--events", folder, "--out", "a").code == 0
    assert keepline(*args, "--events", single, "--out", "b").code == 0
    assert keepline(*args, "--events", packed, "--out", "c").code == 0
    a, b, c = outputs(tmp_path / "a"), outputs(tmp_path / "b"), outputs(tmp_path / "c")
    check(a, order, "every")
    for name in ("scores", "interventions", "decisions"):
        assert a[name] == b[name] == c[name]
    assert Counter(late["topic"].removesuffix(".csv") for late in a["late-events"]).keys() <= set(names)


def test_the_wall_clock_judges_the_future(keepline: Command, tmp_path: Path, model: Path) -> None:
    wall = files.START
    events = [
        {"type": "Message", "customer_id": "c", "event_id": f"e{i}", "event_time": time}
        for i, time in enumerate([wall, wall + DAY, wall + DAY + 1, wall + 300 * DAY, wall + 2])
    ]
    source = files.write(tmp_path / "e.jsonl", [json.dumps(event) for event in events])
    args = ["replay", "retention", "--events", source, "--model", model, "--out", "out", "--emit", "every"]
    for text in ("2026-01-01T00:00:00Z", str(wall)):
        assert keepline(*args, "--wall-clock", text).code == 0
        found = outputs(tmp_path / "out")
        assert [(letter["reason"], letter["offset"]) for letter in found["dead-letters"]] == [("FUTURE_TIME", 3), ("FUTURE_TIME", 4)]
        # What is refused moves no watermark: no tick of the 300 days.
        assert [score["event_id"] for score in found["scores"]] == ["e0", "e1", "e4"]
    for extra in ([], ["--wall-clock", "none"]):
        assert keepline(*args, *extra).code == 0
        found = outputs(tmp_path / "out")
        assert not found["dead-letters"]
        assert len(found["scores"]) == 4 + 298, "the last event is late; a tick a day"
    wrong = keepline(*args, "--wall-clock", "now-ish")
    assert (wrong.code, wrong.err.startswith("error: --wall-clock: 'now-ish' is not a time")) == (2, True)


def test_currency(keepline: Command, tmp_path: Path, model: Path) -> None:
    events = [
        {"type": "Payment", "customer_id": "c", "event_id": code, "event_time": files.START, "amount": 1.0, "currency": code}
        for code in ("", "EUR", "USD")
    ]
    source = files.write(tmp_path / "e.jsonl", [json.dumps(event) for event in events])
    for currency, refused in ((["--currency", "EUR"], [3]), ([], [2, 3])):
        assert keepline("replay", "retention", "--events", source, "--model", model, "--out", "out", *currency).code == 0
        letters = outputs(tmp_path / "out")["dead-letters"]
        assert [(letter["offset"], letter["reason"]) for letter in letters] == [(line, "INVALID_FIELD") for line in refused]


def test_five_files_even_of_nothing_and_none_of_what_fails(keepline: Command, tmp_path: Path, model: Path) -> None:
    empty = files.write(tmp_path / "e.jsonl", [])
    assert keepline("replay", "retention", "--events", empty, "--model", model, "--out", "out").code == 0
    assert outputs(tmp_path / "out") == {name: [] for name in CHANNELS}
    (model / "manifest.json").write_text((model / "manifest.json").read_text().replace("0.3", "0.31", 1))
    result = keepline("replay", "retention", "--events", empty, "--model", model, "--out", "none")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "sha256" in result.err
    assert not (tmp_path / "none").exists()


def test_the_committed_model_is_the_default(keepline: Command, tmp_path: Path) -> None:
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS))
    assert keepline("replay", "retention", "--events", source, "--out", "out").code == 0
    assert {score["model_id"] for score in outputs(tmp_path / "out")["scores"]} == {
        json.loads((PRETRAINED / "manifest.json").read_text())["model_id"]
    }
