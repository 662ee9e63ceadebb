"""Every expression of the dashboard and of the alerts finds what a run of the job exports. A misspelt one would be empty for ever."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import dashboard
from tests.monitoring.promql import faults, plain
from tests.monitoring.running import Run, Series

FOLDER = Path(__file__).parents[2] / "monitoring"
DOCS = FOLDER.parent / "docs" / "monitoring.md"


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    made = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in made["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """Panel, expression, legend."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def series(watched: Run) -> tuple[Series, ...]:
    """The scrape, and what Prometheus adds of its own for a job of prometheus.yml."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    own = [
        Series("up", {"job": job["job_name"], "instance": target}, 1.0)
        for job in config["scrape_configs"]
        for each in job["static_configs"]
        for target in each["targets"]
    ]
    return (*watched.scrape.series, *own)


def test_every_expression_of_the_dashboard_finds_its_series(watched: Run) -> None:
    every = list(queries())
    assert len(every) >= 80
    wrong = {(title, text): found for title, text, legend in every if (found := faults(text, series(watched), legend))}
    assert not wrong, wrong


def test_every_alert_finds_its_series_and_the_labels_it_names(watched: Run) -> None:
    every = alerts()
    assert len(every) >= 30
    for rule in every:
        told = " ".join(rule["annotations"].values())
        legend = " ".join(f"{{{{{label}}}}}" for label in re.findall(r"\$labels\.(\w+)", told))
        assert not faults(rule["expr"], series(watched), legend), rule["alert"]


@pytest.mark.parametrize(
    ("text", "legend", "wrong"),
    [
        ("sum(rate(flink_taskmanager_job_task_operator_keepline_tick_total[5m]))", "", "no series matches"),
        ('flink_taskmanager_job_task_operator_pendingRecords{operator_nam="x"}', "", "no series matches"),
        ('sum(flink_taskmanager_job_task_operator_numRecordsSend{operator_name="kafka-sink"})', "", "no series matches"),
        ("flink_jobmanager_job_uptime > on (job_name) flink_jobmanager_job_uptim", "", "no series matches"),
        ("sum by (subtask) (flink_taskmanager_job_task_operator_pendingRecords)", "", "groups by subtask"),
        ("sum by (job_name) (flink_taskmanager_job_task_operator_pendingRecords)", "{{subtask_index}}", "shows {{subtask_index}}"),
        ("flink_jobmanager_job_uptime", "{{task_name}}", "shows {{task_name}}"),
        ("sum(rate(flink_jobmanager_job_uptime[5m])", "", "no PromQL"),
        ("rates(flink_jobmanager_job_uptime[5m])", "", "no PromQL"),
        ("vector(1)", "", "selects nothing"),
    ],
)
def test_what_cannot_work_is_caught(watched: Run, text: str, legend: str, wrong: str) -> None:
    found = faults(text, series(watched), legend)
    assert len(found) == 1
    assert wrong in found[0]


def test_alerts_say_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert len(rule["annotations"]["description"]) > 60, rule["alert"]
    told = DOCS.read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| (Keepline\w+) \|", told, re.MULTILINE)) == sorted(names)


def test_the_committed_dashboard_is_the_one_that_is_described() -> None:
    assert (FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8") == dashboard.dashboard(), "run python monitoring/dashboard.py"


def test_the_dashboard_is_whole() -> None:
    made = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert [variable["name"] for variable in made["templating"]["list"]] == ["datasource", "job"]
    for panel in panels():
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert "$" not in plain(target["expr"]), target["expr"]
            assert 'job_name=~"$job"' in target["expr"] or "_Status_" in target["expr"] or "_job_" not in target["expr"], target["expr"]
    rows = [panel for panel in made["panels"] if panel["type"] == "row"]
    assert len(rows) >= 7


def test_the_files_that_compose_and_readers_expect_are_there() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    assert all((FOLDER / name).is_file() for name in config["rule_files"])
    asked = {job for rule in alerts() for job in re.findall(r'up\{job="(\w+)"\}', rule["expr"])}
    assert asked == {job["job_name"] for job in config["scrape_configs"]}


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    told = (FOLDER / "alerts.test.yml").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in alerts() if f'alertname="{rule["alert"]}"' not in told] == []


def test_alerts_fire_and_stay_silent_as_their_cases_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NO promtool ON THE PATH: the cases of monitoring/alerts.test.yml do not run; Prometheus has it")
    done = subprocess.run([promtool, "test", "rules", "alerts.test.yml"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
