"""Client configurations for confluent-kafka (librdkafka), with the user's properties passed through, and its errors as ours.

Security properties may be spelt as for the Java client (kafka_java.py), so the job's `[kafka]` table serves the tools too.

librdkafka logs to Python's logger `keepline.kafka`, which says nothing unless a program configures logging: what matters to
a user comes back as an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import KafkaError as ClientError
from confluent_kafka.admin import AdminClient

from keepline.jobs.kafka_java import shared, translated
from keepline.schemas.errors import KeeplineError

LOG = logging.getLogger("keepline.kafka")
LOG.addHandler(logging.NullHandler())
PATIENCE_SECONDS = 10.0
Client = TypeVar("Client")
Config = dict[str, Any]
_HEARD: dict[int, list[ClientError]] = {}
"""Errors of a client's connections, by its id; a process has few clients."""


class KafkaError(KeeplineError):
    """Kafka does not answer or refuses; the message says what to check."""


def of_job(settings: Mapping[str, str], flags: Iterable[str] | None) -> list[str]:
    """`name=value` pairs: how the job connects (its `[kafka]`), then the tool's own `--kafka`, which wins."""
    return [*(f"{name}={value}" for name, value in shared(settings).items()), *(flags or ())]


def properties(pairs: Iterable[str]) -> dict[str, str]:
    """`name=value` pairs as librdkafka's properties; Java's security properties are translated.

    >>> properties(["security.protocol=SASL_SSL"])
    {'security.protocol': 'SASL_SSL'}
    """
    given = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not (name and sign):
            msg = f"--kafka {name!r}: expected name=value, such as security.protocol=SASL_SSL"
            raise KafkaError(msg)
        given[name] = value
    return translated(given)


def producer(servers: str, given: Mapping[str, str]) -> Config:
    """An idempotent producer that partitions keys as Java clients do."""
    return {
        "bootstrap.servers": servers,
        "enable.idempotence": True,
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": 500_000,
        **given,
    }


def reader(servers: str, given: Mapping[str, str]) -> Config:
    """A reader of committed records that leaves no offsets behind."""
    return {
        "bootstrap.servers": servers,
        "group.id": "keepline-reader",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        **given,
    }


def client(kind: Callable[..., Client], config: Config) -> Client:
    """A Producer, Consumer or AdminClient of these properties, its log routed; KafkaError for properties that it does not take."""
    heard: list[ClientError] = []
    try:
        made = kind({**config, "error_cb": heard.append}, logger=LOG)
    except KafkaException as error:
        msg = f"the Kafka client refuses its properties: {reason(error)}; --kafka takes those of librdkafka (its CONFIGURATION.md)"
        raise KafkaError(msg) from None
    _HEARD[id(made)] = heard
    return made


def why_refused(asked: Producer | Consumer | AdminClient, servers: str) -> str:
    """Why no broker lets this client in, and what to change; "" where none refuses. What a call itself says is only that time ran out."""
    asked.poll(0)  # serves what the connections had to say
    for error in _HEARD.get(id(asked), ()):
        if error.code() in {ClientError._AUTHENTICATION, ClientError._SSL}:
            told = error.str().rsplit(" (after ", 1)[0]
            return f"Kafka at {servers} does not let us in: {told}; {_change(told.lower())}"
    return ""


def _change(told: str) -> str:
    if "hostname" in told or "ip address mismatch" in told:
        return "the certificate is for another host name: use the name that it has, or give the broker a certificate for this one"
    if "certificate" in told:
        return "name the PEM file of the brokers' authority: ssl.truststore.location, with ssl.truststore.type = PEM"
    if "authentication" in told or "credentials" in told:
        return "correct user and password: sasl.jaas.config, sasl.mechanism"
    return "check security.protocol against the listener of this port"


def partitions(asked: Producer | Consumer, servers: str, topic: str, patience: float = PATIENCE_SECONDS) -> list[int]:
    """The partitions of a topic; KafkaError where no broker answers or none has the topic."""
    try:
        metadata = asked.list_topics(topic, timeout=patience).topics[topic]
        if metadata.error is not None and metadata.error.code() == ClientError.LEADER_NOT_AVAILABLE:
            # The broker creates topics when they are asked for, and has just begun.
            asked.poll(1.0)
            metadata = asked.list_topics(topic, timeout=patience).topics[topic]
    except KafkaException as error:
        told = f"no answer from Kafka at {servers} within {patience:.0f} s ({reason(error)})"
        msg = why_refused(asked, servers) or f"{told}; check --bootstrap-servers, or run `keepline doctor`"
        raise KafkaError(msg) from None
    if metadata.error is not None:
        refused = metadata.error.code() == ClientError.TOPIC_AUTHORIZATION_FAILED
        advice = "give this user the right (docs/security.md shows the commands)" if refused else "create the topic, or correct its name"
        msg = f"topic {topic!r} at {servers}: {metadata.error.str()}; {advice}"
        raise KafkaError(msg)
    return list(metadata.partitions)


def reason(error: KafkaException) -> str:
    """What the client says, without its decoration."""
    return str(error.args[0].str()) if error.args and hasattr(error.args[0], "str") else str(error)
