"""Rare work: single calls against the bytes as RareKernel.java has them, then whole jobs on a MiniCluster against a naive count."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from keepline.operators import code, rare, runtime
from keepline.operators.kafka import watermarks
from keepline.operators.spec import OperatorSpec
from keepline.operators.stream import MODULE, customer_stream, rare_stream
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import SCORES, Frame, Record, frames, pack_frame, pack_record
from tests.jobs.models_for_tests import manifest
from tests.operators.rare_kernels import CLAIM, COUNTED, WOKEN
from tests.whole.history import START, Crowd, Sent

from .conftest import collection, spec
from .test_code import changed, forgotten, seal  # noqa: F401 - the fixture

HOUR = 3_600_000
TOLD = "tests.operators.rare_kernels:Told"
COUNTING = "tests.operators.rare_kernels:Counting"
FRAME = Frame(63, 5, 77, 3, b"key", b"value", flags=1)


def call(what: int, due: int, key: bytes, state: bytes | None, frame: bytes = b"", data: bytes = spec(kind=TOLD)) -> Any:
    """One call through `entry`, packed by hand; closed again."""
    handle = runtime.entry(8, 0, 0, 0, 0, data)
    assert isinstance(handle, int)
    packed = struct.pack("<i", len(key)) + key + struct.pack("<i", -1 if state is None else len(state)) + (state or b"") + frame
    try:
        return runtime.entry(9, handle, what, due, 0, packed)
    finally:
        assert runtime.entry(4, handle, 0, 0, 0, None) == 0


@pytest.mark.parametrize("state", [None, b"", b"\xff" * 300])
def test_a_step_with_a_frame(state: bytes | None) -> None:
    left = b"%r %r" % (b"key", state)
    expected = struct.pack("<i", len(left)) + left + struct.pack("<q", 1234) + pack_frame(FRAME) + pack_frame(FRAME._replace(channel=9))
    assert call(0, 0, b"key", state, pack_frame(FRAME)) == expected


def test_a_state_unchanged_dropped_and_empty() -> None:
    same = call(0, 0, b"key", b"old", pack_frame(FRAME._replace(value=b"same")))
    assert same == struct.pack("<iq", -2, -(2**63))
    assert call(0, 0, b"key", b"old", pack_frame(FRAME._replace(value=b"drop"))) == struct.pack("<iq", -1, 0)
    fired = call(1, 2000, b"", b"old")
    assert fired == struct.pack("<iq", 0, 2001) + pack_frame(Frame(5, 1, 2000, 0, b"", b"old"))
    assert call(1, 2000, b"k", None).endswith(b"none")


def test_a_refusal_is_text_and_a_bug_is_raised() -> None:
    assert call(0, 0, b"key", None, pack_frame(FRAME._replace(value=b"refuse"))) == "a state of version 9: run the release that wrote it"
    with pytest.raises(ZeroDivisionError):
        call(0, 0, b"key", None, pack_frame(FRAME._replace(value=b"raise")))
    with pytest.raises(ValueError, match="the frame at 0 says"):
        call(0, 0, b"key", None, pack_frame(FRAME)[:-1])


def test_metrics_and_unknown_calls() -> None:
    handle = runtime.entry(8, 0, 0, 0, 0, code.sealed(spec(kind=COUNTING)))
    assert json.loads(runtime.entry(6, handle, 0, 0, 0, None)) == [{"kind": "frames", "name": "counted_total", "channel": COUNTED}]
    with pytest.raises(ValueError, match="unknown operation 5"):
        runtime.entry(5, handle, 0, 0, 0, b"")
    assert runtime.entry(4, handle, 0, 0, 0, None) == 0
    with pytest.raises(KeyError):
        runtime.entry(6, handle, 0, 0, 0, None)
    told = runtime.entry(8, 0, 0, 0, 0, spec(kind=TOLD))
    assert runtime.entry(6, told, 0, 0, 0, None) == b"[]"
    assert runtime.entry(4, told, 0, 0, 0, None) == 0


def test_a_job_of_other_code_runs_it() -> None:
    theirs = seal(changed("operators/rare.py", "return json.dumps(list(kernel.describe())).encode()", 'return b"theirs"'), spec(kind=TOLD))
    handle = runtime.entry(8, 0, 0, 0, 0, theirs)
    assert runtime.entry(6, handle, 0, 0, 0, None) == b"theirs"
    assert runtime.entry(4, handle, 0, 0, 0, None) == 0
    assert call(1, 2000, b"k", None, data=theirs) == call(1, 2000, b"k", None)


def test_kinds_are_of_the_package_that_opens_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rare.KINDS, "contacts", "no_such_module:Contacts")
    with pytest.raises(ModuleNotFoundError, match=r"keepline\.operators\.no_such_module"):
        rare.open_kernel(spec(kind="contacts"))
    monkeypatch.setattr(rare, "__name__", "keepline_0123456789abcdef.operators.rare")
    with pytest.raises(ModuleNotFoundError, match="keepline_0123456789abcdef"):
        rare.open_kernel(spec(kind="contacts"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected JSON such as"),
        (b"[]", "expected JSON such as"),
        (b'{"type": "contacts"}', "expected JSON such as"),
        (b'{"kind": "contact"}', r"kind 'contact': expected one of contacts, budgets, or 'module:Class'"),
    ],
)
def test_a_spec_that_names_no_kernel_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(KeeplineError, match=words):
        rare.open_kernel(data)


# ── on a MiniCluster ──


def collect(stream: Any) -> list[Frame]:
    """Runs the job and returns its frames; past PyFlink's own iterator, which takes some 40 ms an element."""
    found: list[Frame] = []
    with stream.execute_and_collect() as results:
        blocks = results._j_closeable_iterator
        while blocks.hasNext():
            found += frames(bytes(blocks.next()))
    return found


