"""The operator attached from Python, in a MiniCluster."""

import re
from collections import Counter

import pytest

from keepline.jobs.retention import RetentionJob
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.java import ROOT
from keepline.operators.stream import BLOCK, OperatorOptions, StatesError, channel, customer_stream, require_block

from .conftest import collect, collection, event, spec

KERNEL = "counting_kernel"


@pytest.mark.parametrize(("parallelism", "options"), [(1, OperatorOptions()), (2, OperatorOptions(batch=7, capacity=9))])
def test_every_event_is_counted_once(environment, parallelism, options):
    keys = [b"c%d" % (i * i % 40) for i in range(3000)]
    stream = customer_stream(collection(environment(parallelism), map(event, keys)), KERNEL, spec(), options)
    last: Counter[bytes] = Counter()
    for frame in collect(stream):
        last[frame.key] += 1
        assert int(frame.value.split()[0]) == last[frame.key]
    assert last == Counter(keys)


def test_a_restart_in_the_same_process_counts_on(environment, tmp_path):
    # The interpreter is closed and opened again in one JVM: see the note on references in PythonCalls.java.
    once = b"raise-once:" + str(tmp_path / "raised").encode()
    keys = [b"c%d" % (i % 5) for i in range(500)]
    events = [event(key, once if i == 400 else b"count") for i, key in enumerate(keys)]
    frames = collect(customer_stream(collection(environment(), events), KERNEL, spec()))
    assert (tmp_path / "raised").exists()
    assert {frame.key: max(int(f.value.split()[0]) for f in frames if f.key == frame.key) for frame in frames} == Counter(keys)


def test_channels_are_told_apart(environment):
    stream = customer_stream(collection(environment(), [event(b"a"), event(b"b")]), KERNEL, spec())
    assert len(collect(channel(stream, 0, 63))) == 2
    stream = customer_stream(collection(environment(), [event(b"a"), event(b"b")]), KERNEL, spec())
    assert collect(channel(stream, 1, 2)) == []
    with pytest.raises(ValueError, match="from 0 to 63"):
        channel(stream, 64)


def test_options_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="capacity 256 must be larger than batch 256"):
        OperatorOptions(capacity=256)
    with pytest.raises(ValueError, match="out_bytes is 10"):
        OperatorOptions(out_bytes=10)


def test_more_resident_states_than_a_block_holds_are_refused_at_submit():
    require_block(0, 3072)
    require_block(698_367, 3072)
    with pytest.raises(StatesError, match=r"resident_states is 698,368: a subtask's block holds at most 698,367 states of 3,072 bytes"):
        RetentionJob.from_settings(RetentionSettings(resident_states=698_368))


def test_the_bound_at_submit_is_the_slabs_own():
    source = (ROOT / "operators/jvm/src/main/java/io/keepline/Slab.java").read_text(encoding="utf-8")
    factor, bits = re.search(r"\bint PAGE = (\d+) << (\d+);", source).groups()
    assert "return (Integer.MAX_VALUE - PAGE) / stateSize;" in source
    assert 2**31 - 1 - (int(factor) << int(bits)) == BLOCK
