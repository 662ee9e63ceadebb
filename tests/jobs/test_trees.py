"""Boosted trees and an ensemble in the operator and in `replay`: scores, reasons, signals, and states that another model left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba.core.event import install_recorder

from keepline.features.churn import CHURN
from keepline.models.manifest import checksum
from keepline.operators import context as k
from keepline.operators.host import HostOperator
from keepline.operators.parts import parts_of
from keepline.operators.signals import Told, unpack
from keepline.operators.spec import OperatorSpec
from keepline.schemas.packed import SCORES, SIGNALS, Frame
from keepline.schemas.records import to_record
from keepline.schemas.times import to_rfc3339
from tests.cli.conftest import Command
from tests.jobs import cli_files as files
from tests.jobs.models_for_tests import clv_manifest, manifest
from tests.jobs.naive_job import NaiveCustomer
from tests.jobs.policy_files import policy_file
from tests.jobs.test_operator_oracle import ALLOWED, LEVELS, feed, told, with_controls
from tests.jobs.tree_models import FAMILIES, NAMES, Trained, by_hand, trained

DAY = 86_400_000
SAME = 1e-9
few = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """By family."""
    return trained(tmp_path_factory.mktemp("trees"))


def spec(model: dict[str, Any], **more: Any) -> OperatorSpec:
    return OperatorSpec(model, **({"emit": "every"} | ALLOWED | more))


class Twin(NaiveCustomer):
    """The naive customer with a model that can be changed on the way; keeps each row that was scored."""

    def __init__(self, model: Trained | None, emit: str) -> None:
        super().__init__(manifest(), emit, levels=LEVELS, step=0.05, watched=told)
        self.model = model
        self.seen: list[tuple[dict[str, float], float]] = []

    def value(self, x: dict[str, float]) -> float:
        found = super().value(x) if self.model is None else by_hand(self.model.manifest, x)
        self.seen.append((x, found))
        return found


def scores_of(frames: list[Frame]) -> list[dict[str, Any]]:
    return [to_record(frame.value)[1] for frame in frames if frame.channel == SCORES and frame.value]


def as_the_twin_says(frames: list[Frame], twin: Twin) -> None:
    """All scores and signals of an operator that began with the twin."""
    scores = scores_of(frames)
    assert [(s["as_of"], s["event_id"], s["band"]) for s in scores] == [(a, e, b) for a, e, _, b in twin.scores]
    assert [s["value"] for s in scores] == pytest.approx([value for _, _, value, _ in twin.scores], abs=SAME)
    signals = [frame for frame in frames if frame.channel == SIGNALS]
    models = {(s["model_id"], s["model_version"]) for s in scores} or {("", 0)}
    made = [unpack(frame, [Told(CHURN.names, (("churn", *max(models)),))]) for frame in signals]
    assert [(s.time, s.event_type, s.event_id) for s in made] == [signal[:3] for signal in twin.signals]
    assert [{i for i in range(2) if s.active >> i & 1} for s in made] == [active for *_, active in twin.signals]
    for found, (_, _, _, value, _) in zip(made, twin.signals, strict=True):
        assert (found.value is None) == (value is None)
        assert value is None or found.value == pytest.approx(value, abs=SAME)


@pytest.mark.parametrize("emit", ["every", "delta", "band"])
@pytest.mark.parametrize("family", FAMILIES)
@few
@given(records=with_controls(), batch=st.sampled_from([1, 3, 256]), silence=st.sampled_from([0, 3, 40, 399]))
def test_one_customer_as_scikit_learn_says(
    models: dict[str, Trained], family: str, emit: str, records: list[dict[str, Any]], batch: int, silence: int
) -> None:
    """The twin reads the manifest; that scikit-learn says the same of the twin's rows is looked at for all of them."""
    model = models[family]
    twin, operator = Twin(model, emit), HostOperator(spec(model.raw, emit=emit), batch=batch)
    frames = feed(operator, records)
    for record in records:
        twin.take(record)
    if records and silence:
        last = max(record["event_time"] for record in records) + silence * DAY
        frames += operator.advance(last)
        twin.ticks(last)
    as_the_twin_says(frames, twin)
    assert {(s["model_id"], s["model_version"]) for s in scores_of(frames)} <= {(f"churn-{family}", 7)}
    if twin.seen:
        predicted = model.predicted([x for x, _ in twin.seen])
        np.testing.assert_allclose([value for _, value in twin.seen], predicted, rtol=0, atol=SAME)


