"""The document's server settings are those of the embedded servers; secrets outside of the settings; one table for two clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepline.jobs.kafka_java import JavaPropertyError, shared, translated
from keepline.jobs.references import SecretError
from keepline.jobs.settings import load
from keepline.jobs.stack.kafka import SETTINGS
from keepline.jobs.stack.security import KafkaSecurity, RedisSecurity
from tests.secure.document import block

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"


def test_the_brokers_settings_are_the_documents() -> None:
    security = KafkaSecurity(Path("/etc/kafka/ca.pem"), Path("/etc/kafka/broker.pem"), {})
    ours = security.settings("0.0.0.0:9093", "0.0.0.0:9094", "0.0.0.0:9095")
    ours["controller.listener.names"] = SETTINGS["controller.listener.names"]
    shown = block("server.properties", {"kafka-1.example": "localhost"})
    assert dict(line.split("=", 1) for line in shown.splitlines()) == ours


def test_redis_settings_are_the_documents() -> None:
    security = RedisSecurity(Path("/etc/redis/ca.pem"), Path("/etc/redis/redis.pem"), [])
    ours = " ".join(security.options(6380, Path("/etc/redis/users.acl")))
    assert {f"--{line}" for line in block("redis.conf", {}).splitlines()} == {f"--{part.strip()}" for part in ours.split("--") if part}


def test_secrets_stand_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('a"b\\c\n')
    config = tmp_path / "keepline.toml"
    config.write_text(
        'redis_url = "rediss://job:${env:PASSWORD}@cache:6380/0"\n[kafka]\n'
        f'sasl.jaas.config = \'{SCRAM} username="u" password="${{file:{tmp_path / "secret"}}}";\'\n'
        'sasl.oauthbearer.token.endpoint.url = "${vault:path:key}"\n'
    )
    found = load({}, {"PASSWORD": "p@/ss"}, config)
    assert found.redis_url == "rediss://job:p%40%2Fss@cache:6380/0"
    assert found.kafka["sasl.jaas.config"].endswith('password="a\\"b\\\\c";')
    assert found.kafka["sasl.oauthbearer.token.endpoint.url"] == "${vault:path:key}", "Kafka's own providers are Kafka's"
    assert "p%40" not in str(found)
    assert "b\\\\c" not in str(found)
    with pytest.raises(SecretError, match=r"redis_url.*no variable PASSWORD"):
        load({}, {}, config)
    (tmp_path / "secret").unlink()
    with pytest.raises(SecretError, match=r"sasl.jaas.config: .*secret} cannot be read: No such file"):
        load({}, {"PASSWORD": "x"}, config)


def test_one_table_for_java_and_librdkafka() -> None:
    java = {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": f'{SCRAM} username="u" password="a\\"b";',
        "ssl.truststore.type": "PEM", "ssl.truststore.location": "ca.pem", "ssl.keystore.type": "PEM", "ssl.keystore.location": "me.pem",
        "ssl.endpoint.identification.algorithm": "", "ssl.enabled.protocols": "TLSv1.3", "max.poll.records": "7",
    }  # fmt: skip
    assert translated(shared(java)) == {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": 'a"b',
        "ssl.ca.location": "ca.pem", "ssl.certificate.location": "me.pem", "ssl.key.location": "me.pem",
        "ssl.endpoint.identification.algorithm": "none",
    }  # fmt: skip
    own = {"sasl.username": "u", "ssl.ca.location": "ca.pem", "linger.ms": "5"}
    assert translated(own) == own
    assert translated({"ssl.keystore.location": "me.p12", "ssl.keystore.password": "x"})["ssl.keystore.location"] == "me.p12"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"ssl.truststore.location": "ca.jks", "ssl.truststore.password": "x"}, "keytool -exportcert -rfc -keystore ca.jks"),
        ({"ssl.keystore.location": "me.jks"}, "-deststoretype PKCS12"),
        ({"sasl.jaas.config": "com.sun.security.auth.module.Krb5LoginModule required;"}, "another login module"),
        ({"sasl.jaas.config": f'{SCRAM} username="u";'}, "has no password"),
    ],
)
def test_what_only_java_reads_is_refused_with_the_way_out(properties: dict[str, str], words: str) -> None:
    with pytest.raises(JavaPropertyError, match=words.replace(".", r"\.")):
        translated(properties)
