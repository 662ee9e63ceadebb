"""A model that cannot be used, and settings that cannot work: refused at submit, in one line that says what to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.models.manifest import checksum
from keepline.operators.spec import CHANNELS
from tests.cli.conftest import Command, keepline
from tests.jobs.models_for_tests import manifest
from tests.whole.support import command, topics

__all__ = ["keepline"]

Raw = dict[str, Any]


def signed(raw: Raw) -> str:
    """The manifest's text, its checksum right."""
    return json.dumps(raw | {"sha256": checksum(raw)})


def other_version(raw: Raw) -> str:
    return signed(raw | {"feature_set": {"name": "churn", "version": 99}})


def nan(raw: Raw) -> str:
    raw["terms"][3]["coefficient"] = float("nan")
    return json.dumps(raw)


def without_a_term(raw: Raw) -> str:
    return signed(raw | {"terms": raw["terms"][1:]})


MODELS: list[tuple[Callable[[Raw], str | None], str]] = [
    (lambda _: None, "No model at {file}. Give --model a directory that `keepline train` wrote"),
    (lambda raw: json.dumps(raw)[:-40], "{file} is not JSON ("),
    (lambda _: "", "{file} is not JSON ("),
    (lambda _: "[]", "{file} is a JSON list, expected an object"),
    (lambda raw: json.dumps(raw | {"sha256": "0" * 64}), "{file}: sha256 is '" + "0" * 64 + "', but the content hashes to"),
    (lambda raw: json.dumps(raw | {"intercept": 7.0}), "it was changed or damaged. Train the model again"),
    (other_version, "{file}: trained on feature set churn version 99, expected churn version 1. Make training rows"),
    (nan, "coefficient is nan, expected a finite number. Train the model again"),
    (without_a_term, "terms and categories do not name each of the 36 columns once"),
    (lambda raw: signed(raw | {"threshold": 2.0}), "{file}: threshold: Input should be less than 1"),
    (lambda raw: signed(raw | {"bands": [0.9, 0.1]}), "bands are [0.9, 0.1], expected 0 < low ≤ high < 1"),
]
IDS = [
    "no file",
    "cut JSON",
    "empty file",
    "no object",
    "wrong sha256",
    "altered",
    "other feature set",
    "NaN",
    "a term missing",
    "threshold",
    "bands",
]


MODEL_NAMES = [
    "no file", "cut JSON", "empty file", "no object", "wrong sha256", "altered", "other feature set", "NaN", "a term missing", "threshold",
    "bands",
]  # fmt: skip


@pytest.mark.parametrize(("content", "says"), MODELS, ids=MODEL_NAMES)
def test_an_unreadable_model(keepline: Command, tmp_path: Path, content: Callable[[Raw], str | None], says: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    text = content(manifest())
    if text is not None:
        (folder / "manifest.json").write_text(text)
    done = keepline("run", "retention", "--model", folder)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("error: ")
    assert says.format(file=folder / "manifest.json") in done.err


SETTINGS = [
    (["--parallelism", "0"], "--parallelism"),
    (["--state-backend", "memory"], "--state-backend"),
    (["--delta", "nan"], "--delta"),
    (["--disorder", "30"], "--disorder"),
    (["--bootstrap-servers", "nowhere"], "--bootstrap-servers"),
    (["--redis-url", "http://nowhere"], "--redis-url"),
    (["--currency", "a currency of many words"], "expected an ISO 4217 code such as EUR"),
    (["--emit", "never"], "--emit"),
]


@pytest.mark.parametrize(("flags", "says"), SETTINGS, ids=[flags[0] for flags, _ in SETTINGS])
def test_a_setting_that_cannot_work(keepline: Command, flags: list[str], says: str) -> None:
    done = keepline("run", "retention", *flags)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("error: ")
    assert says in done.err


@pytest.mark.slow
def test_an_output_topic_too_small_for_a_dead_letter(kafka: EmbeddedKafka, name: str) -> None:
    """The job would fail at the first large dead letter, and again after every restart."""
    name = f"hard-{name}"
    topics(kafka, name)
    kafka.create_topics([f"{name}-small.{each}" for each in CHANNELS if each != "dead-letters"])
    kafka.create_topics([f"{name}-small.dead-letters"], configs={"max.message.bytes": "100000"})
    done = command(
        "run", "retention", "--bootstrap-servers", kafka.bootstrap_servers, "--topics", f"{name}.in", "--output-prefix", f"{name}-small",
        "--redis-url", "", timeout=240,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert f"topic {name}-small.dead-letters takes records of 100000 bytes (max.message.bytes)" in done.stderr
    assert "kafka-configs.sh --alter" in done.stderr
