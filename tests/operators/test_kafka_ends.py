"""Kafka to Kafka through the operator, read back as committed."""

import uuid
from collections import Counter

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from keepline.operators.kafka import exactly_once_sink, telemetry_source
from keepline.operators.stream import customer_stream
from keepline.schemas.packed import CLAIMS, SIGNALS, VIEW_ONLY, Frame, pack_frame

from .conftest import collection, spec


def committed(kafka, topic: str) -> list:
    """All committed messages of a topic with one partition."""
    settings = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": uuid.uuid4().hex, "isolation.level": "read_committed"}
    consumer = Consumer(settings | {"enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = []
        while (message := consumer.poll(20)) is not None and message.error() is None:
            messages.append(message)
        assert message is not None, f"the end of {topic} was not reached"
        assert message.error().code() == KafkaError._PARTITION_EOF
        return messages
    finally:
        consumer.close()


def test_exactly_once_over_a_failure(environment, kafka, name, tmp_path):
    topic, out, other = f"{name}-in", f"{name}-out", f"{name}-other"
    kafka.create_topics([topic], partitions=2)
    kafka.create_topics([out, other])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    keys = [b"c%d" % (i % 30) for i in range(6000)]
    once = b"raise-once:" + str(tmp_path / "raised").encode()
    for i, key in enumerate(keys):
        producer.produce(topic, once if i == 5000 else b"count", key=key, headers={"created_ms": b"%d" % (1000 + i)})
    producer.flush(30)

    env = environment(2)
    source = telemetry_source(env, kafka.bootstrap_servers, [topic], name, {"max.poll.records": "50"}, bounded=True, blocks=True)
    frames = customer_stream(source, "counting_kernel", spec())
    exactly_once_sink(frames, kafka.bootstrap_servers, [out, other], name)
    env.execute(name)

    assert (tmp_path / "raised").exists()
    messages = committed(kafka, out)
    counts = {key: [int(m.value().split()[0]) for m in messages if m.key() == key] for key in set(keys)}
    assert counts == {key: list(range(1, n + 1)) for key, n in Counter(keys).items()}
    assert sorted(int(dict(m.headers())["created_ms"]) for m in messages) == list(range(1000, 7000))
    assert committed(kafka, other) == []


def test_frames_for_the_view_or_another_operator_are_no_records_and_an_empty_value_is_a_tombstone(environment, kafka, name):
    topics = [f"{name}-0", f"{name}-1"]
    kafka.create_topics(topics)
    wanted = [Frame(0, 1, 1, 0, b"a", b"1"), Frame(1, 2, 2, 0, b"b", b""), Frame(0, 3, 3, 0, b"c", b"3")]
    others = [
        Frame(0, 4, 4, 0, b"view", b"4", flags=VIEW_ONLY),
        Frame(CLAIMS, 5, 5, 0, b"claim", b"5"),
        Frame(SIGNALS, 6, 6, 0, b"s", b"6"),
    ]
    env = environment()
    block = b"".join(map(pack_frame, [others[0], wanted[0], others[1], wanted[1], others[2], wanted[2]]))
    exactly_once_sink(collection(env, [block, *map(pack_frame, others)]), kafka.bootstrap_servers, topics, name)
    env.execute(name)
    assert [(m.key(), m.value()) for m in committed(kafka, topics[0])] == [(b"a", b"1"), (b"c", b"3")]
    assert [(m.key(), m.value()) for m in committed(kafka, topics[1])] == [(b"b", None)]
