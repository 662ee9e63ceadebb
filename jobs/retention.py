"""The retention job: telemetry in Kafka → windowed churn features → score → interventions in Kafka (exactly once) and Redis.

    1 telemetry        Kafka source: packed bytes, watermarks from event_time
    2 customer         keyed by customer: the batched operator (JVM shell, Python kernels); scores, and signals for the policy
    3 contact-policy   keyed by customer: consent, caps, quiet hours, holds, escalation, outcomes, erasure (plain Python)
    4 campaign-budget  keyed by campaign, UTC day and shard: interventions of campaigns with a budget
    5 kafka-sink       scores, interventions, decisions, outcomes, receipts, dead letters, late events: one transaction a checkpoint
    6 redis-sink       the live view of scores, interventions and decisions; no checkpoint waits for it

The numbers are the order of the graph, the names are the operators' `uid`s. The job takes its source and its sinks as
arguments, so a test swaps the ends; `from_settings` makes the real ones.

Runs as `keepline run retention` and `python jobs/retention.py` (a Flink inside this process), and on a cluster as
`flink run -py jobs/retention.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import DataStream, StreamExecutionEnvironment

from keepline.jobs.execution import configuration, set_labels, submit
from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.view_keys import VIEW_KEYS
from keepline.operators import kafka, redis, stream
from keepline.operators.budgets import budgets_spec
from keepline.operators.code import sealed
from keepline.operators.contacts import contacts_spec
from keepline.operators.kafka_check import require_access, require_room
from keepline.operators.parts import parts_of
from keepline.operators.spec import CHANNELS, LARGEST_RECORD, OperatorSpec
from keepline.schemas.catalog import output_schema
from keepline.schemas.packed import CLAIMS, DECISIONS, INTERVENTIONS, SCORES, SIGNALS

Source = Callable[[StreamExecutionEnvironment], DataStream]
Sink = Callable[[DataStream], Any]

FETCH = {"fetch.max.wait.ms": "5", "fetch.min.bytes": "16384"}
"""A fetch waits up to 5 ms for a little more: without the least size, each request of a producer ends one, a thousand times a second."""
VIEWS = (
    redis.RedisView(SCORES, output_schema("Score"), VIEW_KEYS[SCORES]),
    redis.RedisView(INTERVENTIONS, output_schema("Intervention"), VIEW_KEYS[INTERVENTIONS]),
    redis.RedisView(DECISIONS, output_schema("Decision"), VIEW_KEYS[DECISIONS]),
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
                {**FETCH, **settings.kafka}, bounded=settings.bounded, start="earliest",
                strategy=kafka.watermarks(settings.disorder, idle_ms=settings.idle_after), blocks=True,
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
        models = [each for each in (spec.manifest, spec.clv, spec.clv_regression) if each]
        set_labels(conf, "_".join(f"{each['model_id']}/{each['version']}" for each in models))
        options = options or stream.OperatorOptions(bound_ms=spec.bound_ms, capacity=settings.resident_states)
        stream.require_block(options.capacity, sum(part.size for part in parts_of(spec)))
        return cls(source, sinks, spec, options, name=settings.job_name, configuration=conf, parallelism=settings.parallelism)

    def build(self, env: StreamExecutionEnvironment) -> DataStream:
        """Adds the graph to an environment; returns the frames."""
        scored = stream.customer_stream(self._source(env), stream.MODULE, sealed(self._spec.dumps()), self._options)
        frames = self._decided(scored) if self._spec.policy else scored
        for sink in self._sinks:
            sink(frames)
        return frames

    def _decided(self, scored: DataStream) -> DataStream:
        """The frames of the customer operator, and what the policy makes of the signals among them."""
        decided = stream.rare_stream(scored, SIGNALS, sealed(contacts_spec(self._spec)), uid="contact-policy", name="contact-policy")
        granted = stream.rare_stream(decided, CLAIMS, sealed(budgets_spec(self._spec)), uid="campaign-budget", name="campaign-budget")
        return scored.union(decided, granted)

    def execute(self) -> Any:
        """Builds and submits the job; on a local Flink, waits for its end."""
        return submit(self._configuration, self._parallelism, self._name, self.build)


def execute(settings: RetentionSettings) -> None:
    """Submits the job of these settings; on a local Flink, waits for its end."""
    RetentionJob.from_settings(settings).execute()


def meter_key(settings: RetentionSettings) -> str:
    """The Redis hash in which the sink leaves its latency figures, one field set a subtask."""
    return f"keepline:meter:{settings.job_name}"


if __name__ == "__main__":
    from keepline.jobs.cli.errors import run_alone
    from keepline.jobs.cli.run import retention

    run_alone(retention)