@pytest.mark.parametrize("family", FAMILIES)
def test_reasons_are_parts_of_the_logit(models: dict[str, Trained], family: str) -> None:
    """All contributions together are the logit less that of the training rows' mean; the three largest go out."""
    model = models[family]
    operator = HostOperator(spec(model.raw), batch=1)
    mean = float(model.pipeline.decision_function(model.rows).mean())
    row, contributions = (operator.kernel._kept[0, word].ravel() for word in (k.X, k.CONTRIB))
    named, values = set(), set()
    for record in files.months(seed=9, customers=40, each=30):
        one = record | {"customer_id": "c", "event_id": record["customer_id"] + record["event_id"]}
        for score in scores_of(feed(operator, [one]))[-1:]:  # ticks before it have left nothing in the arrays
            assert np.log(score["value"] / (1 - score["value"])) == pytest.approx(mean + contributions.sum(), abs=SAME)
            largest = np.argsort(-np.abs(contributions), kind="stable")[:3]
            wanted = [{"feature": NAMES[i], "value": float(row[i]), "contribution": float(contributions[i])} for i in largest]
            assert score["reasons"] == wanted
            named |= {reason["feature"] for reason in wanted}
            values.add(score["value"])
    assert len(named) > 5, "reasons of many kinds"
    assert len(values) > 100


def carried(state: bytes, to: OperatorSpec) -> HostOperator:
    """An operator that begins with the state of customer c, as a restore puts it into its slot."""
    then = HostOperator(to)
    then._slots.find(b"c")
    then._block[: then.kernel.state_size] = np.frombuffer(then.kernel.migrate(state), np.uint8)
    return then


@pytest.mark.parametrize("emit", ["every", "delta", "band"])
@pytest.mark.parametrize("change", [("logistic", "trees"), ("trees", "ensemble"), ("ensemble", "logistic")])
@few
@given(records=with_controls(), cut=st.integers(0, 30))
def test_a_state_is_taken_up_by_another_model(
    models: dict[str, Trained], emit: str, change: tuple[str, str], records: list[dict[str, Any]], cut: int
) -> None:
    """Features, and what was put out and told last, go on: of the new model's scores only those go out that differ from the old one's."""
    before, after = (models.get(family) for family in change)
    first = HostOperator(spec(manifest() if before is None else before.raw, emit=emit))
    twin = Twin(before, emit)
    feed(first, records[:cut])
    state = first.states().get(b"c")
    for record in records[:cut]:
        twin.take(record)
    if state is None:
        return
    to = spec(manifest() if after is None else after.raw, emit=emit)
    then = carried(state, to)
    assert then.kernel.migrate(state) == state
    twin.model = after
    twin.scores, twin.signals = [], []
    frames = feed(then, records[cut:])
    for record in records[cut:]:
        twin.take(record)
    last = max(record["event_time"] for record in records) + 3 * DAY
    frames += then.advance(last)
    twin.ticks(last)
    as_the_twin_says(frames, twin)


def test_the_state_is_laid_out_as_with_a_logistic_model(models: dict[str, Trained]) -> None:
    """Alone and beside another set, so that the other set's bytes stand where they stood."""
    for sets in (("churn",), ("churn", "clv")):
        plain = parts_of(OperatorSpec(manifest(), clv_manifest(), feature_sets=sets))
        for family in FAMILIES:
            parts = parts_of(OperatorSpec(models[family].raw, clv_manifest(), feature_sets=sets))
            assert [(part.size, part.tail, part.places().tolist()) for part in parts] == [
                (part.size, part.tail, part.places().tolist()) for part in plain
            ]


