"""Plain PyFlink as its documentation has it: KafkaSource, `key_by`, a KeyedProcessFunction with a ValueState, KafkaSink exactly once.

The second argument is the mode in which Flink runs Python: `thread` (inside the JVM) or `process` (workers beside it, over gRPC).

Settings, against the defaults: object reuse; a buffer timeout of 10 ms; no watermarks, since nothing here has timers; transactions
within the broker's 15 minutes; the heap state backend. In process mode the worker keeps the states of all customers
cached (`python.state.cache-size`), since each miss is a call to the JVM.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.common.serialization import ByteArraySchema, RowFieldExtractorSchema
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaRecordSerializationSchema, KafkaSink, KafkaSource

from keepline.jobs.stack.gateway import tie_gateway
from keepline.operators.jar import jar_path
from tests.benchmarks.peers.programs.pyflink_function import Scored, customer
from tests.benchmarks.peers.programs.task import Task, given

ROOT = Path(__file__).parents[4]


def configuration(task: Task, mode: str) -> Configuration:
    """Flink's settings."""
    conf = Configuration()
    packages = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    values = {
        "pipeline.jars": jar_path().as_uri(),
        "pipeline.object-reuse": "true",
        "python.execution-mode": mode,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.pythonpath": ":".join(packages),
        "python.fn-execution.bundle.size": "10000",
        "python.fn-execution.bundle.time": "200",
        "python.state.cache-size": "300000",
        "state.backend.type": "hashmap",
        "execution.checkpointing.dir": (task.folder / "checkpoints").as_uri(),
        "execution.checkpointing.interval": f"{int(task.checkpoint_s * 1000)} ms",
        "execution.buffer-timeout.interval": "10 ms",
        "restart-strategy.type": "none",
        "taskmanager.numberOfTaskSlots": str(task.processes),
        "taskmanager.memory.managed.size": "512m",
        "rest.port": "0",
        "rest.bind-port": "0",
    }
    for key, value in values.items():
        conf.set_string(key, value)
    return conf


def build(env: StreamExecutionEnvironment, task: Task) -> None:
    """The job's graph."""
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(task.bootstrap_servers)
        .set_topics(task.source)
        .set_group_id(task.name)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(ByteArraySchema())
        .build()
    )
    record = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(task.sink)
        .set_key_serialization_schema(RowFieldExtractorSchema(0))
        .set_value_serialization_schema(RowFieldExtractorSchema(1))
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(task.bootstrap_servers)
        .set_record_serializer(record)
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix(task.name)
        .set_property("transaction.timeout.ms", "900000")
        .set_property("linger.ms", "20")
        .set_property("batch.size", str(1 << 18))
        .set_property("compression.type", "lz4")
        .build()
    )
    octets = Types.PRIMITIVE_ARRAY(Types.BYTE())
    events = env.from_source(source, WatermarkStrategy.no_watermarks(), "events")
    scores = events.key_by(customer, Types.STRING()).process(Scored(task.settings), Types.ROW([octets, octets]))
    scores.sink_to(sink)


def main() -> None:
    """Runs until it is killed."""
    task, mode = given(), sys.argv[2]
    held = tie_gateway()  # the JVM ends with this process
    env = StreamExecutionEnvironment.get_execution_environment(configuration(task, mode))
    env.set_parallelism(task.processes)
    build(env, task)
    env.execute(task.name)
    del held


if __name__ == "__main__":
    main()
