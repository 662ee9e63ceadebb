"""The same job hand-written in Java on Flink: a KeyedProcessFunction with one ValueState a customer, read and written for each event.

The Java is in peers/java, a Maven project of its own. It runs as `keepline run` does: source, operators and a MiniCluster in one JVM, from
the jars of the installed apache-flink wheel, with the wheel's JVM options and Flink's settings of a local run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.stack import ports
from keepline.jobs.stack.java import java
from keepline.jobs.stack.process import Child
from tests.benchmarks.job import facts
from tests.benchmarks.peers.system import Run, System

PROJECT = Path(__file__).parents[1] / "java"
MAIN = "io.keepline.peer.RetentionJob"
BACKENDS = {"heap": "hashmap", "rocksdb": "rocksdb"}
TUNING = ("-XX:+UseTransparentHugePages",)
"""States are touched at random: with large pages fewer of the accesses miss the address cache. Keepline asks for them too."""
FLINK = {
    "pipeline.object-reuse": "true",
    "pipeline.auto-watermark-interval": "50 ms",
    "execution.buffer-timeout.interval": "2 ms",
    "execution.checkpointing.timeout": "10 min",
    "execution.checkpointing.tolerable-failed-checkpoints": "10",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "200 ms",
}
CONSUMER = {"fetch.max.wait.ms": "5"}
PRODUCER = {"linger.ms": "20", "batch.size": "262144", "compression.type": "lz4", "transaction.timeout.ms": "900000"}


def built() -> Path:
    """The project's target folder, built anew where a source has changed. Raises RuntimeError with what Maven says."""
    target = PROJECT / "target"
    sources = sorted([PROJECT / "pom.xml", *(path for path in (PROJECT / "src").rglob("*") if path.is_file())])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = target / "built"
    if not (stamp.is_file() and stamp.read_text() == digest):
        shutil.rmtree(target, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-ntp", "-Dstyle.color=never", "-f", str(PROJECT / "pom.xml"), "package"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            msg = f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
            raise RuntimeError(msg)
        stamp.write_text(digest)
    return target


def command(main: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str | Path]:
    """A Java program of the project on the wheel's Flink, with the JVM options that PyFlink gives its own JVM."""
    from pyflink.pyflink_gateway_server import get_jvm_opts, prepare_environment_variables

    env = dict(os.environ)
    prepare_environment_variables(env)
    target = built()
    path = f"{env['FLINK_LIB_DIR']}/*:{target}/retention-java.jar:{target}/lib/*"
    return [java(), "-XX:+IgnoreUnrecognizedVMOptions", *get_jvm_opts(env), *TUNING, *options, "-cp", path, main, *arguments]


def newest_checkpoint(folder: Path) -> dict[str, str]:
    """The setting that goes on from the newest complete checkpoint below a folder; none where there is none."""
    found = sorted(folder.glob("*/chk-*/_metadata"), key=lambda path: path.stat().st_mtime)
    return {"execution.state-recovery.path": found[-1].parent.as_uri()} if found else {}


class Job(Child):
    """The job in its JVM, which also tells what Flink says of it. Started again in its folder, it goes on from its newest checkpoint."""

    def __init__(self, run: Run) -> None:
        (port,) = ports.free_ports(1)
        self.rest = FlinkRest(f"http://{ports.HOST}:{port}")
        flink = FLINK | {
            "execution.checkpointing.interval": f"{int(run.checkpoint_s * 1000)} ms",
            "execution.checkpointing.dir": (run.folder / "checkpoints").as_uri(),
            "state.backend.type": BACKENDS[run.backend],
            "execution.checkpointing.incremental": str(run.backend == "rocksdb").lower(),
            "state.backend.rocksdb.use-bloom-filter": "true",
            "taskmanager.numberOfTaskSlots": str(run.processes),
            "rest.port": str(port),
            "rest.bind-port": str(port),
            **newest_checkpoint(run.folder / "checkpoints"),
        }
        arguments = {
            "bootstrap-servers": run.bootstrap_servers,
            "source": run.source,
            "sink": run.sink,
            "name": run.name,
            "manifest": json.loads(run.settings.read_text())["manifest"],
            "parallelism": str(run.processes),
            **{f"{group}.{key}": value for group, values in (("flink", flink), ("consumer", CONSUMER), ("producer", PRODUCER))
               for key, value in values.items()},
        }  # fmt: skip
        words = [word for key, value in arguments.items() for word in (f"--{key}", value)]
        super().__init__(run.name, command(MAIN, *words), run.folder / "job.log", owned=run.folder)

    def facts(self) -> dict[str, Any]:
        """What Flink says."""
        return facts(self.rest)


SYSTEM = System(
    name="java_flink",
    label="Java on Flink, by hand",
    guarantee="exactly once",
    start=Job,
    processes=(1, 2),
    backends=("heap", "rocksdb"),
)
