"""Asks Kafka, before a job is submitted, whether what the job needs is there.

A Flink source or sink without its topic restarts for ever, and one without a broker waits without a word. The question goes
through the Java client with the job's own properties, so that it fails where the job would: host, port, security.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyflink.java_gateway import get_gateway

from keepline.schemas.errors import KeeplineError

TIMEOUT_MS = 10_000


class KafkaNotReadyError(KeeplineError):
    """Kafka does not answer, or a topic is missing; the message says what to do."""


def require_topics(bootstrap_servers: str, topics: Iterable[str], properties: Mapping[str, str] | None = None) -> None:
    """Return if all topics can be described with these client properties; KafkaNotReadyError within some 10 s if not.

    Creates nothing. Call it once the job's jar is loaded, that is, with an execution environment at hand.
    """
    from py4j.protocol import Py4JJavaError

    jvm = get_gateway().jvm
    names = jvm.java.util.ArrayList()
    for topic in dict.fromkeys(topics):
        names.add(topic)
    given = jvm.java.util.Properties()
    for key, value in {
        **(properties or {}),
        "bootstrap.servers": bootstrap_servers,
        "default.api.timeout.ms": str(TIMEOUT_MS),
        "request.timeout.ms": str(TIMEOUT_MS // 2),
    }.items():
        given.setProperty(key, value)
    try:
        admin = jvm.org.apache.kafka.clients.admin.Admin.create(given)
    except Py4JJavaError as error:
        msg = f"Kafka at {bootstrap_servers}: the client refuses its settings: {_root(error)}; check --bootstrap-servers and --kafka"
        raise KafkaNotReadyError(msg) from None
    missing = []
    try:
        for name, answer in dict(admin.describeTopics(names).topicNameValues()).items():
            try:
                answer.get()
            except Py4JJavaError as error:
                problem = _root(error)
                if "UnknownTopicOrPartition" not in problem:
                    msg = (
                        f"Kafka at {bootstrap_servers} does not say within {TIMEOUT_MS // 1000} s whether topic {name!r} is there: "
                        f"{problem}; check that it runs, --bootstrap-servers, and --kafka for its security; then run `keepline doctor`"
                    )
                    raise KafkaNotReadyError(msg) from None
                missing.append(name)
    finally:
        admin.close(jvm.java.time.Duration.ofMillis(0))
    if missing:
        msg = (
            f"Kafka at {bootstrap_servers} has no topic {', '.join(sorted(missing))}: create what is missing (kafka-topics.sh --create "
            "--topic NAME --partitions N), or correct --topics and --output-prefix; the job creates none by itself"
        )
        raise KafkaNotReadyError(msg)


def _root(error: Any) -> str:
    """The innermost cause, as `Class: message`."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return f"{cause.getClass().getSimpleName()}: {cause.getMessage()}"
