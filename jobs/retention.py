"""The retention job: telemetry in Kafka → windowed churn features → score → interventions in Kafka (exactly once) and Redis.

    1 telemetry    Kafka source: packed bytes, watermarks from event_time
    2 customer     keyed by customer: the batched operator (JVM shell, Python kernels)
    3 kafka-sink   scores, interventions, decisions, dead letters, late events: one transaction a checkpoint
    4 redis-sink   the live view of scores and interventions; no checkpoint waits for it

The numbers are the order of the graph, the names are the operators' `uid`s. The job takes its source and its sinks as
arguments, so a test swaps the ends; `from_settings` makes the real ones.

Runs as `keepline run retention` and `python jobs/retention.py` (a Flink inside this process), and on a cluster as
`flink run -py jobs/retention.py`.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import DataStream, StreamExecutionEnvironment

from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import JobSettings, RetentionSettings
from keepline.jobs.stack.gateway import end_gateway, tie_gateway
from keepline.jobs.stack.reporter import offer_reporter, reporter_settings
from keepline.operators import kafka, redis, stream
from keepline.operators.code import code_hash, sealed
from keepline.operators.jar import jar_path
from keepline.operators.kafka_check import require_access, require_room
from keepline.operators.spec import CHANNELS, LARGEST_RECORD, OperatorSpec
from keepline.schemas.catalog import output_schema
from keepline.schemas.packed import INTERVENTIONS, SCORES

Source = Callable[[StreamExecutionEnvironment], DataStream]
Sink = Callable[[DataStream], Any]

VIEWS = (
    redis.RedisView(SCORES, output_schema("Score"), "keepline:score:{customer_id}:{score}"),
    redis.RedisView(INTERVENTIONS, output_schema("Intervention"), "keepline:intervention:{customer_id}"),
)


class RetentionJob:
    """The graph between a source of packed records and sinks of frames."""

    def __init__(
        self,
        source: Source,
        sinks: Sequence[Sink],
        spec: OperatorSpec,
        options: stream.OperatorOptions | None = None,
        *,
        name: str = "keepline-retention",
        configuration: Configuration | None = None,
        parallelism: int = 1,
    ) -> None:
        """Nothing runs before `execute`."""
        self._source, self._sinks, self._spec = source, sinks, spec
        self._options = options or stream.OperatorOptions(bound_ms=spec.bound_ms)
        self._name, self._configuration, self._parallelism = name, configuration, parallelism

    @classmethod
    def from_settings(cls, settings: RetentionSettings, options: stream.OperatorOptions | None = None) -> RetentionJob:
        """The job on Kafka and Redis. KeeplineError at submit for what cannot work: here the model, in `build` Kafka and Redis."""
        spec = operator_spec(settings)
        outputs = [f"{settings.output_prefix}.{channel}" for channel in CHANNELS]
        transactions = f"keepline-{settings.job_name}"

        def source(env: StreamExecutionEnvironment) -> DataStream:
            require_access(settings.bootstrap_servers, settings.topics, outputs, settings.job_name, transactions, settings.kafka)
            require_room(settings.bootstrap_servers, outputs, LARGEST_RECORD, settings.kafka)
            if settings.redis_url:
                redis.require_access(settings.redis_url, VIEWS, meter_key(settings))
            return kafka.telemetry_source(
                env, settings.bootstrap_servers, settings.topics, settings.job_name,
                {"fetch.max.wait.ms": "5", **settings.kafka}, bounded=settings.bounded, start="earliest",
                strategy=kafka.watermarks(settings.disorder, idle_ms=settings.idle_after),
            )  # fmt: skip

        def to_kafka(frames: DataStream) -> None:
            # Linger collects the records of a few milliseconds into one request; they are visible at the checkpoint anyway.
            properties = {"linger.ms": "20", "batch.size": "262144", "compression.type": "lz4", **settings.kafka}
            kafka.exactly_once_sink(frames, settings.bootstrap_servers, outputs, transactions, properties)

        def to_redis(frames: DataStream) -> None:
            redis.redis_sink(
                frames, settings.redis_url, VIEWS, redis.RedisOptions(ttl_ms=settings.redis_ttl, meter_key=meter_key(settings))
            )

        sinks: list[Sink] = [to_kafka, to_redis] if settings.redis_url else [to_kafka]
        conf = configuration(settings)
        set_labels(conf, f"{spec.manifest['model_id']}/{spec.manifest['version']}")
        return cls(source, sinks, spec, options, name=settings.job_name, configuration=conf, parallelism=settings.parallelism)

    def build(self, env: StreamExecutionEnvironment) -> DataStream:
        """Adds the graph to an environment; returns the frames."""
        frames = stream.customer_stream(self._source(env), stream.MODULE, sealed(self._spec.dumps()), self._options)
        for sink in self._sinks:
            sink(frames)
        return frames

    def execute(self) -> Any:
        """Builds and submits the job; on a local Flink, waits for its end."""
        held = None if on_cluster() else tie_gateway()  # the JVM of a local run ends with this process
        env = StreamExecutionEnvironment.get_execution_environment(self._configuration)
        env.set_parallelism(self._parallelism)
        self.build(env)
        if on_cluster():
            return env.execute_async(self._name)  # a detached client must not touch the result
        try:
            return env.execute(self._name)
        finally:
            if held is not None:
                end_gateway(held)


def execute(settings: RetentionSettings) -> None:
    """Submits the job of these settings; on a local Flink, waits for its end."""
    RetentionJob.from_settings(settings).execute()


def set_labels(conf: Configuration, model: str = "") -> None:
    """What Flink shows with the job, and `keepline status` reads: which code it is, and which model, if any."""
    labels = {"keepline.version": version("keepline"), "keepline.code": code_hash()}
    if model:
        labels["keepline.model"] = re.sub(r"[^\w./-]", "_", model)  # the list they travel in has its own signs
    conf.set_string("pipeline.global-job-parameters", ",".join(f"{key}:{value}" for key, value in labels.items()))


def meter_key(settings: RetentionSettings) -> str:
    """The Redis hash in which the sink leaves its latency figures, one field set a subtask."""
    return f"keepline:meter:{settings.job_name}"


def on_cluster() -> bool:
    """Whether `flink run` started this script: its gateway JVM was there before us."""
    return "PYFLINK_GATEWAY_PORT" in os.environ


def configuration(settings: JobSettings) -> Configuration:
    """Flink's settings for this job; on a cluster only what belongs to the job, the rest is the cluster's own."""
    if settings.metrics_port and not on_cluster():
        offer_reporter(settings.metrics_port)  # before anything starts the JVM
    conf = Configuration()
    interval = settings.checkpoint_interval
    values = {
        "pipeline.object-reuse": "true",
        "execution.buffer-timeout.interval": "2 ms",
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


if __name__ == "__main__":
    from keepline.jobs.cli.errors import run_alone
    from keepline.jobs.cli.run import retention

    run_alone(retention)
