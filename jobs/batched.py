"""What the jobs of a batched operator share: a graph between a source of packed records and sinks of frames, and its ends.

    telemetry      Kafka source: blocks of packed bytes, watermarks from event_time
    the operator   keyed by customer or user: JVM shell, Python kernels
    kafka-sink     all outputs: one transaction a checkpoint
    redis-sink     the live view; no checkpoint waits for it

A job takes its source and its sinks as arguments, so that a test swaps the ends; `Ends` are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import DataStream, StreamExecutionEnvironment

from keepline.jobs.execution import submit
from keepline.jobs.settings import BatchedSettings
from keepline.operators import kafka, redis, stream
from keepline.operators.code import sealed
from keepline.operators.kafka_check import require_access, require_room
from keepline.operators.spec import LARGEST_RECORD, OperatorSpec

Source = Callable[[StreamExecutionEnvironment], DataStream]
Sink = Callable[[DataStream], Any]

FETCH = {"fetch.max.wait.ms": "5", "fetch.min.bytes": "16384"}
"""A fetch waits up to 5 ms for a little more: without the least size, each request of a producer ends one, a thousand times a second."""


class BatchedJob:
    """The graph between a source of packed records and sinks of frames. Nothing runs before `execute`."""

    UID = "customer"
    """Of the operator, and so of its state in savepoints."""
    NAME = "keepline"
    """Of a job that is given none."""

    def __init__(
        self,
        source: Source,
        sinks: Sequence[Sink],
        spec: OperatorSpec,
        options: stream.OperatorOptions | None = None,
        *,
        name: str = "",
        configuration: Configuration | None = None,
        parallelism: int = 1,
    ) -> None:
        """`options`: by default those of the spec's bound."""
        self._source, self._sinks, self._spec = source, sinks, spec
        self._options = options or stream.OperatorOptions(bound_ms=spec.bound_ms)
        self._name, self._configuration, self._parallelism = name or self.NAME, configuration, parallelism

    def build(self, env: StreamExecutionEnvironment) -> DataStream:
        """Adds the graph to an environment; returns the frames."""
        spec = sealed(self._spec.dumps())
        made = stream.customer_stream(self._source(env), stream.MODULE, spec, self._options, uid=self.UID, name=self.UID)
        frames = self._further(made)
        for sink in self._sinks:
            sink(frames)
        return frames

    def _further(self, frames: DataStream) -> DataStream:
        """What further operators make of the frames, with them."""
        return frames

    def execute(self) -> Any:
        """Builds and submits the job; on a local Flink, waits for its end."""
        return submit(self._configuration, self._parallelism, self._name, self.build)


@dataclass(frozen=True)
class Ends:
    """A job's ends on Kafka and Redis. Whether they can be used is asked when the graph is built, at submit: KeeplineError if not."""

    settings: BatchedSettings
    channels: tuple[str, ...]
    """Kinds of output by the number in a frame; "" for one that the job does not have."""
    views: tuple[redis.RedisView, ...]

    @property
    def topics(self) -> list[str]:
        """The output topics, by channel."""
        return [f"{self.settings.output_prefix}.{channel}" if channel else "" for channel in self.channels]

    @property
    def transactions(self) -> str:
        """The prefix of the job's transactional ids."""
        return f"keepline-{self.settings.job_name}"

    @property
    def meter_key(self) -> str:
        """The Redis hash in which the sink leaves its latency figures, one field set a subtask."""
        return f"keepline:meter:{self.settings.job_name}"

    def source(self, env: StreamExecutionEnvironment) -> DataStream:
        """Telemetry from Kafka."""
        settings, outputs = self.settings, [topic for topic in self.topics if topic]
        servers = settings.bootstrap_servers
        require_access(servers, settings.topics, outputs, settings.job_name, self.transactions, settings.kafka)
        require_room(servers, outputs, LARGEST_RECORD, settings.kafka)
        if settings.redis_url:
            redis.require_access(settings.redis_url, self.views, self.meter_key)
        return kafka.telemetry_source(
            env, servers, settings.topics, settings.job_name, {**FETCH, **settings.kafka}, bounded=settings.bounded, start="earliest",
            strategy=kafka.watermarks(settings.disorder, idle_ms=settings.idle_after), blocks=True,
        )  # fmt: skip

    def sinks(self) -> list[Sink]:
        """Kafka, and Redis if the settings name one."""
        return [self._to_kafka, self._to_redis] if self.settings.redis_url else [self._to_kafka]

    def _to_kafka(self, frames: DataStream) -> None:
        # Linger collects the records of a few milliseconds into one request; they are visible at the checkpoint anyway.
        properties = {"linger.ms": "20", "batch.size": "262144", "compression.type": "lz4", **self.settings.kafka}
        kafka.exactly_once_sink(frames, self.settings.bootstrap_servers, self.topics, self.transactions, properties)

    def _to_redis(self, frames: DataStream) -> None:
        options = redis.RedisOptions(ttl_ms=self.settings.redis_ttl, meter_key=self.meter_key)
        redis.redis_sink(frames, self.settings.redis_url, self.views, options)

    def options(self, spec: OperatorSpec, state_size: int) -> stream.OperatorOptions:
        """The operator's sizes; StatesError for more resident states than a subtask can have."""
        found = stream.OperatorOptions(bound_ms=spec.bound_ms, capacity=self.settings.resident_states)
        stream.require_block(found.capacity, state_size)
        return found
