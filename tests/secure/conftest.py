"""A secured Kafka and Redis with what docs/security.md says, and the job's settings file from the same page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from redis import Redis

from keepline.jobs.settings import RetentionSettings, load
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.jobs.stack.security import KafkaSecurity, RedisSecurity
from keepline.operators.spec import CHANNELS
from tests.jobs.models_for_tests import manifest
from tests.secure.authority import Authority
from tests.secure.document import access_lists, block

# What would break a URL, a JAAS line or a properties file that does not take care.
KAFKA_PASSWORD = 'kafka"pass\\word/1;'
REDIS_PASSWORD = 'redis@pass/word%2F"2'
TOOL_PASSWORD = "tool-password-3"
ADMIN_PASSWORD = "admin-password-4"
SECRETS = (KAFKA_PASSWORD, REDIS_PASSWORD, TOOL_PASSWORD)


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="package")
def secure_kafka(authority: Authority) -> Iterator[EmbeddedKafka]:
    """A broker with the document's users and access lists, and the topics of the default names."""
    users = {"keepline": KAFKA_PASSWORD, "telemetry-writer": TOOL_PASSWORD, "outputs-reader": TOOL_PASSWORD}
    security = KafkaSecurity(authority.file, authority.certificate(), users)
    with EmbeddedKafka(security=security) as broker:
        broker.create_topics(["telemetry"], 2)
        broker.create_topics([f"retention.{channel}" for channel in CHANNELS], 2)
        admin = AdminClient(broker.admin)
        for future in admin.create_acls(list(access_lists(block("acls.sh", {})))).values():
            future.result()
        yield broker


def redis_users() -> list[str]:
    return block("users.acl", {"JOB-PASSWORD": REDIS_PASSWORD, "READER-PASSWORD": TOOL_PASSWORD}).splitlines()


@pytest.fixture(scope="package")
def secure_redis(authority: Authority) -> Iterator[EmbeddedRedis]:
    users = [*redis_users(), f"user admin on >{ADMIN_PASSWORD} ~* +@all"]
    with EmbeddedRedis(security=RedisSecurity(authority.file, authority.certificate("redis"), users)) as server:
        yield server


def redis_client(server: EmbeddedRedis, authority: Authority, user: str, password: str) -> Redis:
    """Redis as one of its users."""
    return Redis.from_url(server.url, username=user, password=password, ssl_ca_certs=str(authority.file), decode_responses=True)


@dataclass(frozen=True)
class Job:
    """The document's keepline.toml for our servers."""

    file: Path
    environment: dict[str, str]

    def settings(self, *changes: tuple[str, str]) -> RetentionSettings:
        """As loaded, after the changes to the file's text."""
        text = self.file.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, f"{old!r} is not in keepline.toml"
            text = text.replace(old, new)
        path = self.file.with_name("changed.toml")
        path.write_text(text, encoding="utf-8")
        return load({}, self.environment, path)


@pytest.fixture(scope="package")
def secure_job(
    secure_kafka: EmbeddedKafka, secure_redis: EmbeddedRedis, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    folder = tmp_path_factory.mktemp("secure-job")
    secret = folder / "kafka-password"
    secret.write_text(KAFKA_PASSWORD + "\n", encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps(manifest()), encoding="utf-8")
    shown = block(
        "keepline.toml",
        {
            "kafka-1.example:9093": secure_kafka.bootstrap_servers,
            "redis.example:6380": f"localhost:{secure_redis.port}",
            "/etc/keepline/ca.pem": str(authority.file),
            "/run/secrets/kafka": str(secret),
        },
    )
    own = {"model": str(folder), "emit": "every", "idle_after": "0s", "checkpoint_interval": "200ms"}
    file = folder / "keepline.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in own.items()) + shown, encoding="utf-8")
    return Job(file, {"REDIS_PASSWORD": REDIS_PASSWORD})
