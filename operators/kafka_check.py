"""Asks Kafka, before a job is submitted, whether what the job needs is there, and whether the job may use it.

A Flink source or sink without its topic, or without the right to it, restarts for ever, and one without a broker waits without a word.
The questions go through the Java client with the job's own properties, so that they fail where the job would: host, port,
security, access lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyflink.java_gateway import get_gateway

from keepline.operators.kafka_refusals import advice, grants
from keepline.schemas.errors import KeeplineError

TIMEOUT_MS = 10_000
NO_PARTITION = 2**31 - 1
"""A partition that no topic has: an offset for it is never committed, but first the broker says whether we may commit to the group."""
Right = tuple[str, str, str]
"""Operation, kind of resource and name, in the words of kafka-acls.sh."""


class KafkaNotReadyError(KeeplineError):
    """Kafka does not answer or refuses, or a topic or a right is missing; the message says what to do."""


def require_topics(bootstrap_servers: str, topics: Iterable[str], properties: Mapping[str, str] | None = None) -> None:
    """Return if all topics can be described with these client properties; KafkaNotReadyError within some 10 s if not.

    Creates nothing. Call it once the job's jar is loaded, that is, with an execution environment at hand.
    """
    with _admin(bootstrap_servers, properties or {}) as admin:
        _operations(admin, bootstrap_servers, topics)


def require_access(
    bootstrap_servers: str,
    reads: Sequence[str],
    writes: Sequence[str],
    group: str,
    transactional_prefix: str,
    properties: Mapping[str, str] | None = None,
    transaction_timeout_ms: int = 900_000,
) -> None:
    """`require_topics`, and return only if the job may also read and write them, commit to the group and write in transactions.

    Leaves a transactional id `PREFIX-submit` with the broker, which forgets it after a week, and nothing else. All that is missing
    is in one message, with the commands that grant it.
    """
    given = properties or {}
    with _admin(bootstrap_servers, given) as admin:
        allowed = _operations(admin, bootstrap_servers, [*reads, *writes])
        missing: list[Right] = [("Read", "Topic", name) for name in reads if not _may(allowed[name], "READ")]
        missing += [("Write", "Topic", name) for name in writes if not _may(allowed[name], "WRITE")]
        if not _may_commit(admin, bootstrap_servers, group, reads[0]):
            missing.append(("Read", "Group", group))
    if not _may_write_transactions(bootstrap_servers, f"{transactional_prefix}-submit", transaction_timeout_ms, given):
        missing.append(("Write", "TransactionalId", f"{transactional_prefix}-"))
    if missing:
        lacks = ", ".join(f"{operation} on {kind} {name}" for operation, kind, name in missing)
        told = f"Kafka at {bootstrap_servers} does not allow this user {lacks}"
        msg = f"{told}: grant it ({grants(missing, given)}); docs/security.md lists all"
        raise KafkaNotReadyError(msg)


def require_room(bootstrap_servers: str, topics: Iterable[str], needed: int, properties: Mapping[str, str] | None = None) -> None:
    """Return if each topic takes records of so many bytes, or Kafka does not let us ask; else KafkaNotReadyError with the command."""
    from py4j.protocol import Py4JJavaError

    jvm = get_gateway().jvm
    config = jvm.org.apache.kafka.common.config.ConfigResource
    asked = [config(config.Type.TOPIC, name) for name in topics]
    with _admin(bootstrap_servers, properties or {}) as admin:
        for resource, answer in dict(admin.describeConfigs(asked).values()).items():
            try:
                takes = int(answer.get().get("max.message.bytes").value())
            except Py4JJavaError:
                continue
            if takes < needed:
                msg = (
                    f"Kafka at {bootstrap_servers}: topic {resource.name()} takes records of {takes} bytes (max.message.bytes): expected "
                    f"{needed} or more, for dead letters of large records; kafka-configs.sh --alter --topic {resource.name()} "
                    f"--add-config max.message.bytes={needed}"
                )
                raise KafkaNotReadyError(msg)


@contextmanager
def _admin(bootstrap_servers: str, properties: Mapping[str, str]) -> Iterator[Any]:
    """Java's admin client."""
    from py4j.protocol import Py4JJavaError

    jvm = get_gateway().jvm
    try:
        admin = jvm.org.apache.kafka.clients.admin.Admin.create(_java(bootstrap_servers, properties))
    except Py4JJavaError as error:
        raise _refused(bootstrap_servers, "the client refuses its settings", error) from None
    try:
        yield admin
    finally:
        admin.close(jvm.java.time.Duration.ofMillis(0))