def timed(env: Any, records: Iterable[bytes]) -> Any:
    """The records in their order, with event time that follows them at once (bound 0)."""
    return collection(env, records).assign_timestamps_and_watermarks(watermarks(0)).set_parallelism(1)


def history(keys: int = 20, events: int = 600) -> list[tuple[bytes, int]]:
    """Keys and times, in the order of time; then one event so much later that every wake before it is due."""
    events_ = [(b"c%d" % (i * i % keys), START + i * 7 * 60_000 + (i % 3)) for i in range(events)]
    return [*events_, (b"end", events_[-1][1] + 10 * HOUR)]


def naive(sequence: Iterable[tuple[bytes, int]], last: int) -> dict[bytes, list[tuple[int, int, int]]]:
    """Per key, in order: (channel, as_of, count)."""
    out: dict[bytes, list[tuple[int, int, int]]] = defaultdict(list)
    times: dict[bytes, list[int]] = defaultdict(list)
    for key, time in sequence:
        times[key].append(time)
    for key, mine in times.items():
        wake = 0
        for count, time in enumerate(mine, 1):
            if wake and wake <= time:
                out[key].append((WOKEN, wake, count - 1))
                wake = 0
            wake = wake or time + HOUR
            out[key].append((COUNTED, time, count))
        if wake <= last:
            out[key].append((WOKEN, wake, len(mine)))
    return out


def by_key(found: Iterable[Frame], *channels: int) -> dict[bytes, list[tuple[int, int, int]]]:
    out: dict[bytes, list[tuple[int, int, int]]] = defaultdict(list)
    for frame in found:
        if frame.channel in channels:
            assert int(frame.value) == frame.sequence
            out[frame.key].append((frame.channel, frame.as_of, frame.sequence))
    return out


def vertices(env: Any) -> list[Any]:
    """The tasks of the job."""
    return list(env._j_stream_execution_environment.getStreamGraph(False).getJobGraph().getVerticesSortedTopologicallyFromSources())


def tasks(env: Any) -> list[tuple[str, int]]:
    """Names, with all that is chained, and parallelisms."""
    return [(str(vertex.getName()), vertex.getParallelism()) for vertex in vertices(env)]


