"""quixstreams as its documentation has it: a StreamingDataFrame with a stateful function, RocksDB, changelog topics, exactly once.

Settings, against the defaults: `processing_guarantee="exactly-once"`; a commit each interval of the run; keys and values as bytes, and
the state as bytes (`get_bytes`, `set_bytes`), since JSON would cost more than the work; larger fetches and batches. One process a
partition, as a consumer group.

In a trial on a busy machine a process that was killed and started again stayed in the recovery of one partition, for a reason that was
not found; so the test runs it without a kill.
"""

from __future__ import annotations

from quixstreams import Application, State

from tests.benchmarks.peers.plain import engine
from tests.benchmarks.peers.plain.state import load
from tests.benchmarks.peers.programs.clients import CONSUMER, PRODUCER
from tests.benchmarks.peers.programs.task import given

KEPT = {name: value for name, value in PRODUCER.items() if name != "delivery.report.only.error"}
"""The library counts delivery reports itself."""


def main() -> None:
    """Runs until it is killed."""
    task = given()
    step = engine.make(task.settings)
    app = Application(
        broker_address=task.bootstrap_servers,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=task.checkpoint_s,
        state_dir=task.folder / f"state-{task.process}",
        consumer_extra_config={name: value for name, value in CONSUMER.items() if name != "auto.offset.reset"},
        producer_extra_config={**KEPT, "transactional.id": f"{task.name}-{task.process}", "transaction.timeout.ms": 60_000},
        broker_availability_timeout=0,
        loglevel="WARNING",
    )
    source = app.topic(task.source, key_deserializer="bytes", value_deserializer="bytes")
    sink = app.topic(task.sink, key_serializer="bytes", value_serializer="bytes")

    def scored(value: bytes, state: State) -> list[bytes]:
        before = state.get_bytes("customer")
        after, score = step(None if before is None else load(before), value)
        if score is None:
            return []
        state.set_bytes("customer", after.dump())
        return [score]

    app.dataframe(source).apply(scored, stateful=True, expand=True).to_topic(sink)
    app.run()


if __name__ == "__main__":
    main()
