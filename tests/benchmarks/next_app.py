"""The next app: what the parts of an unlock cost in the kernel, and how long an unlock takes to its prediction in Redis.

    visits (unlocks.py) ──► states of all users ──► kernels that stop after retrieval, features, inference, format: ns an unlock
                        └─► the job, open loop  ──► created → Redis, created → committed

Stages are timed over unlocks alone, as in kernel.py; the opens between them go through the real kernel. Models are fitted here, to what
was opened in the stream, by the families of `keepline train next-app`; their prior is the stream's. A run of the job is void unless each
unlock that is to be answered has exactly one committed prediction, byte for byte the one that the kernel gives without Flink.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from keepline.features.layout import W_NEWEST, W_NEXT_WAKE, W_NOW, W_SEQUENCE
from keepline.features.next_app.kernel import admit_at, candidates_at, context_at, update_at
from keepline.features.next_app.layout import APPS, B_LAST, B_LENGTHS, B_TAGS, FEATURES, SIZE, W_SCREEN
from keepline.features.words import get, get_count, put
from keepline.models.next_app import manifest
from keepline.models.next_app.families import SHAPES, Examples, fit_logistic, fit_trees
from keepline.models.next_app.manifest import MOST_PRIOR, NextAppManifest, PriorApp, Term
from keepline.models.next_app.scorer import MOST, WORK_WORDS, predict
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.entries import AHEAD_ENTRIES, validate
from keepline.operators.next_app import NextAppKernel
from keepline.operators.next_app_kernel import RETENTION
from keepline.operators.prediction_frames import put_prediction
from keepline.operators.spec import NEXT_APP as FEATURE_SETS
from keepline.operators.spec import OperatorSpec
from keepline.schemas.jit import njit
from keepline.schemas.mem import address, load_i32, load_i64, prefetch
from keepline.schemas.packed import IN_HEADER
from keepline.schemas.status import OK
from keepline.schemas.text import hash64_of
from tests.benchmarks import events, kernel, latency, unlocks
from tests.benchmarks.job import NEXT_APP, PARTITIONS
from tests.benchmarks.unlocks import EACH, UNLOCK, Unlocks
from tests.models.next_app.models import made_up

USERS, RATE = 20_000, 5_000
"""RATE: unlocks a second; with the opens there are EACH times as many events."""
BUDGET_MS = {"retrieval": 20, "features": 30, "inference": 40, "format": 10}
"""By part. Retrieval: decode, validate, duplicate, the state found and updated. Features: the circumstances, and the rows of all
candidates. Inference: z of each, softmax, the prior, the likeliest five. Format: the frame."""
MOST_P99_MS = 50
"""The target of created → Redis."""
FAMILIES = ("logistic", "trees")
ROUNDS, TIMED, FITTED, COUNTED = 5, 20_000, 2_000, 80_000
"""TIMED: unlocks for each part in each round. FITTED: unlocks to whose candidates the models are fitted. COUNTED: visits for the prior."""
STEP = 200_000
DEEPEST = len(BUDGET_MS)
NO_WATERMARK = -(1 << 62)
_PLACES = 8 * (WORK_WORDS - MOST)
"""Where the scratch has room for the places of all candidates, in bytes."""


@njit
def staged(c: int, n: int, depth: int) -> None:
    """`next_app_kernel.run` over unlocks without ticks, timers and refusals, stopping each after part `depth` of BUDGET_MS."""
    hdr, buf, block, constants = get(c, k.HDR), get(c, k.EVENTS), get(c, k.BLOCK), get(c, k.CONSTANTS)
    ri, rs, rn, slots, offs = get(c, k.RI), get(c, k.RS), get(c, k.RN), get(c, k.SLOTS), get(c, k.OFFS)
    circumstances, work, model, most = get(c, k.CIRCUMSTANCES), get(c, k.WORK), get(c, k.MODEL), get(c, k.MOST_APPS)
    places, probabilities = get(c, k.APP_PLACES), get(c, k.PROBABILITIES)
    for i in range(n):
        if i + AHEAD_ENTRIES < n:
            coming = block + get_count(slots, 4 * (i + AHEAD_ENTRIES)) * SIZE
            for line in range(0, B_LAST, 64):
                prefetch(coming + line)
        o = get_count(offs, 4 * i)
        state = block + get_count(slots, 4 * i) * SIZE
        key_len, value_len = load_i32(buf, o + 40), load_i32(buf, o + 44)
        status, etype, _field = validate(c, o + IN_HEADER, key_len, value_len, False, 0)
        t = get(ri, 2)
        if status != OK or admit_at(state, t, get(ri, 1)) != OK:
            continue
        update_at(state, etype, t, get(ri, 1), ri, rn, rs, buf, constants)
        put(state, W_SEQUENCE, get(state, W_SEQUENCE) + 1)
        put(state, W_NEXT_WAKE, get(state, W_NEWEST) + RETENTION)
        if depth == 1:
            continue
        context_at(state, etype, t, ri, rn, circumstances)
        now = get(state, W_NOW)
        if depth == 2:
            candidates_at(state, now, circumstances, constants, work, work + _PLACES)
            continue
        told = predict(state, now, circumstances, model, work, places, probabilities, most)
        if depth == 3:
            continue
        end = put_prediction(
            get(c, k.OUT), get(hdr, at.OUT_BYTES), get(c, k.TEXTS), get(c, k.TEXTS_AT), buf, o + IN_HEADER, key_len, get(rs, 2), get(rs, 3),
            now, get(state, W_SEQUENCE), load_i64(buf, o + 24), state, model, places, probabilities, told,
        )  # fmt: skip
        put(hdr, at.OUT_BYTES, end)


@njit
def candidates_of(c: int, n: int, rows: Any, tags: Any, counts: Any) -> int:
    """Rows and name tags of the candidates of n unlocks, one behind the other, and how many each has; changes no state."""
    buf, ri, offs, slots = get(c, k.EVENTS), get(c, k.RI), get(c, k.OFFS), get(c, k.SLOTS)
    circumstances, places, found = get(c, k.CIRCUMSTANCES), get(c, k.WORK) + _PLACES, 0
    for i in range(n):
        o = get_count(offs, 4 * i)
        state = get(c, k.BLOCK) + get_count(slots, 4 * i) * SIZE
        _status, etype, _field = validate(c, o + IN_HEADER, load_i32(buf, o + 40), load_i32(buf, o + 44), False, 0)
        context_at(state, etype, get(ri, 2), ri, get(c, k.RN), circumstances)
        now = max(get(state, W_NOW), get(ri, 2))
        counts[i] = candidates_at(state, now, circumstances, get(c, k.CONSTANTS), address(rows) + 8 * len(FEATURES) * found, places)
        for place in range(counts[i]):
            tags[found + place] = get_count(state, B_TAGS + 4 * get(places, place))
        found += counts[i]
    return found


class Feed(kernel.Feed):
    """A `NextAppKernel` over arrays of its own, one state for each user."""

    def __init__(self, users: int, model: NextAppManifest, batch: int = kernel.BATCH) -> None:
        super().__init__(users, batch, spec(model), NextAppKernel)

    def stages(self, made: events.Events) -> Any:
        """CPU seconds an unlock up to each part, float64[parts]; the batches stop after the first part, the second, … in turn."""
        staged(self.kernel._address, 0, 1)  # compiles
        spent, counts = np.zeros(DEEPEST), np.zeros(DEEPEST)
        for number, start in enumerate(range(0, made.customer.shape[0], self.batch)):
            n, part = self.load(made, start), number % DEEPEST
            self.kernel.hdr[at.OUT_BYTES] = 0
            begin = time.thread_time()
            staged(self.kernel._address, n, 1 + part)
            spent[part] += time.thread_time() - begin
            counts[part] += n
        return spent / counts

    def states(self) -> Any:
        """The states' bytes, uint8[users, SIZE]."""
        return self.block.reshape(-1, SIZE)