@pytest.mark.parametrize("parallelism", [1, 2])
def test_states_and_timers_of_every_key(environment: Callable[..., Any], parallelism: int) -> None:
    events = history()
    env = environment(parallelism)
    source = timed(env, (pack_record(Record(key, b"count", event_time=time)) for key, time in events))
    counted = customer_stream(source, "counting_kernel", spec())
    stream = rare_stream(counted, 0, code.sealed(spec(kind=COUNTING)), uid="contacts")
    expected = naive(events, events[-1][1] - 1)
    assert sum(channel == WOKEN for found in expected.values() for channel, *_ in found) > 60
    assert expected[b"end"] == [(COUNTED, events[-1][1], 1)], "the end of the input is no time at which anything is due"
    assert by_key(collect(stream), COUNTED, WOKEN) == expected


def test_a_failure_is_made_up_for(environment: Callable[..., Any], tmp_path: Path) -> None:
    # 200 ms between checkpoints, and more than a second until it fails: the restart is from one.
    events = history(keys=10, events=900)
    failed = tmp_path / "failed"
    source = timed(environment(2), (pack_record(Record(key, b"count", event_time=time)) for key, time in events))
    told = spec(kind=COUNTING, fail=str(failed), at=120, pause=0.003)
    stream = rare_stream(customer_stream(source, "counting_kernel", spec()), 0, told, uid="contacts")
    assert by_key(collect(stream), COUNTED, WOKEN) == naive(events, events[-1][1] - 1)
    assert failed.exists()
    assert int((tmp_path / "failed.restored").read_text()) > 0


def packed(records: Iterable[Sent]) -> list[bytes]:
    return [pack_record(Record(r.key, r.value or b"", 0, r.partition, offset)) for offset, r in enumerate(records)]


@pytest.mark.parametrize("parallelism", [1, 2])
def test_two_rare_operators_behind_the_compiled_one(environment: Callable[..., Any], parallelism: int) -> None:
    # Three interpreters in one TaskManager. Chained in one task they would run for ever without output, once numba is loaded.
    env = environment(parallelism)
    source = timed(env, packed(Crowd(seed=5, customers=5).active(START, 2, 60)))
    scored = customer_stream(source, MODULE, code.sealed(OperatorSpec(manifest=manifest(), emit="every").dumps()))
    contacts = rare_stream(scored, SCORES, code.sealed(spec(kind=COUNTING, claims=True)), uid="contacts", name="contacts")
    budgets = rare_stream(contacts, CLAIM, code.sealed(spec(kind=COUNTING)), uid="budgets", name="budgets", parallelism=1)
    every = scored.union(contacts, budgets)
    chained = [[name for name in ("customer", "contacts", "budgets") if name in task] for task, _ in tasks(env)]
    assert sorted(filter(None, chained)) == [["budgets"], ["contacts"], ["customer"]]
    found = collect(every)
    scores: dict[bytes, list[int]] = defaultdict(list)
    for frame in found:
        if frame.channel == SCORES:
            scores[frame.key].append(frame.as_of)
    assert len(scores) > 4
    counted = by_key(found, COUNTED)
    total = sum(map(len, scores.values()))
    assert [count for _, _, count in counted.pop(b"all")] == list(range(1, total + 1))
    assert counted == {key: [(COUNTED, time, n) for n, time in enumerate(times, 1)] for key, times in scores.items()}
    assert any(frame.channel == WOKEN for frame in found)


def test_frames_are_taken_apart_where_they_are_made(environment: Callable[..., Any]) -> None:
    # Spread over two subtasks, as Flink would by itself, the frames of a key would lose their order.
    env = environment(2)
    made = rare_stream(collection(env, [pack_frame(FRAME)]), 63, spec(kind=COUNTING), uid="contacts", parallelism=1)
    rare_stream(made, COUNTED, spec(kind=COUNTING), uid="budgets")
    assert tasks(env) == [("Source: Collection Source -> frames", 1), ("contacts -> frames", 1), ("budgets", 2)]
    assert [vertex.getMaxParallelism() for vertex in vertices(env)][1:] == [128, 128]
