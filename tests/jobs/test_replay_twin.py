"""The compiled replay against its twin, line by line and byte by byte, from every format; and the pieces it is made of."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.jobs.replay import Outputs, Replay
from keepline.jobs.scorelines import ScoreLines
from keepline.operators import host, stats
from keepline.operators.hostpolicy import HostPolicy
from keepline.operators.slots import FIRST, Slots
from keepline.operators.spec import CHANNELS, OperatorSpec
from keepline.schemas.files import read_blocks
from keepline.schemas.packed import SCORES, Frame, pack_frame
from keepline.schemas.records import from_record, to_json
from tests.jobs import cli_files as files
from tests.jobs.models_for_tests import manifest
from tests.jobs.naive_replay import NaiveReplay
from tests.jobs.policy_files import policy
from tests.schemas import event_files as make

DAY = files.DAY


def compiled(spec: OperatorSpec, paths: list[Path], folder: Path, wall: int = 0, batch: int = 2048) -> tuple[dict[str, list[str]], Replay]:
    events = read_blocks(paths)
    with Outputs(folder, events.names, HostPolicy(spec)) as out:
        replay = Replay(spec, events.names, out, wall, batch)
        for block in events.blocks:
            replay.block(block)
        replay.end()
    lines = {name: (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() for name in CHANNELS}
    assert out.written == {name: len(found) for name, found in lines.items()}
    return lines, replay


def history(dice: random.Random) -> list[make.Event]:
    """Some customers' events: out of order, twice, late, silent for long, with values that no decoder takes."""
    found = files.months(seed=dice.randrange(10**6), customers=dice.randrange(1, 9), each=dice.randrange(1, 40))
    for number in range(len(found) // 12):
        found[dice.randrange(len(found))]["customer_id"] = dice.choice(["", "x" * 129, 'q"u\\o\te\u0001', "Ünï🎈", f"new{number}"])
        extra = dict(found[dice.randrange(len(found))])
        extra["event_id"] = dice.choice(["", "nul\0", "e" * 400, "\n", extra["event_id"]])
        extra["event_time"] += dice.choice([0, 5 * DAY, -100 * DAY, dice.choice([30, 450]) * DAY, -(40 * 365 * DAY), 90 * 365 * DAY])
        found.insert(dice.randrange(len(found)), extra)
    if dice.random() < 0.3:
        found.append(found[0] | {"type": "PageView", "page": "x" * 300_000, "event_id": "big"})
    return found


def split(dice: random.Random, events: list[make.Event], folder: Path) -> list[Path]:
    """The events in one file or in several, of any format; some lines are none."""
    how = dice.choice(["lines", "bad lines", "by type", "by type"])
    if how != "by type":
        return [files.write(folder / "e.jsonl", files.lines(events, bad=how == "bad lines"))]
    for name in sorted({event["type"] for event in events}):
        own = [{k: v for k, v in event.items() if v is not None} for event in events if event["type"] == name]
        format_ = dice.choice(["avro", "parquet", "jsonl", "foreign"])
        if format_ == "avro":
            make.write_avro(folder / f"{name}.avro", own, sync_interval=dice.choice([200, 16_000]))
        elif format_ == "foreign":
            make.write_foreign_avro(folder / f"{name}.avro", own)
        elif format_ == "parquet":
            make.write_parquet(folder / f"{name}.parquet", own)
        else:
            make.write_json(folder / f"{name}.jsonl", own)
    return [folder]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("emit", ["delta", "every", "band"])
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), batch=st.sampled_from([1, 7, 256, 2048]), cooldown=st.sampled_from(["1d", "30d"]))
def test_every_line_is_the_twins(emit: Any, seed: int, batch: int, cooldown: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    dice, folder = random.Random(seed), tmp_path_factory.mktemp("in")
    paths = split(dice, history(dice), folder)
    wall = dice.choice([0, files.START + 100 * DAY])
    spec = OperatorSpec(manifest(), emit=emit, policy=policy(tmp_path_factory.mktemp("policy"), cooldown))
    found, replay = compiled(spec, paths, tmp_path_factory.mktemp("out"), wall, batch)
    twin = NaiveReplay(spec, dice.choice([1, 256]), wall).run(paths)
    for name in CHANNELS:
        assert found[name] == twin.out[name], name
    assert int(replay.operator.kernel.stats[stats.DUPLICATES]) == twin.duplicates
    assert replay.operator.states() == twin.operator.states()
    assert replay.operator.customers() == len(twin.operator.states())


def test_more_customers_than_the_first_table_holds(tmp_path: Path) -> None:
    """States, keys and slots survive that all of them move."""
    message = {"type": "Message", "event_time": files.START}
    events = [message | {"customer_id": f"c{i % 3000}", "event_id": f"e{i}"} for i in range(7000)]
    path = make.write_avro(tmp_path / "a.avro", events)
    spec = OperatorSpec(manifest(), emit="every")
    found, replay = compiled(spec, [path], tmp_path / "out")
    assert len(found["scores"]) == 7000
    assert found == NaiveReplay(spec).run([path]).out
    assert replay.operator.customers() == 3000


def test_slots_are_numbered_as_keys_come() -> None:
    slots, names = Slots(), [b"", b"a", b"ab", *(b"%d" % i for i in range(4 * FIRST)), b"x" * 128]
    for number, name in enumerate(names):
        if slots.find(name) < 0:
            slots.grow()
        assert slots.find(name) == number
    assert [slots.find(name) for name in names] == list(range(len(names)))
    assert [slots.key(i) for i in range(len(names))] == names
    assert len(slots) == len(names)
    assert slots.find(b"x" * 129) == slots.find(b"x" * 128), "no customer has so long a key"


def test_a_small_output_buffer_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write(tmp_path / "e.jsonl", files.lines(files.months(seed=3)))
    spec = OperatorSpec(manifest(), emit="every", policy=policy(tmp_path, "1d"))
    roomy, _ = compiled(spec, [path], tmp_path / "a")
    monkeypatch.setattr(host, "OUT_BYTES", 20_000)
    monkeypatch.setattr(host, "EVENT_BYTES", 5_000)
    tight, _ = compiled(spec, [path], tmp_path / "b")
    assert tight == roomy


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e-4, 9.999e-5, 1e15, 1e16, 1e22, 5e-324, 123456789012345680.0, 0.1, 1 / 3]),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_lines_of_scores_are_pythons(data: st.DataObject) -> None:
    """Any score with three reasons: the same bytes as json.dumps."""
    records, buffer = [], bytearray()
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.booleans()):
            buffer += pack_frame(Frame(3, 0, 0, 0, b"k", b"another channel"))
        number, text = (lambda: data.draw(NUMBERS)), (lambda: data.draw(TEXT))
        record = {
            "customer_id": text(), "score": data.draw(st.sampled_from(["churn", "p_alive"])), "value": number(),
            "band": data.draw(st.sampled_from(["LOW", "MEDIUM", "HIGH"])), "as_of": data.draw(st.integers(-(2**62), 2**62)),
            "event_id": text(), "model_id": text(), "model_version": data.draw(st.integers(-(2**31), 2**31 - 1)),
            "role": data.draw(st.sampled_from(["CHAMPION", "SHADOW"])),
            "reasons": [{"feature": text(), "value": number(), "contribution": number()} for _ in range(3)],
        }  # fmt: skip
        records.append(record)
        buffer += pack_frame(Frame(SCORES, 1, 2, 3, b"key", from_record("Score", record)))
    lines, count, others = ScoreLines().take(np.frombuffer(buffer, np.uint8))
    assert count == len(records)
    assert bytes(lines).decode() == "".join(to_json(record) + "\n" for record in records)
    assert all(buffer[start + 4] == 3 for start in others)
    assert [json.loads(line) for line in bytes(lines).splitlines()] == records
