"""A warm standby takes over a killed TaskManager's job; what `settings` measures stands in flink-conf/; both print."""

from __future__ import annotations

import re
import tomllib

import pytest

from keepline.jobs.cluster import profiles
from keepline.jobs.cluster.distribution import CONF
from keepline.jobs.stack.kafka import EmbeddedKafka
from tests.benchmarks import recovery, report, settings


@pytest.mark.slow
def test_a_warm_standby_takes_over(kafka: EmbeddedKafka) -> None:
    result = recovery.run(kafka, "warm", 1, {}, print)  # waits until both TaskManagers say that they are warm
    (found,) = result["rounds"]
    # In this order; how long it takes is the benchmark's business.
    assert 0 < found["deployed"] <= found["initializing"] <= found["running"]
    assert found["noticed"] <= found["deployed"]
    assert found["first score"] > found["initializing"]
    (table,) = report.tables({"recovery": [result]})
    assert table.rows[0][:2] == ["TaskManager, a warm one stands by", "1"]
    assert "-" not in table.rows[0][2:]


def flags(arm: settings.Arm) -> dict[str, str]:
    """What an arm sets, by the names that profiles use; `kafka` and `flink` of the job as they are."""
    words = list(arm.job)
    found = dict(arm.cluster)
    for flag, given in zip(words[::2], words[1::2], strict=True):
        if flag in ("--flink", "--kafka"):
            name, _, value = given.partition("=")
        else:
            name, value = flag.removeprefix("--").replace("-", "_"), given
        found[name] = value
    return found


@pytest.mark.parametrize("name", settings.VALUES)
def test_what_is_measured_stands_in_the_file(name: str) -> None:
    value = settings.VALUES[name]
    if value.file == profiles.BASE:
        assert flags(value.with_it) == {}  # what the job and config.yaml do anyway
        text, _, wanted = value.text.partition(": ")
        assert profiles.whole()[text] == wanted
        return
    job = tomllib.loads(profiles.job_settings(value.file))
    stands = profiles.settings_of(value.file) | job | job.get("kafka", {}) | job.get("flink", {})
    changed = {key: each for key, each in flags(value.with_it).items() if flags(value.without).get(key) != each}
    assert changed
    assert {key: stands[key] for key in changed} == changed


def test_a_change_within_the_ranges_is_none() -> None:
    assert settings.verdict((1, 2, 3), (2.5, 4, 5)) == "none seen"
    assert settings.verdict((2, 2, 2), (1, 1, 1)) == "-50%"
    side = [{"events/s": rate, "CPU µs/event": 5.0, "checkpoint ms": 90.0} for rate in (1e5, 3e5, 2e5)]
    value = settings.VALUES["segments"]
    result = {"file": value.file, "text": value.text, "instead_of": value.instead_of, "probe": value.probe, "without": side, "with": side}
    (table,) = report.tables({"settings": [result]})
    assert table.rows[0][2:] == ["100,000 / 200,000 / 300,000"] * 2 + ["none seen"]


def test_the_files_name_only_what_can_be_measured() -> None:
    named = {"settings": settings.VALUES, "recovery": recovery.CASES}
    for file in CONF.glob("*.yaml"):
        for part, names in re.findall(r"\[(settings|recovery) ([a-z0-9, -]+)\]", file.read_text(encoding="utf-8")):
            assert set(names.split(", ")) <= set(named[part]), (file.name, names)
    for name, value in settings.VALUES.items():
        assert re.search(rf"\[settings [^]]*\b{name}\b[^]]*\]", (CONF / f"{value.file}.yaml").read_text(encoding="utf-8")), name
