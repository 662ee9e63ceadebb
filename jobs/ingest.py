"""The ingest job: foreign topics → canonical events in `telemetry`, by a mapping; what cannot be mapped goes to dead letters.

    1 foreign      Kafka source: packed bytes with topic, partition, offset, timestamp and key
    2 mapping      Python: reads the foreign format and maps it; frames of two channels
    3 kafka-sink   events and dead letters, exactly once: one transaction a checkpoint

The numbers are the order of the graph, the names the operators' `uid`s. An ordinary PyFlink job: one stateless `flat_map`, in thread mode,
where the record's bytes reach Python in the JVM's own process; in process mode each would go through a socket to another one. It has no
event time: order is that of the foreign partitions.

Runs as `keepline run ingest` and `python jobs/ingest.py` (a Flink inside this process), and on a cluster as
`flink run -py jobs/ingest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyflink.common import Types, WatermarkStrategy
from pyflink.datastream import DataStream, FlatMapFunction, StreamExecutionEnvironment

from keepline.jobs.ingest_settings import IngestSettings
from keepline.jobs.mapping.frames import DEAD_LETTERS, EVENTS, Ingest, TopicMapper
from keepline.jobs.mapping.load import Bundle, load
from keepline.jobs.retention import configuration, on_cluster
from keepline.jobs.stack.gateway import end_gateway, tie_gateway
from keepline.operators import kafka
from keepline.operators.kafka_check import require_topics
from keepline.schemas.errors import KeeplineError


class IngestError(KeeplineError):
    """An ingest job that cannot be begun as asked."""


class MapRecords(FlatMapFunction):
    """Packed records in, frames out. What is compiled of the mapping does not travel: each subtask compiles the text again."""

    def __init__(self, bundle: Bundle, registry_url: str, registry: Mapping[str, str], unknown_ttl: float) -> None:
        self._bundle, self._url, self._properties, self._unknown_ttl = bundle, registry_url, dict(registry), unknown_ttl

    def open(self, _context: Any) -> None:
        """In the TaskManager."""
        self._ingest = Ingest(self._bundle, registry_of(self._url, self._properties, self._unknown_ttl))

    def flat_map(self, value: bytes) -> Iterator[bytes]:
        """One record."""
        yield from self._ingest.frames(value)


def registry_of(url: str, properties: Mapping[str, str], unknown_ttl: float) -> Any:
    """The registry's client; None without an address."""
    if not url:
        return None
    from keepline.schemas.registry import Registry

    return Registry(url, properties, unknown_ttl=unknown_ttl)


def build(env: StreamExecutionEnvironment, settings: IngestSettings) -> DataStream:
    """Adds the graph to an environment; returns the frames. Raises KeeplineError for what cannot work."""
    mapping = load(settings.mapping)
    if not mapping.topics:
        msg = f"{settings.mapping}: no source has topics: expected topics: [cdr.voice] or the like; `keepline produce` reads files"
        raise IngestError(msg)
    both = {settings.topic, settings.dead_letters} & set(mapping.topics)
    if both:
        msg = f"{settings.mapping}: the topic {min(both)} is read and written: expected another --topic or --dead-letters"
        raise IngestError(msg)
    registry = (settings.registry_url, settings.registry, settings.unknown_id_ttl / 1000)
    TopicMapper(mapping, registry_of(*registry))
    require_topics(settings.bootstrap_servers, [*mapping.topics, settings.topic, settings.dead_letters], settings.kafka)
    records = kafka.telemetry_source(
        env, settings.bootstrap_servers, mapping.topics, settings.job_name, {"fetch.max.wait.ms": "50", **settings.kafka},
        bounded=settings.bounded, start=settings.start, strategy=WatermarkStrategy.no_watermarks(), uid="foreign",
    )  # fmt: skip
    frames = records.flat_map(MapRecords(mapping.bundle, *registry), output_type=Types.PRIMITIVE_ARRAY(Types.BYTE()))
    frames = frames.name("mapping").uid("mapping")
    topics = {EVENTS: settings.topic, DEAD_LETTERS: settings.dead_letters}
    kafka.exactly_once_sink(
        frames, settings.bootstrap_servers, [topics[channel] for channel in sorted(topics)], f"keepline-{settings.job_name}",
        {"linger.ms": "20", "batch.size": "262144", "compression.type": "lz4", **settings.kafka}, timed=[EVENTS],
    )  # fmt: skip
    return frames


def execute(settings: IngestSettings) -> Any:
    """Builds and submits the job; on a local Flink, waits for its end."""
    load(settings.mapping)  # what is wrong with it is told before a JVM starts
    held = None if on_cluster() else tie_gateway()  # the JVM of a local run ends with this process
    env = StreamExecutionEnvironment.get_execution_environment(configuration(settings))
    env.set_parallelism(settings.parallelism)
    build(env, settings)
    if on_cluster():
        return env.execute_async(settings.job_name)  # a detached client must not touch the result
    try:
        return env.execute(settings.job_name)
    finally:
        if held is not None:
            end_gateway(held)


if __name__ == "__main__":
    from keepline.jobs.cli.errors import run_alone
    from keepline.jobs.cli.ingest import ingest

    run_alone(ingest)
