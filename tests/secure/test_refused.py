"""What a server refuses is told at submit, in one line, with what to change; never by a job that restarts without a word.

Each case is a mistake in the settings, or a line of the document's access lists taken away, which also shows that none of them is one
too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka.admin import AclBinding, AclBindingFilter, AdminClient

from keepline.jobs.execution import configuration
from keepline.jobs.retention import RetentionJob
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.operators.spec import CHANNELS
from keepline.schemas.errors import KeeplineError
from tests.secure.authority import Authority
from tests.secure.conftest import ADMIN_PASSWORD, SECRETS, Job, redis_client, redis_users
from tests.secure.document import access_lists, block

OF_JOB = [each for each in access_lists(block("acls.sh", {})) if each.principal == "User:keepline"]
KAFKA_REFUSES = {
    "wrong password": (('password="${file:', 'password="x${file:'), ("SaslAuthenticationException", "correct sasl.jaas.config")),
    "unknown user": (('username="keepline"', 'username="nobody"'), ("SaslAuthenticationException", "correct sasl.jaas.config")),
    "no password": (('security.protocol = "SASL_SSL"', 'security.protocol = "SSL"'), ("security.protocol",)),
    "no authority": (('ssl.truststore.location = "', 'client.id = "'), ("an authority that this client does not trust",)),
    "another host name": (('servers = "localhost:', 'servers = "127.0.0.1:'), ("for another host name", "advertised.listeners")),
    "mechanism": (('"SCRAM-SHA-512"', '"SCRAM-SHA-256"'), ("sasl.mechanism",)),
    "no such file": (('ssl.truststore.location = "/', 'ssl.truststore.location = "/nowhere/'), ("/nowhere/", "check ssl.trust")),
}  # fmt: skip
REDIS_REFUSES = {
    "wrong password": (("keepline:$", "keepline:x$"), ("WRONGPASS", "the user or the password in redis_url is wrong")),
    "no password": (("keepline:${env:REDIS_PASSWORD}@", ""), ("NOAUTH", "rediss://USER:PASSWORD@host")),
    "no authority": (("?ssl_ca_certs", "?ssl_check_hostname=true#"), ("?ssl_ca_certs=/path/to/ca.pem",)),
    "another host name": (("@localhost", "@127.0.0.1"), ("for another host name",)),
    "no such file": (("ssl_ca_certs=/", "ssl_ca_certs=/nowhere/"), ("/nowhere/", "readable file of PEM")),
}


def refusal(settings: RetentionSettings) -> str:
    """What building the job says, which is what submitting it does before anything runs."""
    from pyflink.datastream import StreamExecutionEnvironment

    env = StreamExecutionEnvironment.get_execution_environment(configuration(settings))
    with pytest.raises(KeeplineError) as caught:
        RetentionJob.from_settings(settings).build(env)
    told = str(caught.value)
    assert "\n" not in told
    assert not [secret for secret in SECRETS if secret in told]
    return told


@pytest.mark.parametrize("case", KAFKA_REFUSES)
def test_kafka_refuses(secure_job: Job, case: str) -> None:
    change, words = KAFKA_REFUSES[case]
    told = refusal(secure_job.settings(change))
    assert told.startswith("Kafka at "), told
    assert [word for word in words if word not in told] == [], told


@contextmanager
def without(kafka: EmbeddedKafka, taken: AclBinding) -> Iterator[None]:
    admin = AdminClient(kafka.admin)
    exact = AclBindingFilter(
        taken.restype, taken.name, taken.resource_pattern_type, taken.principal, taken.host, taken.operation, taken.permission_type
    )
    (future,) = admin.delete_acls([exact]).values()
    assert len(future.result()) == 1
    try:
        yield
    finally:
        for future in admin.create_acls([taken]).values():
            future.result()


@pytest.mark.parametrize("taken", OF_JOB, ids=lambda each: each.name)
def test_every_line_of_the_access_lists_is_needed(secure_job: Job, secure_kafka: EmbeddedKafka, taken: AclBinding) -> None:
    with without(secure_kafka, taken):
        told = refusal(secure_job.settings())
    assert "does not allow this user" in told
    grant = f"kafka-acls.sh --add --allow-principal User:keepline --operation {taken.operation.name.capitalize()} "
    assert grant in told
    assert taken.name in told
    assert told.count(grant) == (len(CHANNELS) if taken.name == "retention." else 1)


@pytest.mark.parametrize("case", REDIS_REFUSES)
def test_redis_refuses(secure_job: Job, case: str) -> None:
    change, words = REDIS_REFUSES[case]
    told = refusal(secure_job.settings(change))
    assert told.startswith("Redis"), told
    assert [word for word in words if word not in told] == [], told


(RIGHTS,) = (line.split()[2:] for line in redis_users() if line.startswith("user keepline "))
NEEDED = [word for word in RIGHTS if word[0] in "+~" and word != "+ping"]
"""PING is for `keepline doctor`."""


@pytest.mark.parametrize("taken", NEEDED)
def test_every_right_of_the_redis_user_is_needed(secure_job: Job, secure_redis: EmbeddedRedis, authority: Authority, taken: str) -> None:
    with redis_client(secure_redis, authority, "admin", ADMIN_PASSWORD) as admin:
        admin.execute_command("ACL", "SETUSER", "keepline", "reset", *(word for word in RIGHTS if word != taken))
        try:
            told = refusal(secure_job.settings())
        finally:
            admin.execute_command("ACL", "SETUSER", "keepline", "reset", *RIGHTS)
    assert told.startswith("Redis (rediss://***@localhost:"), told
    assert "the commands and keys that docs/security.md lists" in told


def test_a_redis_that_is_away_is_a_warning(secure_job: Job, caplog: pytest.LogCaptureFixture) -> None:
    from pyflink.datastream import StreamExecutionEnvironment

    settings = secure_job.settings()
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    RetentionJob.from_settings(away).build(StreamExecutionEnvironment.get_execution_environment(configuration(away)))
    assert "the job starts" in caplog.text


def test_a_broker_that_takes_no_long_transactions(secure_job: Job) -> None:
    told = refusal(secure_job.settings(("[kafka]", '[kafka]\ntransaction.timeout.ms = "900001"')))
    assert "takes no transactions of 900001 ms" in told
    assert "transaction.max.timeout.ms" in told


def test_an_authority_of_somebody_else(secure_job: Job, authority: Authority) -> None:
    other = Authority(authority.folder / "other").file
    told = refusal(secure_job.settings((f'ssl.truststore.location = "{authority.file}', f'ssl.truststore.location = "{other}')))
    assert "an authority that this client does not trust" in told
    told = refusal(secure_job.settings((f"ssl_ca_certs={authority.file}", f"ssl_ca_certs={other}")))
    assert "do not agree on TLS" in told
