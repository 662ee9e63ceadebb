"""The embedded Kafka and Redis are real servers that keep their data over a kill."""

import logging
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from redis import Redis

from keepline.jobs.stack import doctor
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.process import StackError
from keepline.jobs.stack.redis import EmbeddedRedis

OLD = 946_684_800_000  # 2000-01-01, milliseconds
QUIET = logging.getLogger("silent")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


def produce(kafka: EmbeddedKafka, topic: str, values: list[bytes], timestamp: int = OLD, **config: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, **config}, logger=QUIET)
    if config:
        producer.init_transactions(30)
        producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, timestamp=timestamp)
    if config:
        producer.commit_transaction(30)
    assert producer.flush(30) == 0


def read(kafka: EmbeddedKafka, topic: str, count: int) -> list[tuple[bytes, int]]:
    config = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": uuid.uuid4().hex, "isolation.level": "read_committed"}
    consumer = Consumer(config, logger=QUIET)
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        messages = consumer.consume(count, timeout=20)
        assert not [message.error() for message in messages if message.error()]
        return [(message.value(), message.timestamp()[1]) for message in messages]
    finally:
        consumer.close()


def test_kafka_takes_old_and_future_event_times(kafka: EmbeddedKafka) -> None:
    topic = f"times-{uuid.uuid4().hex}"
    kafka.create_topics([topic])
    future = int(time.time() * 1000) + 3 * 86_400_000
    produce(kafka, topic, [b"old"])
    produce(kafka, topic, [b"new"], timestamp=future)
    assert read(kafka, topic, 2) == [(b"old", OLD), (b"new", future)]


def test_kafka_creates_topics_as_asked_and_none_by_itself(kafka: EmbeddedKafka) -> None:
    topic = f"shape-{uuid.uuid4().hex}"
    kafka.create_topics([topic], partitions=3, configs={"cleanup.policy": "compact"})
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    assert len(admin.list_topics(timeout=10).topics[topic].partitions) == 3
    resource = ConfigResource(ResourceType.TOPIC, topic)
    config = admin.describe_configs([resource])[resource].result(10)
    assert (config["retention.ms"].value, config["cleanup.policy"].value) == ("-1", "compact")
    with pytest.raises(KafkaException, match="already exists"):
        kafka.create_topics([topic])
    broker = ConfigResource(ResourceType.BROKER, "1")
    assert admin.describe_configs([broker])[broker].result(10)["auto.create.topics.enable"].value == "false"


def test_kafka_keeps_committed_data_over_kill_and_stop() -> None:
    with EmbeddedKafka() as kafka:
        kafka.create_topics(["data"])
        produce(kafka, "data", [b"a", b"b"], **{"transactional.id": "test"})
        kafka.kill()
        assert not kafka.running
        kafka.start()
        produce(kafka, "data", [b"c"])
        kafka.stop()
        kafka.start()
        assert [value for value, _ in read(kafka, "data", 3)] == [b"a", b"b", b"c"]
        folder = kafka.folder
    assert not kafka.running
    assert not folder.exists()


def test_kafka_that_cannot_start_says_why() -> None:
    with pytest.raises(StackError, match=r"(?s)Kafka.*cleaner\.threads"), EmbeddedKafka(settings={"log.cleaner.threads": "many"}):
        pass


def test_redis_answers_and_restarts_on_its_port() -> None:
    with EmbeddedRedis(durable=True) as server:
        client = Redis.from_url(server.url)
        client.set("a", 1)
        server.kill()
        assert not server.running
        server.start()
        assert client.get("a") == b"1"
        client.close()
        folder = server.folder
    assert not folder.exists()


def test_redis_restarts_empty_unless_durable() -> None:
    with EmbeddedRedis() as server:
        with Redis.from_url(server.url) as client:
            client.set("a", 1)
        server.stop()
        server.start()
        with Redis.from_url(server.url) as client:
            assert client.get("a") is None


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_its_parent(end: signal.Signals) -> None:
    script = (
        "import time\nfrom keepline.jobs.stack.kafka import EmbeddedKafka\nfrom keepline.jobs.stack.redis import EmbeddedRedis\n"
        "with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:\n"
        "    print(kafka.folder, redis.folder, flush=True)\n    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout is not None
    folders = [Path(word) for word in parent.stdout.readline().decode().split()]
    below = psutil.Process(parent.pid).children(recursive=True)
    assert {"java", "redis-server"} <= {each.name() for each in below}
    parent.send_signal(end)
    parent.wait(20)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
    deadline = time.monotonic() + 5
    while any(folder.exists() for folder in folders) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [folder for folder in folders if folder.exists()]


def test_doctor_finds_the_servers(kafka: EmbeddedKafka, redis_server: EmbeddedRedis) -> None:
    assert doctor.kafka(kafka.bootstrap_servers).ok
    assert doctor.redis(redis_server.url).ok


def test_doctor_says_how_to_fix_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KEEPLINE_JAR", str(tmp_path / "absent.jar"))
    monkeypatch.setenv("KEEPLINE_BROKER_JARS", str(tmp_path))
    monkeypatch.setattr(doctor, "PATIENCE", 0.5)
    failed = {
        check.name: check
        for check in doctor.checks(bootstrap_servers="127.0.0.1:1", redis_url="redis://u:secret@127.0.0.1:1/0", model=tmp_path)
    }
    for name in ("Java", "Maven", "Job jar", "Embedded Kafka", "Model", "Kafka", "Redis"):
        assert not failed[name].ok, name
        assert failed[name].fix, name
    assert "secret" not in str(failed)
