"""The contact policy behind the customer operator, without Flink: what goes to the live view, in which order, and what takes it away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keepline.operators.host import HostOperator
from keepline.operators.hostpolicy import HostPolicy
from keepline.operators.spec import OperatorSpec
from keepline.schemas.packed import DECISIONS, INTERVENTIONS, SCORES, VIEW_ONLY, Frame, Record, pack_record
from keepline.schemas.records import to_record
from tests.jobs.models_for_tests import manifest
from tests.jobs.policy_files import policy
from tests.whole.history import DAY, HOUR, START, encoded

SEEN = (SCORES, INTERVENTIONS, DECISIONS)


def run(folder: Path, *events: dict[str, Any]) -> list[Frame]:
    """The frames for the sinks that these events of one customer lead to."""
    spec = OperatorSpec(manifest(intercept=20.0), emit="every", policy=policy(folder, "1d"))
    host, decided = HostOperator(spec), HostPolicy(spec)
    frames: list[Frame] = []
    for number, event in enumerate(events):
        whole = {"customer_id": "c", "event_id": f"e{number}"} | event
        frames += decided.take(host.add(b"c", pack_record(Record(b"c", encoded(whole), 0, 0, number))))
    return [*frames, *decided.take(host.flush())]


def call(time: int) -> dict[str, Any]:
    return {"type": "Call", "event_time": time, "duration_s": 60.0}


def erasure(time: int) -> dict[str, Any]:
    return {"type": "Erasure", "event_time": time, "request_id": "r"}


def view(frames: list[Frame]) -> dict[int, Frame]:
    """What a naive view holds by channel: the newest by as_of and sequence, tombstones too."""
    held: dict[int, Frame] = {}
    for frame in frames:
        if frame.channel in SEEN:
            assert (frame.value == b"") or to_record(frame.value)
            before = held.get(frame.channel)
            if before is None or (frame.as_of, frame.sequence) > (before.as_of, before.sequence):
                held[frame.channel] = frame
    return held


def test_records_of_one_moment_are_told_apart(tmp_path: Path) -> None:
    made = run(tmp_path, call(START), call(START + DAY), call(START + 2 * DAY))
    offered, decided = ([frame for frame in made if frame.channel == channel] for channel in (INTERVENTIONS, DECISIONS))
    # At the end the first offer's ticket and a third offer, at one moment.
    expected = [(START, 1), (START + DAY, 2), (START + 2 * DAY, 3), (START + 2 * DAY, 4)]
    assert [(frame.as_of, frame.sequence) for frame in offered] == expected
    emitted = [frame for frame in decided if to_record(frame.value)[1]["result"] == "EMITTED"]
    assert [(frame.as_of, frame.sequence) for frame in emitted] == expected
    assert all(frame.sequence > 0 for frame in made if frame.channel in SEEN)


@pytest.mark.parametrize("behind", [0, 1, HOUR // 2, 20 * DAY])
def test_an_erasure_empties_the_view_however_old_its_time_is(tmp_path: Path, behind: int) -> None:
    made = run(tmp_path, call(START - DAY), call(START), erasure(START - behind))
    assert {channel: frame.value for channel, frame in view(made).items()} == dict.fromkeys(SEEN, b"")
    gone = [frame for frame in made if not frame.value]
    assert [(frame.channel, frame.key, bool(frame.flags & VIEW_ONLY)) for frame in gone] == [
        (SCORES, b"c|churn|CHAMPION", False), (INTERVENTIONS, b"c", True), (DECISIONS, b"c", True),
    ]  # fmt: skip
    back = view(run(tmp_path, call(START - DAY), call(START), erasure(START - behind), call(START + 1)))
    assert all(frame.value for frame in back.values()), "who comes back is seen again"
    assert {frame.as_of for frame in back.values()} == {START + 1}
