"""What the contact policy costs the whole job: the same runs with `--policy none` and with a policy that contacts, in turn.

The events hold no consents, so the policy assumes them: it decides, holds, caps, escalates and lands outcomes as it would for customers who
all agreed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from keepline.models.contact.document import DEFAULT
from tests.benchmarks import events, kernel, latency, load, throughput
from tests.benchmarks.job import PARTITIONS
from tests.benchmarks.settings import verdict

CUSTOMERS, RATE = 20_000, 20_000
SHOWN = ("events/s", "CPU µs/event", "created → Redis p50, ms", "created → Redis p99, ms")


def assuming(folder: Path) -> Path:
    """The committed policy for customers who have said nothing about marketing."""
    path = folder / "policy.yaml"
    path.write_text(DEFAULT.read_text(encoding="utf-8").replace("marketing: required", "marketing: assumed"), encoding="utf-8")
    return path


def run(broker: Any, rounds: int, n: int, warm: float, seconds: float, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Both sides of each round: a backlog worked off, then a steady rate."""
    from keepline.jobs.stack.redis import EmbeddedRedis

    stream, topic = events.Stream(CUSTOMERS, PARTITIONS), "policy-backlog"
    broker.create_topics([topic], partitions=PARTITIONS)
    load.fill(broker.bootstrap_servers, topic, stream, n, say)
    expected = kernel.reference(stream, n)
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    void = ""
    with TemporaryDirectory() as folder, EmbeddedRedis() as redis:
        for number in range(rounds):
            for side, policy in (("without", "none"), ("with", str(assuming(Path(folder))))):
                say(f"{side} the policy, round {number + 1} of {rounds}")
                more = ("--policy", policy)
                drained = throughput.run(broker, f"policy-{side}-{number}", topic, stream, n, "1s", expected, more, say)
                steady = latency.run(
                    broker, redis, f"policy-latency-{side}-{number}", events.Stream(CUSTOMERS), RATE, warm, seconds, say, more
                )
                void += drained["void"] + steady["void"]
                figures = (drained["events_s"], drained["cpu_us"], steady["redis_ms"]["p50"], steady["redis_ms"]["p99"])
                found[side].append(dict(zip(SHOWN, figures, strict=True)))
    return [{"void": void, **found}]


def spans(result: dict[str, Any], side: str) -> dict[str, tuple[float, float, float]]:
    """(min, median, max) of each figure of one side."""
    values = {name: [each[name] for each in result[side]] for name in SHOWN}
    return {name: (min(each), statistics.median(each), max(each)) for name, each in values.items()}


def effect(result: dict[str, Any], name: str) -> str:
    """The change of the median; "none seen" where the ranges touch."""
    return verdict(spans(result, "without")[name], spans(result, "with")[name])
