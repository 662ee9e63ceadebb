"""confluent-kafka and the compiled kernel in an expert's hands, without Flink."""

from __future__ import annotations

import json

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import create_topics, launch
from tests.benchmarks.peers.system import PARTITIONS, Run, System


def start(run: Run) -> Child:
    """The loop, with its changelog topic."""
    changes = f"{run.name}.changes"
    create_topics(run, [changes], PARTITIONS, **{"cleanup.policy": "compact"})
    told = {
        "servers": run.bootstrap_servers, "source": run.source, "sink": run.sink, "changes": changes, "name": run.name,
        "partitions": PARTITIONS, "checkpoint_s": run.checkpoint_s, "manifest": json.loads(run.settings.read_text())["manifest"],
    }  # fmt: skip
    file = run.folder / "run.json"
    file.write_text(json.dumps(told))
    return launch(run, "-m", "tests.benchmarks.peers.expert.loop", file)


SYSTEM = System(
    name="expert",
    label="An expert's loop: the same kernel on whole batches, transactions",
    guarantee="exactly once",
    start=start,
    processes=(1, 2),
)
