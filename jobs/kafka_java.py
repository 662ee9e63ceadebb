"""Security properties of Kafka's Java client as librdkafka's, so that one `[kafka]` table serves the job and the command-line tools.

    Java                                                librdkafka
    sasl.jaas.config  … username="u" password="p";      sasl.username, sasl.password
    ssl.truststore.location, type PEM                   ssl.ca.location
    ssl.truststore.certificates                         ssl.ca.pem
    ssl.keystore.location, type PEM (key and chain)     ssl.certificate.location, ssl.key.location
    ssl.keystore.location, type PKCS12                  the same name
    ssl.keystore.certificate.chain, ssl.keystore.key    ssl.certificate.pem, ssl.key.pem
    ssl.endpoint.identification.algorithm, "" for none  the same name, "none"

Names that both know, and librdkafka's own, pass through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keepline.schemas.errors import KeeplineError

SHARED = ("security.", "sasl.", "ssl.")
RENAMED = {
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
}
JAVA_ALONE = frozenset({
    "ssl.protocol", "ssl.enabled.protocols", "ssl.provider", "ssl.keymanager.algorithm", "ssl.trustmanager.algorithm",
    "ssl.secure.random.implementation", "ssl.truststore.password", "security.providers",
})  # fmt: skip
"""Without a counterpart, and without harm if left out: both clients negotiate TLS 1.2 or 1.3."""
OPTION = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')


class JavaPropertyError(KeeplineError):
    """A property that librdkafka has no counterpart for; the message says what both clients take."""


def shared(properties: Mapping[str, str]) -> dict[str, str]:
    """Of the job's client properties those that say how to connect; how much to fetch or to batch is the job's own affair."""
    return {name: value for name, value in properties.items() if name.startswith(SHARED)}


def translated(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties as librdkafka takes them.

    >>> translated({"ssl.truststore.type": "PEM", "ssl.truststore.location": "/etc/keepline/ca.pem"})
    {'ssl.ca.location': '/etc/keepline/ca.pem'}
    """
    given = {RENAMED.get(name, name): value for name, value in properties.items() if name not in JAVA_ALONE}
    _login(given)
    _truststore(given)
    _keystore(given)
    if given.get("ssl.endpoint.identification.algorithm") == "":
        given["ssl.endpoint.identification.algorithm"] = "none"
    return given


def _login(given: dict[str, str]) -> None:
    jaas = given.pop("sasl.jaas.config", None)
    if jaas is None:
        return
    if "ScramLoginModule" not in jaas and "PlainLoginModule" not in jaas:
        msg = (
            "sasl.jaas.config names another login module than ScramLoginModule or PlainLoginModule, which the command-line tools cannot "
            "read: give them librdkafka's own properties with --kafka (sasl.username, sasl.kerberos.…, sasl.oauthbearer.…)"
        )
        raise JavaPropertyError(msg)
    found = {name: re.sub(r"\\(.)", r"\1", quoted) or plain for name, quoted, plain in OPTION.findall(jaas)}
    for option in ("username", "password"):
        if option not in found:
            msg = f'sasl.jaas.config has no {option}: expected … required username="USER" password="PASSWORD";'
            raise JavaPropertyError(msg)
        given.setdefault(f"sasl.{option}", found[option])


def _truststore(given: dict[str, str]) -> None:
    kind = given.pop("ssl.truststore.type", "JKS").upper()
    place = given.pop("ssl.truststore.location", None)
    if place is None:
        return
    if kind != "PEM":
        msg = (
            f"ssl.truststore.type is {kind}, which only Java reads: export the authority (keytool -exportcert -rfc -keystore {place} "
            '-alias NAME > ca.pem) and set ssl.truststore.type = "PEM", which the job and the command-line tools read'
        )
        raise JavaPropertyError(msg)
    given.setdefault("ssl.ca.location", place)


def _keystore(given: dict[str, str]) -> None:
    kind = given.pop("ssl.keystore.type", "").upper()
    place = given.get("ssl.keystore.location")
    if place is None or kind == "PKCS12" or (not kind and place.endswith((".p12", ".pfx"))):
        return
    if kind != "PEM":
        msg = (
            f"ssl.keystore.type is {kind or 'JKS'}, which only Java reads: turn {place} into PKCS12 (keytool -importkeystore "
            "-deststoretype PKCS12) or PEM and set ssl.keystore.type, which the job and the command-line tools read"
        )
        raise JavaPropertyError(msg)
    del given["ssl.keystore.location"]
    given.setdefault("ssl.certificate.location", place)
    given.setdefault("ssl.key.location", place)
