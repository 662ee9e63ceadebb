"""What every job of ours shares on Flink: its configuration, what Flink shows with it, and its submission.

On a cluster (`flink run`, application mode) a job brings only what is its own; in a local run also what a Flink inside this process needs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from keepline.jobs.settings import JobSettings
from keepline.jobs.stack.gateway import end_gateway, tie_gateway
from keepline.jobs.stack.reporter import offer_reporter, reporter_settings
from keepline.operators.code import code_hash
from keepline.operators.jar import jar_path

LOCAL_JVM = "-XX:+UseTransparentHugePages"
"""Options of a local run's JVM, where JVM_ARGS names none: keyed state is touched at random, and in large pages fewer of the accesses
miss the address cache. A cluster's are in flink-conf/config.yaml."""


def submit(conf: Configuration | None, parallelism: int, name: str, build: Callable[[StreamExecutionEnvironment], Any]) -> Any:
    """Builds a job's graph and submits it; on a local Flink, waits for its end."""
    held = None if on_cluster() else tie_gateway()  # the JVM of a local run ends with this process
    env = StreamExecutionEnvironment.get_execution_environment(conf)
    env.set_parallelism(parallelism)
    build(env)
    if on_cluster():
        return env.execute_async(name)  # a detached client must not touch the result
    try:
        return env.execute(name)
    finally:
        if held is not None:
            end_gateway(held)


def set_labels(conf: Configuration, model: str = "") -> None:
    """What Flink shows with the job, and `keepline status` reads: which code it is, and which model, if any."""
    labels = {"keepline.version": version("keepline"), "keepline.code": code_hash()}
    if model:
        labels["keepline.model"] = re.sub(r"[^\w./-]", "_", model)  # the list they travel in has its own signs
    conf.set_string("pipeline.global-job-parameters", ",".join(f"{key}:{value}" for key, value in labels.items()))


def on_cluster() -> bool:
    """Whether `flink run` started this script: its gateway JVM was there before us."""
    return "PYFLINK_GATEWAY_PORT" in os.environ


def configuration(settings: JobSettings, buffer_timeout: str = "0 ms") -> Configuration:
    """Flink's settings for this job; on a cluster only what belongs to the job, the rest is the cluster's own.

    With the buffer timeout 0 what is put out is sent on at once. That is for blocks, which are complete when they are put out: a
    longer one would only add to the latency, and a thread for each way between tasks that looks for something to send that often.
    """
    if not on_cluster():  # before anything starts the JVM
        os.environ.setdefault("JVM_ARGS", LOCAL_JVM)
        if settings.metrics_port:
            offer_reporter(settings.metrics_port)
    conf = Configuration()
    interval = settings.checkpoint_interval
    values = {
        "pipeline.object-reuse": "true",
        "execution.buffer-timeout.interval": buffer_timeout,
        "pipeline.auto-watermark-interval": "50 ms",
        "execution.checkpointing.interval": f"{interval} ms",
        "execution.checkpointing.timeout": "10 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "10",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "state.backend.type": settings.state_backend,
        "python.execution-mode": "thread",
        "python.fn-execution.bundle.time": "1000",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "200 ms",
        "restart-strategy.exponential-delay.max-backoff": "5 s",
        "restart-strategy.exponential-delay.backoff-multiplier": "1.5",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "60 s",
    }
    if settings.state_backend == "rocksdb":
        # It is asked for customers that are not resident, many of them new: without filters each of its files is looked into for those.
        values["state.backend.rocksdb.use-bloom-filter"] = "true"
    if settings.checkpoint_dir:
        # A folder of the name's own: Flink's ids below it change with every submission, the name does not.
        values["execution.checkpointing.dir"] = f"{settings.checkpoint_dir.rstrip('/')}/{settings.job_name}"
    if settings.restore:
        values["execution.state-recovery.path"] = settings.restore
    if not on_cluster():
        values |= local_values(settings)
    for key, value in {**values, **settings.flink}.items():
        conf.set_string(key, value)
    return conf


def local_values(settings: JobSettings) -> dict[str, str]:
    """What a Flink inside this process needs: the jar, our packages, a page, memory, a place for checkpoints."""
    import keepline

    packages = [str(Path(str(keepline.__file__)).parents[1]), *(p for p in sys.path if p.endswith("site-packages"))]
    folder = Path(tempfile.gettempdir()) / "keepline" / settings.job_name
    return {
        "pipeline.jars": jar_path().as_uri(),
        "python.pythonpath": ":".join(dict.fromkeys(packages)),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "rest.port": str(settings.rest_port),
        "rest.bind-port": str(settings.rest_port),
        "taskmanager.numberOfTaskSlots": str(settings.parallelism),
        **(reporter_settings(str(settings.metrics_port)) if settings.metrics_port else {}),
        **({} if settings.checkpoint_dir else {"execution.checkpointing.dir": (folder / "checkpoints").as_uri()}),
    }
