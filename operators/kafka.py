"""Kafka ends of a job: the telemetry source with its watermarks, and the exactly-once sink for all output channels.

Both speak packed byte[] (see `schemas/packed.py`), so that nothing of a record passes through Python on the way to the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyflink.common import WatermarkStrategy
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaSource
from pyflink.datastream.data_stream import DataStreamSink
from pyflink.java_gateway import get_gateway

from keepline.operators.spec import HOUR_MS, MAX_TIME_MS, MIN_TIME_MS
from keepline.operators.stream import max_parallelism, single_frames

TRANSACTION_TIMEOUT_MS = 900_000
"""The broker's default limit, 15 minutes. The client's own default in Flink, an hour, is refused by such a broker."""


BYTES = "org.apache.kafka.common.serialization.ByteArrayDeserializer"


def watermarks(
    bound_ms: int = HOUR_MS, min_time_ms: int = MIN_TIME_MS, max_time_ms: int = MAX_TIME_MS, idle_ms: int = 0
) -> WatermarkStrategy:
    """Largest event time − bound − 1. A split silent for `idle_ms` follows the wall clock − bound; 0 = never, as replays of old data want.

    With 0, a source subtask without a partition of its own holds event time back: keep the parallelism within the partitions.
    """
    return WatermarkStrategy(get_gateway().jvm.io.keepline.EventTimeWatermarks(bound_ms, min_time_ms, max_time_ms, idle_ms))


def telemetry_source(
    env: StreamExecutionEnvironment,
    bootstrap_servers: str,
    topics: Sequence[str],
    group_id: str,
    properties: Mapping[str, str] | None = None,
    *,
    bounded: bool = False,
    start: str = "committed",
    strategy: WatermarkStrategy | None = None,
    blocks: bool = False,
    uid: str = "telemetry",
) -> DataStream:
    """Records of `topics` as PACKED_IN byte[]; a record's topic index is its topic's place in `topics`.

    With `blocks` an element is a block of records that keyBy sends to one subtask, for `customer_stream`; else each is an element.

    `properties` go to the Kafka client as they are (security, fetch sizes). `start`: "committed" (of the group; earliest where there is
    none), "earliest" or "latest". A restore goes on from the checkpoint whatever it says. `bounded`: up to what the topics hold at start.
    """
    jvm = get_gateway().jvm
    offsets = jvm.org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer
    reset = jvm.org.apache.kafka.clients.consumer.OffsetResetStrategy.EARLIEST
    starts = {"committed": lambda: offsets.committedOffsets(reset), "earliest": offsets.earliest, "latest": offsets.latest}
    if start not in starts:
        msg = f"start {start!r}: expected one of {', '.join(starts)}"
        raise ValueError(msg)
    builder = jvm.org.apache.flink.connector.kafka.source.KafkaSource.builder()
    builder = builder.setBootstrapServers(bootstrap_servers).setTopics(list(topics)).setGroupId(group_id)
    packer = jvm.io.keepline.PackedDeserializer(list(topics))
    builder = builder.setStartingOffsets(starts[start]()).setDeserializer(packer)
    for key, value in (properties or {}).items():
        builder = builder.setProperty(key, value)
    if bounded:
        builder = builder.setBounded(offsets.latest())
    built = builder.build()
    if blocks:
        client = {
            "bootstrap.servers": bootstrap_servers, "group.id": group_id, "client.id.prefix": group_id, "enable.auto.commit": "false",
            **(properties or {}),
            # As the builder has it for the partitions and offsets, whatever the user's properties say; and a block is made of bytes.
            "auto.offset.reset": "latest" if start == "latest" else "earliest", "key.deserializer": BYTES, "value.deserializer": BYTES,
        }  # fmt: skip
        built = jvm.io.keepline.BlockSource(built, client, packer, max_parallelism(env))
    source = KafkaSource(built)
    return env.from_source(source, strategy or watermarks(), uid).uid(uid)


def exactly_once_sink(
    frames: DataStream,
    bootstrap_servers: str,
    topics: Sequence[str],
    transactional_prefix: str,
    properties: Mapping[str, str] | None = None,
    *,
    chained: bool = False,
    timed: Sequence[int] = (),
    uid: str = "kafka-sink",
) -> DataStreamSink:
    """Write blocks of frames to `topics[channel]`, one transaction a checkpoint for all of them; read them with `read_committed`.

    `transactional_prefix` must be this job's alone: two live jobs with one prefix fence each other. Unless `chained`, the sink has a task
    thread of its own: its flush at a barrier waits for the broker, and that must not hold up the operator or Redis. Records of the channels
    in `timed` have their frame's as_of as Kafka timestamp.
    """
    jvm = get_gateway().jvm
    guarantee = jvm.org.apache.flink.connector.base.DeliveryGuarantee.EXACTLY_ONCE
    builder = jvm.org.apache.flink.connector.kafka.sink.KafkaSink.builder().setBootstrapServers(bootstrap_servers)
    serializer = jvm.io.keepline.ChannelSerializer(list(topics), sum(1 << channel for channel in set(timed)))
    builder = builder.setRecordSerializer(serializer).setDeliveryGuarantee(guarantee)
    builder = builder.setTransactionalIdPrefix(transactional_prefix)
    for key, value in {"transaction.timeout.ms": str(TRANSACTION_TIMEOUT_MS), **(properties or {})}.items():
        builder = builder.setProperty(key, value)
    each = single_frames(frames).uid(f"{uid}-frames")
    if not chained:
        each = each.start_new_chain()  # with the sink chained behind it: what travels to the sink's thread are blocks
    return DataStreamSink(each._j_data_stream.sinkTo(builder.build())).name(uid).uid(uid)