@pytest.mark.parametrize("family", FAMILIES)
def test_beside_lifetime_value_each_scores_as_if_it_were_alone(models: dict[str, Trained], family: str) -> None:
    order = {"type": "Purchase", "customer_id": "c", "event_id": "o", "event_time": files.START, "order_id": "o", "amount": 9.0}
    records = [record | {"customer_id": "c"} for record in [order, *files.months(seed=2, customers=2, each=40)]]
    made: list[list[dict[str, Any]]] = []
    for sets in (("churn", "clv"), ("churn",), ("clv",)):
        operator = HostOperator(OperatorSpec(models[family].raw, clv_manifest(), emit="every", feature_sets=sets))
        made.append(scores_of(feed(operator, records)))
    together, churn, clv = made
    assert [score for score in together if score["score"] == "churn"] == churn
    assert [score for score in together if score["score"] != "churn"] == clv
    assert len(churn) > 40
    assert clv


@pytest.mark.parametrize("family", FAMILIES)
def test_replay_scores_as_predict_does_on_rows_of_features(
    models: dict[str, Trained], keepline: Command, tmp_path: Path, family: str
) -> None:
    """Events in order of time: the last score of a moment is that of the row at the moment. One moment a customer, ticks among them."""
    events = sorted(files.months(seed=12, customers=60, each=40), key=lambda event: event["event_time"])
    source = files.write(tmp_path / "e.jsonl", files.lines(events, bad=False))
    folder = models[family].folder
    arguments = ("--events", source, "--model", folder, "--out", "out", "--emit", "every", "--policy", policy_file(tmp_path))
    done = keepline("replay", "retention", *arguments)
    assert done.code == 0, done.err
    scores = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {score["model_id"] for score in scores} == {f"churn-{family}"}
    last = {(score["customer_id"], score["as_of"]): score for score in scores}
    of: dict[str, list[dict[str, Any]]] = {}
    for (customer, _), score in last.items():
        of.setdefault(customer, []).append(score)
    picked = {customer: made[(7 * number) % len(made)] for number, (customer, made) in enumerate(of.items())}
    assert {bool(score["event_id"]) for score in picked.values()} == {True, False}, "ticks and events"
    asked = [f"{customer},{to_rfc3339(score['as_of'])}" for customer, score in picked.items()]
    files.write(tmp_path / "q.csv", ["customer_id,at", *asked])
    assert keepline("features", "churn", "--events", source, "--at", "q.csv", "--out", "rows.csv").code == 0
    assert keepline("predict", "--model", folder, "--features", "rows.csv", "--out", "p.csv").code == 0
    predicted = pd.read_csv(tmp_path / "p.csv", float_precision="round_trip").set_index("customer_id")["probability"]
    assert len(predicted) == len(picked) >= 60
    for customer, score in picked.items():
        assert score["value"] == pytest.approx(predicted[customer], abs=SAME), customer
    interventions = (tmp_path / "out" / "interventions.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["model_id"] for line in interventions} == {f"churn-{family}"}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_logistic_model_has_compiled_serves_trees(models: dict[str, Trained], family: str) -> None:
    """So a warm standby, which binds one model, has the code of all, and none is compiled at the first event."""
    records = files.months(seed=2, customers=2, each=10)
    feed(HostOperator(spec(manifest())), records)
    with install_recorder("numba:compile") as compiled:
        assert feed(HostOperator(spec(models[family].raw)), records)
    assert not compiled.buffer


def test_a_changed_forest_is_refused_where_the_operator_opens(models: dict[str, Trained]) -> None:
    raw = models["trees"].raw
    raw["forest"]["value"][3] += 0.5
    with pytest.raises(Exception, match="it was changed or damaged"):
        HostOperator(spec(raw))
    raw["forest"]["left"][0] = 0
    raw["sha256"] = checksum(raw)
    with pytest.raises(Exception, match="the forest is damaged"):
        HostOperator(spec(raw))
