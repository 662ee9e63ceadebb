"""What a running job exports: under the documented names, with the right figures, also on a cluster's TaskManagers."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from keepline.jobs.settings import POLICY
from keepline.jobs.stack import ports
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.process import StackError
from keepline.jobs.stack.reporter import CLASS_PATH, offer_reporter, reporter_jar, reporter_settings
from keepline.jobs.tail import records as tail
from keepline.operators import stats
from keepline.operators.code import code_hash
from keepline.operators.spec import CHANNELS
from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.packed import DECISIONS, ERASURE_RECEIPTS, INTERVENTIONS, LABELLED_OUTCOMES
from tests.monitoring.running import PREFIX, Run, Scrape
from tests.whole.support import wait

DOCS = Path(__file__).parents[2] / "docs" / "monitoring.md"
INFO = "model_id_version_code_model_info"
LATENCIES = ("created_to_scored_ms", "created_to_redis_ms")
CONTROL = {kind.name for kind in EVENT_TYPES if kind.control}


def cumulative(found: Scrape, name: str) -> list[tuple[float, float]]:
    """(le, count) of one histogram, summed over the subtasks, by le."""
    total: Counter[float] = Counter()
    for series in found.find(f"{PREFIX}{name}_le_bucket"):
        total[float(series.labels["le"])] += series.value
    return sorted(total.items())


def test_counts_are_those_of_the_input(watched: Run) -> None:
    found, records = watched.scrape, watched.records
    reasons = Counter(record.reason for record in records if record.reason)
    assert set(reasons) == {reason.name for reason in stats.DEAD_REASONS}
    for reason in stats.DEAD_REASONS:
        assert found.sum(f"{PREFIX}reason_dead_letters_total", reason=reason.name) == reasons[reason.name], reason
    outcomes = ("accepted", "duplicate", "late", "control")
    events = {outcome: found.sum(f"{PREFIX}events_{outcome}_total") for outcome in outcomes}
    assert sum(events.values()) + reasons.total() == len(records)
    assert all(events.values()), events
    assert events["control"] == sum(bool(r.event) and not r.reason and r.event["type"] in CONTROL for r in records)  # type: ignore[index]
    assert found.sum(f"{PREFIX}entries_total") >= len(records)
    assert found.sum(f"{PREFIX}frames_total") > found.sum(f"{PREFIX}batches_total") > 0
    assert found.sum(f"{PREFIX}customers_erased_total") == sum(bool(r.event) and r.event["type"] == "Erasure" for r in records) > 0  # type: ignore[index]
    assert found.sum(f"{PREFIX}signals_total") >= events["control"]
    made = events["accepted"] + found.sum(f"{PREFIX}ticks_total")
    assert found.sum(f"{PREFIX}score_count") == found.sum(f"{PREFIX}band_scores_emitted_total") == made


def test_histograms_are_as_prometheus_wants_them(watched: Run) -> None:
    found = watched.scrape
    for name in ("score", *LATENCIES):
        buckets = cumulative(found, name)
        counts = [count for _, count in buckets]
        assert buckets[-1][0] == float("inf"), name
        assert counts == sorted(counts), name
        assert counts[-1] == found.sum(f"{PREFIX}{name}_count") > 0, name
        bound = max(le for le, count in buckets[:-1])
        assert 0 < found.sum(f"{PREFIX}{name}_sum") <= counts[-1] * bound, name
    assert [le for le, _ in cumulative(found, "score")[:-1]] == [round(place / 20, 2) for place in range(1, 21)]
    timed = found.sum(f"{PREFIX}events_accepted_total") + found.sum(f"{PREFIX}customers_erased_total")
    assert found.sum(f"{PREFIX}created_to_scored_ms_count") == timed, "each score of a stamped event is timed, and tombstones; no tick's is"


def test_the_policys_counts_are_those_of_the_topics(watched: Run, kafka: EmbeddedKafka) -> None:
    found, given = watched.scrape, [f"{name}={value}" for name, value in kafka.admin.items()]
    records = {channel: sum(1 for _ in tail(f"watched-retention.{channel}", kafka.bootstrap_servers, given)) for channel in CHANNELS}
    erased = found.sum(f"{PREFIX}customers_erased_total")
    policy = {"operator_name": "contact-policy"}
    assert min(records["interventions"], records["decisions"], records["labelled-outcomes"]) > 0
    # Not counted: the frames with which an erasure takes both from the live view.
    assert found.sum(f"{PREFIX}interventions_total", **policy) == records["interventions"]
    assert found.sum(f"{PREFIX}decisions_total", **policy) == records["decisions"]
    assert found.sum(f"{PREFIX}labelled_outcomes_total") == records["labelled-outcomes"]
    assert found.sum(f"{PREFIX}erasure_receipts_total") == records["erasure-receipts"] == erased
    assert found.sum(f"{PREFIX}rare_elements_total", **policy) == found.sum(f"{PREFIX}signals_total")
    assert 0 < found.sum(f"{PREFIX}rare_timers_total", **policy) < found.sum(f"{PREFIX}signals_total")
    assert found.sum(f"{PREFIX}rare_states_dropped_total", **policy) > 0
    (told,) = {(s.labels["policy"], s.labels["version"]) for s in found.find(f"{PREFIX}policy_version_policy_info")}
    default = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
    assert told == (default["policy"], str(default["version"]))
    channels = {int(series.labels["channel"]) for series in found.find(f"{PREFIX}channel_rare_frames_total")}
    assert channels == {INTERVENTIONS, DECISIONS, LABELLED_OUTCOMES, ERASURE_RECEIPTS}


def test_levels_are_those_of_the_end(watched: Run) -> None:
    found = watched.scrape
    customers = {record.event["customer_id"] for record in watched.records if record.event and not record.reason}
    assert found.sum(f"{PREFIX}resident_states") >= len(customers)
    assert {series.value for series in found.find(f"{PREFIX}state_bytes")} == {3072.0}
    assert found.sum(f"{PREFIX}redis_pending_keys") == found.sum(f"{PREFIX}redis_lag_ms") == found.sum(f"{PREFIX}waiting_for_registry") == 0
    assert found.sum(f"{PREFIX}redis_writes_total") > 0
    assert found.sum(f"{PREFIX}redis_connections_total") == 2
    assert found.sum(f"{PREFIX}write_backs_total") > 2
    assert all(series.value > 0 for series in found.find(f"{PREFIX}watermark_lag_ms"))
    (model,) = {tuple(s.labels[label] for label in ("model_id", "version", "code")) for s in found.find(f"{PREFIX}{INFO}")}
    assert model == ("churn-test", "3", code_hash())
    assert found.sum("flink_jobmanager_job_numberOfCompletedCheckpoints") > 2
    assert found.sum("flink_taskmanager_job_task_operator_pendingRecords") == 0


def test_label_values_stay_as_they_are(watched: Run) -> None:
    assert {series.labels["job_name"] for series in watched.scrape.find(f"{PREFIX}entries_total")} == {"watched-retention"}


def documented() -> dict[str, tuple[set[str], str]]:
    """Name → labels and type, of the tables of docs/monitoring.md."""
    rows = re.findall(r"^\| `([a-zA-Z_]+)`(?: \(([\w, ]+)\))? \| (counter|gauge|histogram|info) \|", DOCS.read_text(), re.MULTILINE)
    return {name: (set(labels.split(", ")) - {""}, kind) for name, labels, kind in rows}


def test_the_documented_metrics_are_the_exported_ones(watched: Run) -> None:
    found: dict[str, set[str]] = {}
    for series in watched.scrape.series:
        if series.name.startswith(PREFIX):
            found.setdefault(series.name.removeprefix(PREFIX), set()).update(series.labels)
    common = set.intersection(*found.values())
    wanted: dict[str, set[str]] = {}
    flinks: dict[str, str] = {}
    others: dict[str, set[str]] = {}
    for name, (labels, kind) in documented().items():
        if name.startswith("flink_"):
            flinks[name] = kind
        elif "score" in labels:
            others[name] = labels
        elif kind == "histogram":
            wanted |= {f"{name}_le_bucket": {"le"}, f"{name}_sum": set(), f"{name}_count": set()}
        else:
            assert name.endswith("_total") == (kind == "counter"), name
            wanted[name] = labels
    assert {name: labels - common for name, labels in found.items()} == wanted
    # Of scores that this run does not make: named as the shell names them, the labels' names in front.
    described = json.loads(stats.describe([("p_alive", "m", 1)], "c"))
    values = {tuple(each["labels"]): each["name"] for each in described if "score" in each.get("labels", {})}
    assert others == {f"{'_'.join(labels)}_{name}": set(labels) for labels, name in values.items()}
    missing = [name for name in flinks if not watched.scrape.find(name)]
    assert not missing
    assert len(flinks) > 10


def test_flinks_answer_over_rest_knows_them_too(watched: Run) -> None:
    (job,) = watched.rest.jobs()
    (vertex,) = (each["id"] for each in watched.rest.job(job)["vertices"] if "customer" in each["name"])
    name, counted = "customer.keepline.events_accepted_total", watched.scrape.sum(f"{PREFIX}events_accepted_total")
    # The JobManager fetches metrics now and then; the first answers may lack them.
    wait("Flink's own answer", lambda: watched.rest.metrics(job, vertex, [name]).get(name) == counted)


def test_a_port_that_is_taken_is_refused_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from pyflink import java_gateway

    monkeypatch.setattr(java_gateway, "_gateway", None)
    monkeypatch.setenv(CLASS_PATH, "/other.jar")
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(StackError, match=r"nothing can listen on port \d+ .*choose another, or 0"):
            offer_reporter(taken.getsockname()[1])
    (free,) = ports.free_ports(1)
    offer_reporter(free)
    import os

    assert os.environ[CLASS_PATH] == f"/other.jar{os.pathsep}{reporter_jar()}"


def test_a_jvm_that_runs_already_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyflink import java_gateway

    monkeypatch.setattr(java_gateway, "_gateway", object())
    monkeypatch.delenv(CLASS_PATH, raising=False)
    with pytest.raises(StackError, match="runs already"):
        offer_reporter(ports.free_ports(1)[0])


def test_clusters_have_the_same_settings() -> None:
    conf = yaml.safe_load((DOCS.parents[1] / "flink-conf" / "config.yaml").read_text(encoding="utf-8"))
    flat = {f"metrics.reporter.prom.{name}": value for name, value in conf["metrics"]["reporter"]["prom"].items()}
    flat["metrics.reporter.prom.factory.class"] = flat.pop("metrics.reporter.prom.factory")["class"]
    text = {name: json.dumps(value) if isinstance(value, bool) else str(value) for name, value in flat.items()}
    assert text == reporter_settings(text["metrics.reporter.prom.port"])
