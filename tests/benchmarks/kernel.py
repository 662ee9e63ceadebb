"""The kernel alone: from the bytes of an event to its score with reasons, no Kafka and no JVM.

`Feed` hands batches to a `CustomerKernel` as the JVM shell does. The stages are timed by kernels that stop after each:
every stage has events of its own on the same warm states, so the rows of the table are cumulative. Times are CPU time of the one
thread: the same as the wall clock on an idle machine, and less disturbed on another.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keepline.features.kernel import admit_at, read_at, update_at
from keepline.features.layout import W_NOW, W_SEQUENCE
from keepline.features.plan import P_HOT
from keepline.features.words import get, get_count, put
from keepline.models.scorer import score, top3
from keepline.operators import context as k
from keepline.operators import customer_kernel as ck
from keepline.operators import entries
from keepline.operators import layout as at
from keepline.operators.arrays import floats, ints
from keepline.operators.batched import BatchKernel
from keepline.operators.customer import CustomerKernel
from keepline.operators.frames import put_score
from keepline.operators.spec import OperatorSpec
from keepline.schemas.decode import decode_at
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i32, prefetch
from tests.benchmarks import events

MANIFEST = Path(__file__).parents[2] / "models" / "pretrained" / "churn" / "1" / "manifest.json"
BATCH = 256
OUT_BYTES, EVENT_BYTES = 1 << 20, 1 << 20
STAGES = ("decode", "+ validate, duplicate", "+ update", "+ read", "+ score", "+ reasons, frame")


class Feed:
    """A kernel over arrays of its own, one state for each customer of the stream: by default a `CustomerKernel` of churn, `emit` every."""

    def __init__(
        self, customers: int, batch: int = BATCH, spec: OperatorSpec | None = None,
        of: Callable[[OperatorSpec], BatchKernel] = CustomerKernel,
    ) -> None:  # fmt: skip
        self.kernel = of(spec or OperatorSpec(json.loads(MANIFEST.read_bytes()), emit="every"))
        self.batch = batch
        self.block = np.zeros(customers * self.kernel.state_size + 64, np.uint8)
        # On a cache line, as the JVM's buffers are.
        skip = -self.block.ctypes.data % 64
        self.block = self.block[skip : skip + customers * self.kernel.state_size]
        io = np.zeros(at.io_layout(batch, OUT_BYTES, EVENT_BYTES).total + 64, np.uint8)
        self.kernel.bind(self.block, io[-io.ctypes.data % 64 :], batch, OUT_BYTES, EVENT_BYTES)

    def load(self, made: events.Events, first: int) -> int:
        """Puts the next batch into the io buffer; returns its entries."""
        n = min(self.batch, made.customer.shape[0] - first)
        begin, end = made.at[first], made.at[first + n]
        kernel = self.kernel
        kernel.events[: end - begin] = made.buffer[begin:end]
        kernel.offs[:n] = made.at[first : first + n] - begin
        kernel.lens[:n] = np.diff(made.at[first : first + n + 1])
        kernel.slots[:n] = made.customer[first : first + n]
        kernel.hdr[at.FIRST] = 0
        return n

    def run(self, made: events.Events, each: Callable[[Any, int], object] | None = None) -> float:
        """Runs all events through the kernel's `run`; returns the CPU seconds inside it. `each` sees every batch's frames."""
        spent = 0.0
        for start in range(0, made.customer.shape[0], self.batch):
            n, done = self.load(made, start), 0
            while done < n:
                self.kernel.hdr[at.FIRST] = done
                begin = time.thread_time()
                done += self.kernel.run(n, -(1 << 62), 0)
                spent += time.thread_time() - begin
                if each:
                    each(self.kernel.out, int(self.kernel.hdr[at.OUT_BYTES]))
        return spent

    def stage(self, made: events.Events, depth: int) -> float:
        """CPU seconds for all events up to a stage (1 = decode alone)."""
        kernel, spent = self.kernel, 0.0
        for start in range(0, made.customer.shape[0], self.batch):
            n = self.load(made, start)
            kernel.hdr[at.OUT_BYTES] = 0
            begin = time.thread_time()
            staged(kernel._address, n, depth)
            spent += time.thread_time() - begin
        return spent


@njit
def staged(c: int, n: int, depth: int) -> None:
    """`customer_kernel.run` without ticks, timers, rejects and candidates, stopping each event after stage `depth`."""
    hdr, buf, block, size, plan = get(c, k.HDR), get(c, k.EVENTS), get(c, k.BLOCK), get(c, k.STATE), get(c, k.PLAN_INTS)
    slots, offs, hot = get(c, k.SLOTS), get(c, k.OFFS), get(plan, P_HOT)
    ri, rf, rs, rn, width = get(c, k.RI), get(c, k.RF), get(c, k.RS), get(c, k.RN), get(c, k.FEATURES)
    x, contrib, top = floats(get(c, k.X), width), floats(get(c, k.CONTRIB), width), ints(get(c, k.TOP), 3)
    kind, coef, center = ints(get(c, k.KIND), width), floats(get(c, k.COEF), width), floats(get(c, k.CENTER), width)
    intercept, names = load_f64(get(c, k.FLOATS), k.INTERCEPT), get(c, k.NAMES)
    for i in range(n):
        if depth > 1 and i + entries.AHEAD_ENTRIES < n:
            coming = block + get_count(slots, 4 * (i + entries.AHEAD_ENTRIES)) * size
            for line in range(0, hot, 64):
                prefetch(coming + line)
        o = get_count(offs, 4 * i)
        state = block + get_count(slots, 4 * i) * size
        key_len, value_len = load_i32(buf, o + 40), load_i32(buf, o + 44)
        if depth == 1:
            decode_at(buf, o + 48 + key_len, o + 48 + key_len + value_len, get(c, k.PROGRAMS), ri, rf, rs, rn)
            continue
        _status, etype, _field = entries.validate(c, o + 48, key_len, value_len, False, 0)
        t = get(ri, 2)
        if admit_at(state, t, get(ri, 1), plan) != 0 or depth == 2:
            continue
        update_at(state, etype, t, get(ri, 1), ri, rf, rn, plan)
        put(state, W_SEQUENCE, get(state, W_SEQUENCE) + 1)
        ck.set_wake(c, state)
        if depth == 3:
            continue
        read_at(state, get(state, W_NOW), plan, get(c, k.PLAN_FLOATS), get(c, k.X))
        if depth == 4:
            continue
        value = score(x, kind, coef, center, intercept, contrib)
        if depth == 5:
            continue
        top3(contrib, top)
        end = put_score(
            get(c, k.OUT), get(hdr, at.OUT_BYTES), get(names, k.N_RAW), get(names, k.N_AT), buf, o + 48, key_len, get(rs, 2), get(rs, 3),
            value, 0, get(state, W_NOW), get(state, W_SEQUENCE), 0, x, contrib, top,
        )  # fmt: skip
        put(hdr, at.OUT_BYTES, end)


def measure(customers: int, n: int, say: Callable[[str], None]) -> dict[str, Any]:
    """ns an event after each stage and through `CustomerKernel`, and the µs that a call costs beside its events."""
    stream, feed = events.Stream(customers), Feed(customers)
    rounds, position = 5, max(10 * customers, n)
    say(f"kernel, {customers:,} customers")
    feed.run(events.make(stream, 0, position, packed=True))
    found: dict[str, list[float]] = {name: [] for name in (*STAGES, "CustomerKernel")}
    for _ in range(rounds):
        for depth, name in enumerate(STAGES, 1):
            made = events.make(stream, position, n, packed=True)
            position += n
            found[name].append(feed.stage(made, depth) / n * 1e9)
        made = events.make(stream, position, n, packed=True)
        position += n
        found["CustomerKernel"].append(feed.run(made) / n * 1e9)
    calls = 2000
    begin = time.thread_time()
    for _ in range(calls):
        feed.kernel.run(0, 0, 0)
    return {
        "customers": customers,
        "state_bytes": feed.kernel.state_size,
        "ns": {name: statistics.median(values) for name, values in found.items()},
        "ns_min": {name: min(values) for name, values in found.items()},
        "call_us": (time.thread_time() - begin) / calls * 1e6,
    }


def reference(stream: events.Stream, n: int) -> Any:
    """The score of each event of a stream, by the kernel without Flink: what the job must put out."""
    feed = Feed(stream.customers)
    scores, seen = np.full(n, np.nan), np.zeros(n, np.int32)
    step = 200_000
    for first in range(0, n, step):
        made = events.make(stream, first, min(step, n - first), packed=True)
        feed.run(made, lambda out, end: events.note_frames(out, end, scores, seen))
    if not (seen == 1).all():
        msg = f"{int((seen != 1).sum())} of {n} synthetic events have not exactly one score: the stream is not what it should be"
        raise RuntimeError(msg)
    return scores
