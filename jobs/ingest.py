"""The ingest job: foreign topics → canonical events in `telemetry`, by a mapping; what cannot be mapped goes to dead letters.

    1 foreign      Kafka source: packed bytes with topic, partition, offset, timestamp and key
    2 mapping      Python: reads the foreign format and maps it; frames of two channels
    3 kafka-sink   events and dead letters, exactly once: one transaction a checkpoint

The numbers are the order of the graph, the names the operators' `uid`s. An ordinary PyFlink job: one stateless `flat_map`, in thread mode,
where the record's bytes reach Python in the JVM's own process; in process mode each would go through a socket to another one. It has no
event time: order is that of the foreign partitions. The mapping's text and the code that maps travel with the job.

Runs as `keepline run ingest` and `python jobs/ingest.py` (a Flink inside this process), and on a cluster as
`keepline submit ingest` or `flink run -py jobs/ingest.py`.
"""

from __future__ import annotations

from typing import Any

from pyflink.common import Types, WatermarkStrategy
from pyflink.datastream import DataStream, StreamExecutionEnvironment

from keepline.jobs.execution import configuration, set_labels, submit
from keepline.jobs.ingest_settings import IngestSettings
from keepline.jobs.ingest_spec import ingest_spec
from keepline.jobs.mapping.frames import DEAD_LETTERS, EVENTS
from keepline.jobs.mapping.spec import MODULE, IngestSpec
from keepline.operators import kafka
from keepline.operators.carried import carried
from keepline.operators.kafka_check import require_topics


def build(env: StreamExecutionEnvironment, settings: IngestSettings, spec: IngestSpec) -> DataStream:
    """Adds the graph to an environment; returns the frames. Raises KeeplineError for topics that are not there."""
    require_topics(settings.bootstrap_servers, [*spec.topics, settings.topic, settings.dead_letters], settings.kafka)
    records = kafka.telemetry_source(
        env, settings.bootstrap_servers, spec.topics, settings.job_name, {"fetch.max.wait.ms": "50", **settings.kafka},
        bounded=settings.bounded, start=settings.start, strategy=WatermarkStrategy.no_watermarks(), uid="foreign",
    )  # fmt: skip
    frames = records.flat_map(carried(MODULE, spec.dumps()), output_type=Types.PRIMITIVE_ARRAY(Types.BYTE()))
    frames = frames.name("mapping").uid("mapping")
    topics = {EVENTS: settings.topic, DEAD_LETTERS: settings.dead_letters}
    kafka.exactly_once_sink(
        frames, settings.bootstrap_servers, [topics[channel] for channel in sorted(topics)], f"keepline-{settings.job_name}",
        {"linger.ms": "20", "batch.size": "262144", "compression.type": "lz4", **settings.kafka}, timed=[EVENTS],
    )  # fmt: skip
    return frames


def execute(settings: IngestSettings) -> Any:
    """Builds and submits the job; on a local Flink, waits for its end."""
    spec = ingest_spec(settings)  # what is wrong with it is told before a JVM starts
    conf = configuration(settings, buffer_timeout="2 ms")  # its elements are single records
    set_labels(conf)
    return submit(conf, settings.parallelism, settings.job_name, lambda env: build(env, settings, spec))


if __name__ == "__main__":
    from keepline.jobs.cli.errors import run_alone
    from keepline.jobs.cli.ingest import ingest

    run_alone(ingest)
