"""Starting a system's processes: `launch(run, "-m", "some.module", …)` from its start function.

With more than one process this file runs as a script between the harness and the copies, so that they are one tree: it starts
them, and ends with the first that ends badly. Each copy is told by `PEER_PROCESS` (0, 1, …) and `PEER_PROCESSES` which one it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepline.jobs.stack.process import Child
    from tests.benchmarks.peers.system import Run


def launch(run: Run, *arguments: str | Path, program: str | Path = "", env: Mapping[str, str] | None = None) -> Child:
    """Starts `run.processes` copies of the system's Python (or of `program`) with these arguments, in the repository's folder."""
    from keepline.jobs.stack.process import Child

    command = [program or run.python, *arguments]
    if run.processes > 1:
        command = [sys.executable, __file__, str(run.processes), *command]
    told = {"PEER_PROCESS": "0", "PEER_PROCESSES": str(run.processes), "PYTHONUNBUFFERED": "1", **(env or {})}
    return Child(run.name, command, run.folder / "log.txt", env=told)


def launch_flink(run: Run, command: Sequence[str | Path]) -> Child:
    """A Flink inside a Python process, with its log in the run's folder."""
    from keepline.jobs.stack.process import Child

    (run.folder / "flink-log").mkdir()
    return Child(run.name, command, run.folder / "job.log", env=flink_env(run), owned=run.folder)


def flink_env(run: Run) -> dict[str, str]:
    """Where a Flink writes its log: a failed run's is kept."""
    return {"FLINK_LOG_DIR": str(run.folder / "flink-log")}


def create_topics(run: Run, names: Sequence[str], partitions: int, **configs: str) -> None:
    """Makes further topics of a run, such as a changelog; their names begin with the run's."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": run.bootstrap_servers})
    for future in admin.create_topics([NewTopic(name, partitions, 1, config=configs) for name in names]).values():
        future.result()


def main(count: int, command: Sequence[str]) -> int:
    """The script: all copies at once, until one fails or all have ended."""
    copies = [subprocess.Popen(command, env={**os.environ, "PEER_PROCESS": str(number)}) for number in range(count)]
    while True:
        ended = [copy.poll() for copy in copies]
        bad = [status for status in ended if status]
        if bad or None not in ended:
            return abs(bad[0]) if bad else 0  # the others go with us: we are one process group
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