def spec(model: NextAppManifest) -> OperatorSpec:
    """What the job tells its operator."""
    return OperatorSpec(feature_sets=FEATURE_SETS, next_app=manifest.as_mapping(model))


def prior(stream: Unlocks) -> list[PriorApp]:
    """The stream's apps by share of opens, as training keeps them."""
    apps = np.bincount(unlocks.opened(stream, 0, COUNTED), minlength=unlocks.APPS)
    kept = np.argsort(-apps, kind="stable")[:MOST_PRIOR]
    shares = apps[kept] / apps[kept].sum()
    return [PriorApp(app=unlocks.app_name(app), share=share) for app, share in zip(kept.tolist(), shares.tolist(), strict=True)]


def warmed(stream: Unlocks, say: Callable[[str], None] = lambda _: None) -> Feed:
    """A kernel with the states behind the backlog. Its model is of no account: states do not depend on it."""
    feed = Feed(stream.customers, made_up())
    for first in range(0, stream.backlog, STEP):
        say(f"next app, states: {first / stream.backlog:.0%}")
        feed.run(stream.make(first, min(STEP, stream.backlog - first), packed=True))
    return feed


def examples(feed: Feed, stream: Unlocks, n: int) -> Examples:
    """The candidates of the first n unlocks behind the backlog, and which of them was opened."""
    made = stream.make(stream.backlog, EACH * n, packed=True)
    made = unlocks.only(made, np.arange(EACH * n) % EACH == UNLOCK)
    names = [hash64_of(unlocks.app_name(app)) for app in range(unlocks.APPS)]
    tag = np.array(names, np.uint64).astype(np.uint32).astype(np.int32)
    opened = tag[unlocks.opened(stream, stream.backlog // EACH, n)]
    rows, chosen = [], []
    for start in range(0, n, feed.batch):
        m = feed.load(made, start)
        x, tags, counts = np.zeros((m * APPS, len(FEATURES))), np.zeros(m * APPS, np.int64), np.zeros(m, np.int64)
        found = candidates_of(feed.kernel._address, m, x, tags, counts)
        rows.append(x[:found])
        chosen.append(tags[:found] == np.repeat(opened[start : start + m], counts))
    return Examples(np.concatenate(rows), np.concatenate(chosen).astype(np.int64), n)


def models(feed: Feed, stream: Unlocks, n: int = FITTED) -> dict[str, NextAppManifest]:
    """A model of each family, as training would make it; the trees are as many and as deep as they may be."""
    made, common = examples(feed, stream, n), {"prior": prior(stream)}
    linear, trees = fit_logistic(made), fit_trees(made, SHAPES[-1], 42)
    terms = zip(FEATURES, linear.coef, linear.center, strict=True)  # type: ignore[arg-type]
    parts: dict[str, dict[str, Any]] = {
        "logistic": {"linear": [Term(name=name, coefficient=coef, center=center) for name, coef, center in terms]},
        "trees": {"forest": trees.forest},
    }
    return {family: made_up(family).model_copy(update=common | parts[family]) for family in FAMILIES}


def shape(model: NextAppManifest) -> str:
    """How large a model is."""
    if model.forest is None:
        return f"{model.family}, {len(FEATURES)} columns"
    inner = sum(feature >= 0 for feature in model.forest.feature)
    return f"{model.forest.trees} trees, depth {max(model.forest.depths())}, {inner:,} nodes"


def measure(
    say: Callable[[str], None], users: int = USERS, rounds: int = ROUNDS, timed: int = TIMED, fitted: int = FITTED
) -> list[dict[str, Any]]:
    """ns an unlock after each part, cumulative, and of an unlock with its opens through `NextAppKernel`, an entry a round, by family."""
    stream = Unlocks(users)
    warm = warmed(stream, say)
    say("next app: models")
    found = models(warm, stream, fitted)
    kept = (warm.states()[:, B_LENGTHS : B_LENGTHS + APPS] > 0).sum(axis=1)
    on_screen = warm.states()[:, 8 * W_SCREEN] > 0
    results = []
    for family, model in found.items():
        feed, position = Feed(users, model), stream.backlog
        feed.block[:] = warm.block
        ns: dict[str, list[float]] = {name: [] for name in (*BUDGET_MS, "NextAppKernel")}
        n = DEEPEST * timed
        first = np.arange(EACH * n) % EACH == UNLOCK
        for number in range(1, rounds + 1):
            say(f"next app, {family}: round {number} of {rounds}")
            made = stream.make(position, EACH * n, packed=True)
            for name, seconds in zip(BUDGET_MS, feed.stages(unlocks.only(made, first)).tolist(), strict=True):
                ns[name].append(seconds * 1e9)
            feed.run(unlocks.only(made, ~first))
            made = stream.make(position + EACH * n, EACH * timed, packed=True)
            ns["NextAppKernel"].append(feed.run(made) / timed * 1e9)
            position += EACH * (n + timed)
        results.append(
            {
                "family": family, "shape": shape(model), "users": users, "state_bytes": SIZE,
                "kept_apps": [int(kept.min()), float(kept.mean()), int(kept.max())],
                "candidates": float((kept - on_screen).mean()), "ns": ns,
            }
        )  # fmt: skip
    return results


def part_us(result: dict[str, Any]) -> dict[str, float]:
    """µs an unlock of each part alone: the median over the rounds of what it adds to the one before."""
    columns = np.array([result["ns"][name] for name in BUDGET_MS])
    alone = np.diff(columns, axis=0, prepend=0)
    return {name: statistics.median(row) / 1000 for name, row in zip(BUDGET_MS, alone.tolist(), strict=True)}


class Expected(NamedTuple):
    """How often each event is answered, 0 or 1, and the hash64 of the answer."""

    seen: Any
    hashes: Any


def reference(model: NextAppManifest, stream: Unlocks, n: int, say: Callable[[str], None] = lambda _: None) -> Expected:
    """What the job must answer to events 0…n − 1: what the kernel makes of them without Flink."""
    feed, seen, hashes = Feed(stream.customers, model), np.zeros(n, np.int32), np.zeros(n, np.uint64)
    for first in range(0, n, STEP):
        say(f"next app, the kernel without Flink: {first / n:.0%}")
        made = stream.make(first, min(STEP, n - first), packed=True)
        feed.run(made, lambda out, end: unlocks.note_frames(out, end, seen, hashes))
    accepted, unanswered = (int(feed.kernel.stats[each]) for each in (stats.ACCEPTED, stats.UNANSWERED))
    asked = -(-n // EACH)
    if accepted != n or int(seen.sum()) != asked - unanswered or seen.max() > 1 or seen[np.arange(n) % EACH != UNLOCK].any():
        msg = f"of {n} synthetic events {accepted} were accepted, of {asked} unlocks {int(seen.sum())} answered: the stream is not sound"
        raise RuntimeError(msg)
    return Expected(seen, hashes)


def run(
    broker: Any, view: Any, family: str, rate: int, warm: float, seconds: float, say: Callable[[str], None], more: tuple[str, ...] = (),
    users: int = USERS,
) -> dict[str, Any]:  # fmt: skip
    """Latency of one family at `rate` unlocks a second, on a job of its own with its view in `view`, a Redis."""
    stream, name = Unlocks(users, PARTITIONS), f"next-app-{family}"
    model = models(warmed(stream, say), stream)[family]
    expected = reference(model, stream, stream.backlog + int(EACH * rate * (warm + seconds)), say)
    hashes = np.zeros_like(expected.hashes)
    answers = latency.Answers(expected.seen > 0, partial(_note, hashes))
    with TemporaryDirectory() as folder:
        Path(folder, "manifest.json").write_bytes(manifest.dump(model))
        flags = ("--model", folder, *more)
        found = latency.run(
            broker, view, name, stream, EACH * rate, warm, seconds, say, flags, kind=NEXT_APP, backlog=stream.backlog, answers=answers
        )
    different = int((hashes != expected.hashes).sum())
    if different:
        found["void"] += f"void: {different} predictions are not the kernel's. "
    return {**found, "unlocks_s": rate, "family": family, "users": users}


def _note(hashes: Any, buf: Any, lengths: Any, now: float, arrived: Any, seen: Any) -> None:
    unlocks.note_arrivals(buf, lengths, now, arrived, seen, hashes)


def target(result: dict[str, Any]) -> str:
    """Whether created → Redis keeps to the target."""
    return f"p99 at most {MOST_P99_MS}: {'met' if result['redis_ms']['p99'] <= MOST_P99_MS else 'missed'}"
