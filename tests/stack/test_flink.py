"""The embedded Flink cluster: real processes, jobs through `flink run`, a TaskManager lost and replaced, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from keepline.jobs.cluster.distribution import python_path
from keepline.jobs.cluster.rest import ClusterError
from keepline.jobs.stack.flink import FlinkCluster

# An endless job whose Python function runs in the TaskManager's embedded interpreter and imports our package there.
JOB = """
from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.functions import MapFunction

class Slow(MapFunction):
    def map(self, value):
        import time
        import keepline.schemas
        time.sleep(0.01)
        return value

env = StreamExecutionEnvironment.get_execution_environment()
env.enable_checkpointing(300)
env.from_collection(list(range(100000)), Types.INT()).map(Slow(), Types.INT()).uid("slow").print()
env.execute("endless")
"""


def processes(folder: Path) -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if any(str(folder) in word for word in each.cmdline())]


@pytest.fixture(scope="module")
def flink() -> Iterator[FlinkCluster]:
    with FlinkCluster(taskmanagers=2) as cluster:
        folder = cluster.folder
        assert len(processes(folder)) >= 3
        yield cluster
    assert not processes(folder)
    assert not folder.exists()


def wait_for(what: str, condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_job_survives_a_killed_taskmanager(flink: FlinkCluster, tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(JOB)
    job = flink.submit(script)
    try:
        flink.rest.wait_running(job)
        assert flink.rest.jobs()[job] == "RUNNING"
        wait_for("a checkpoint", lambda: flink.rest.checkpoints(job)["counts"]["completed"] > 0)
        vertices = {each["name"]: each["id"] for each in flink.rest.job(job)["vertices"]}
        name, vertex = next(iter(vertices.items()))
        assert "busyTimeMsPerSecond" in flink.rest.metrics(job, vertex, ["busyTimeMsPerSecond"]), name

        detail = flink.rest.call(f"/jobs/{job}/vertices/{vertex}/taskmanagers")["taskmanagers"]
        ids = flink.rest.taskmanagers()
        busy = next(each for each in ids if each == detail[0]["taskmanager-id"])
        lost = flink.kill_taskmanager(int(busy.split("-")[1]))
        assert lost == busy
        wait_for("the loss noticed", lambda: lost not in flink.rest.taskmanagers(), 15)
        wait_for("a restart", lambda: flink.rest.restarts(job) > 0)
        flink.rest.wait_running(job)

        assert flink.start_taskmanager(int(busy.split("-")[1])) == int(busy.split("-")[1])
        assert len(flink.rest.taskmanagers()) == 2
        savepoint = flink.rest.savepoint(job, flink.savepoints)
        assert savepoint.startswith("file:")
    except BaseException:
        print(flink.logs())
        raise
    finally:
        flink.rest.cancel(job)
    assert flink.rest.wait(job) == "CANCELED"
    with pytest.raises(ClusterError, match="is CANCELED, not running"):
        flink.rest.wait_running(job)


def test_a_script_that_fails_is_shown(flink: FlinkCluster, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('no such option')\n")
    with pytest.raises(ClusterError, match=r"(?s)submitted no job.*no such option"):
        flink.submit(script)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_local_runs_jvm_ends_with_its_parent(end: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "local.py"
    job = JOB.replace('env.execute("endless")', 'env.execute_async("endless")')
    tied = "from keepline.jobs.stack.gateway import tie_gateway\nhold = tie_gateway(grace=0.5)\n"
    script.write_text(f"{tied}{job}\nprint('started', flush=True)\nimport time; time.sleep(600)\n")
    env = {**os.environ, "PYTHONPATH": python_path()}
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    assert parent.stdout is not None
    assert any(line == b"started\n" for line in parent.stdout)
    below = psutil.Process(parent.pid).children(recursive=True)
    assert "java" in {each.name() for each in below}
    parent.send_signal(end)
    parent.wait(20)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
