"""The plain-Python engine against Keepline's operator on the benchmark's events, and against the features' definition on hard histories."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features import oracle
from keepline.operators.host import HostOperator
from keepline.operators.spec import OperatorSpec
from keepline.schemas.encode import Ok, encode
from keepline.schemas.packed import SCORES
from keepline.schemas.records import to_record
from tests.benchmarks import events
from tests.benchmarks.peers.plain import avro, engine
from tests.benchmarks.peers.plain.state import FEATURES, State, load
from tests.features.feature_histories import histories, ledgers
from tests.jobs.models_for_tests import manifest

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "models" / "pretrained" / "churn" / "1" / "manifest.json"
HUGE = 1e200
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def told(folder: Path, model: Path) -> Path:
    """The settings of a run."""
    path = folder / "settings.json"
    score = ROOT / "schemas" / "outputs" / "Score.avsc"
    path.write_text(json.dumps({"manifest": str(model), "schemas": str(ROOT / "schemas" / "events"), "score": str(score)}))
    return path


@pytest.fixture(scope="module")
def weighty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings with a model that weighs every feature."""
    folder = tmp_path_factory.mktemp("weighty")
    (folder / "manifest.json").write_text(json.dumps(manifest()))
    return told(folder, folder / "manifest.json")


@pytest.fixture(scope="module")
def step(weighty: Path) -> engine.Step:
    return engine.make(weighty)


def by_keepline(model: dict[str, Any], made: events.Events) -> list[dict[str, Any]]:
    """The Score of each event, as Keepline puts them out."""
    operator = HostOperator(OperatorSpec(model, emit="every"), batch=256)
    out = []
    for k in range(len(made.customer)):
        key = events.key(made.customer[k])
        out += list(operator.add(key, made.buffer[made.at[k] : made.at[k + 1]].tobytes()))
    out += list(operator.flush())
    return [to_record(frame.value)[1] for frame in out if frame.channel == SCORES]


@pytest.mark.parametrize("which", ["committed", "weighty"])
def test_scores_are_keeplines(which: str, weighty: Path, tmp_path: Path) -> None:
    """Two weeks of 20 customers; every tenth state is stored and loaded on the way."""
    paths = told(tmp_path, COMMITTED) if which == "committed" else weighty
    model = json.loads(Path(json.loads(paths.read_text())["manifest"]).read_text())
    take, stream, n = engine.make(paths), events.Stream(20), 12_000
    made = events.make(stream, 0, n)
    expected = by_keepline(model, events.make(stream, 0, n, packed=True))
    assert len(expected) == n
    states: dict[int, State] = {}
    for k, want in enumerate(expected):
        customer = int(made.customer[k])
        before = load(states[customer].dump()) if k % 10 == 0 and customer in states else states.get(customer)
        states[customer], score = take(before, made.buffer[made.at[k] : made.at[k + 1]].tobytes())
        assert score is not None
        got = to_record(score)[1]
        plain = ("customer_id", "score", "band", "as_of", "event_id", "model_id", "model_version", "role")
        assert {name: got[name] for name in plain} == {name: want[name] for name in plain}
        assert got["value"] == pytest.approx(want["value"], abs=1e-9)
        assert [reason["feature"] for reason in got["reasons"]] == [reason["feature"] for reason in want["reasons"]]
        for mine, theirs in zip(got["reasons"], want["reasons"], strict=True):
            assert (mine["value"], mine["contribution"]) == pytest.approx((theirs["value"], theirs["contribution"]), rel=1e-9, abs=1e-9)


def known(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the event types that are no part of the features, and without sums beyond a double."""
    kept = [record for record in records if record["type"] in avro.TYPES]
    return [record for record in kept if all(abs(value) < HUGE for value in record.values() if isinstance(value, float))]


def follow(step: engine.Step, records: list[dict[str, Any]], through: Callable[[State], State]) -> None:
    """Takes all records and holds every row against the definition."""
    state: State | None = None
    for place, (record, want) in enumerate(zip(records, oracle.stream_rows(records), strict=True)):
        event = encode(record)
        assert isinstance(event, Ok), event
        state, score = step(state, event.value)
        assert (score is None) == (want is None), f"record {place}"
        state = through(state)
        for name, expected in (want or {}).items():
            got = state.x[FEATURES.index(name)]
            assert math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-9), f"record {place}: {name} is {got}, expected {expected}"


@fuzz
@given(records=histories().map(known), stored=st.booleans())
def test_rows_are_the_definitions(step: engine.Step, records: list[dict[str, Any]], stored: bool) -> None:
    follow(step, records, (lambda state: load(state.dump())) if stored else lambda state: state)


@fuzz
@given(records=ledgers())
def test_bills_are_the_definitions(step: engine.Step, records: list[dict[str, Any]]) -> None:
    follow(step, records, lambda state: load(state.dump()))


def test_an_id_across_two_is_no_duplicate(step: engine.Step) -> None:
    """Ids stand one behind the other: what begins inside one is not known."""
    record = {"type": "Message", "customer_id": "c", "event_time": events.START_MS}
    state: State | None = None
    for event_id, taken in (("a\x02b", True), ("b", True), ("b", False), ("a\x02b", False)):
        event = encode(record | {"event_id": event_id})
        assert isinstance(event, Ok)
        state, score = step(state, event.value)
        assert (score is not None) == taken, event_id


def test_long_names_and_odd_times(step: engine.Step) -> None:
    """Lengths and times whose varints are longer or shorter than usual."""
    for name, t in (("c" * 100, -5), ("d" * 63, 0), ("e" * 64, 2**45), ("f", 10**10)):
        event = encode({"type": "Message", "customer_id": name, "event_id": name * 2, "event_time": t})
        assert isinstance(event, Ok)
        _, score = step(None, event.value)
        assert score is not None
        got = to_record(score)[1]
        assert (got["customer_id"], got["event_id"], got["as_of"]) == (name, name * 2, t)


def test_what_is_no_event_is_told(step: engine.Step) -> None:
    event = encode({"type": "Unlock", "customer_id": "c", "event_id": "e", "event_time": events.START_MS})
    assert isinstance(event, Ok), event
    with pytest.raises(avro.Unknown, match="none of DataSession, Call"):
        step(None, event.value)
