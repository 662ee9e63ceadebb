"""A Flink job that passes values from topic to topic, exactly once; the settings are those of the retention job.

`python -m tests.benchmarks.peers.limits.flink SERVERS SOURCE SINK NAME INTERVAL_MS CHECKPOINTS PARALLELISM`. Values only, no keys: no
serialiser of ours is in it.
"""

from __future__ import annotations

import sys
from typing import Any

from pyflink.common import WatermarkStrategy
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaSource
from pyflink.java_gateway import get_gateway

from keepline.jobs.execution import configuration, submit
from keepline.jobs.settings import RetentionSettings
from keepline.operators.kafka import TRANSACTION_TIMEOUT_MS

BYTES = "org.apache.kafka.common.serialization.ByteArray"


def build(env: StreamExecutionEnvironment, servers: str, source: str, sink: str, name: str) -> None:
    """Source and sink, chained as Flink does by itself."""
    jvm: Any = get_gateway().jvm
    loader = jvm.Thread.currentThread().getContextClassLoader()

    def of(kind: str) -> Any:
        return jvm.Class.forName(BYTES + kind, True, loader)

    flink = jvm.org.apache.flink.connector.kafka
    reading = flink.source.reader.deserializer.KafkaRecordDeserializationSchema.valueOnly(of("Deserializer"))
    begin = flink.source.enumerator.initializer.OffsetsInitializer.earliest()
    topics = jvm.java.util.ArrayList()
    topics.add(source)
    reader = flink.source.KafkaSource.builder().setBootstrapServers(servers).setTopics(topics).setGroupId(name)
    reader = reader.setStartingOffsets(begin).setDeserializer(reading).build()
    stream = env.from_source(KafkaSource(reader), WatermarkStrategy.no_watermarks(), "source")
    writing = flink.sink.KafkaRecordSerializationSchema.builder().setTopic(sink).setKafkaValueSerializer(of("Serializer")).build()
    writer = flink.sink.KafkaSink.builder().setBootstrapServers(servers).setRecordSerializer(writing).setTransactionalIdPrefix(name)
    writer = writer.setDeliveryGuarantee(jvm.org.apache.flink.connector.base.DeliveryGuarantee.EXACTLY_ONCE)
    writer = writer.setProperty("transaction.timeout.ms", str(TRANSACTION_TIMEOUT_MS)).setProperty("compression.type", "lz4")
    stream._j_data_stream.sinkTo(writer.setProperty("linger.ms", "20").setProperty("batch.size", str(1 << 20)).build())


def main(servers: str, source: str, sink: str, name: str, interval: str, checkpoints: str, parallelism: str) -> None:
    """The job."""
    settings = RetentionSettings(
        job_name=name, rest_port=0, checkpoint_interval=int(interval), checkpoint_dir=checkpoints, parallelism=int(parallelism)
    )  # type: ignore[call-arg]
    submit(configuration(settings), settings.parallelism, name, lambda env: build(env, servers, source, sink, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