def _java(bootstrap_servers: str, properties: Mapping[str, str], **more: str) -> Any:
    """Client properties as Java takes them."""
    given = get_gateway().jvm.java.util.Properties()
    for key, value in {
        **properties,
        "bootstrap.servers": bootstrap_servers,
        "default.api.timeout.ms": str(TIMEOUT_MS),
        "request.timeout.ms": str(TIMEOUT_MS // 2),
        **{name.replace("_", "."): value for name, value in more.items()},
    }.items():
        given.setProperty(key, value)
    return given


def _operations(admin: Any, bootstrap_servers: str, topics: Iterable[str]) -> dict[str, set[str] | None]:
    """What may be done with each topic: None where the broker does not say, nothing where it does not even say that the topic is there."""
    from py4j.protocol import Py4JJavaError

    jvm = get_gateway().jvm
    names = list(dict.fromkeys(topics))
    options = jvm.org.apache.kafka.clients.admin.DescribeTopicsOptions().includeAuthorizedOperations(True)
    found: dict[str, set[str] | None] = {}
    missing = []
    for name, answer in dict(admin.describeTopics(names, options).topicNameValues()).items():
        try:
            operations = answer.get().authorizedOperations()
            found[name] = None if operations is None else {str(each.name()) for each in operations}
        except Py4JJavaError as error:
            problem = _root(error)
            if "TopicAuthorization" in problem:
                found[name] = set()
            elif "UnknownTopicOrPartition" in problem:
                missing.append(name)
            else:
                told = f"does not say within {TIMEOUT_MS // 1000} s whether topic {name!r} is there"
                raise _refused(bootstrap_servers, told, error) from None
    if missing:
        msg = (
            f"Kafka at {bootstrap_servers} has no topic {', '.join(sorted(missing))}: create what is missing (kafka-topics.sh --create "
            "--topic NAME --partitions N), or correct --topics and --output-prefix; the job creates none by itself"
        )
        raise KafkaNotReadyError(msg)
    return found


def committed_offsets(
    bootstrap_servers: str, group: str, topics: Iterable[str], properties: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Offsets that a consumer group has committed, summed by topic; empty where it has read none of these."""
    from py4j.protocol import Py4JJavaError

    wanted = set(topics)
    found: dict[str, int] = {}
    with _admin(bootstrap_servers, properties or {}) as admin:
        try:
            answer = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
        except Py4JJavaError as error:
            raise _refused(bootstrap_servers, f"does not say what group {group!r} has read", error) from None
        for partition, offset in dict(answer).items():
            if offset is not None and offset.offset() > 0 and partition.topic() in wanted:
                found[partition.topic()] = found.get(partition.topic(), 0) + offset.offset()
    return found


def _may(operations: set[str] | None, wanted: str) -> bool:
    return operations is None or bool(operations & {wanted, "ALL"})


def _may_commit(admin: Any, bootstrap_servers: str, group: str, topic: str) -> bool:
    """Whether offsets may be committed to the group."""
    from py4j.protocol import Py4JJavaError

    jvm = get_gateway().jvm
    partition = jvm.org.apache.kafka.common.TopicPartition(topic, NO_PARTITION)
    offsets = {partition: jvm.org.apache.kafka.clients.consumer.OffsetAndMetadata(0)}
    try:
        admin.alterConsumerGroupOffsets(group, offsets).partitionResult(partition).get()
    except Py4JJavaError as error:
        problem = _root(error)
        if "Timeout" in problem or "Disconnect" in problem:
            raise _refused(
                bootstrap_servers, f"does not say within {TIMEOUT_MS // 1000} s whether group {group!r} may be used", error
            ) from None
        return "GroupAuthorization" not in problem
    return True


def _may_write_transactions(bootstrap_servers: str, transactional_id: str, timeout_ms: int, properties: Mapping[str, str]) -> bool:
    """Whether transactions of this id can be begun; KafkaNotReadyError where the broker takes none of this length."""
    from py4j.protocol import Py4JJavaError

    jvm = get_gateway().jvm
    bytes_ = jvm.org.apache.kafka.common.serialization.ByteArraySerializer
    given = _java(bootstrap_servers, properties, transactional_id=transactional_id, max_block_ms=str(TIMEOUT_MS))
    given.setProperty("transaction.timeout.ms", properties.get("transaction.timeout.ms", str(timeout_ms)))
    producer = jvm.org.apache.kafka.clients.producer.KafkaProducer(given, bytes_(), bytes_())
    try:
        producer.initTransactions()
    except Py4JJavaError as error:
        problem = _root(error)
        if "TransactionalIdAuthorization" in problem:
            return False
        if "timeout is larger" in problem:
            msg = (
                f"Kafka at {bootstrap_servers} takes no transactions of {given.getProperty('transaction.timeout.ms')} ms: lower "
                "transaction.timeout.ms in --kafka, or raise the broker's transaction.max.timeout.ms"
            )
            raise KafkaNotReadyError(msg) from None
        raise _refused(bootstrap_servers, "does not begin a transaction", error) from None
    finally:
        producer.close(jvm.java.time.Duration.ofMillis(0))
    return True


def _refused(bootstrap_servers: str, told: str, error: Any) -> KafkaNotReadyError:
    problem = _root(error)
    return KafkaNotReadyError(f"Kafka at {bootstrap_servers} {told}: {problem}; {advice(problem)}; then run `keepline doctor`")


def _root(error: Any) -> str:
    """The innermost cause, as `Class: message`, on one line."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return " ".join(f"{cause.getClass().getSimpleName()}: {cause.getMessage()}".split())
