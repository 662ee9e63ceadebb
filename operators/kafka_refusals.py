"""What to do about a Kafka client's error: its Java text says what failed, rarely what to change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

ADVICE = (
    # Part of `Class: message` of the innermost cause, what is wrong, what to change. The first that fits.
    (
        r"SaslAuthentication|Authentication failed|invalid credentials",
        "the user or the password is wrong, or the user does not exist for this mechanism: correct sasl.jaas.config and sasl.mechanism "
        "(kafka-configs.sh --describe --entity-type users lists the users)",
    ),
    (
        r"No subject alternative|No name matching|doesn't match|Hostname",
        "the broker's certificate is for another host name: ask for the name that it has (bootstrap_servers, and the broker's "
        "advertised.listeners), or give the broker a certificate for this one; leave ssl.endpoint.identification.algorithm as it is",
    ),
    (
        r"unable to find valid certification path|PKIX|CertPath|unknown_ca|ValidatorException",
        "the broker's certificate comes from an authority that this client does not trust: name its PEM file in ssl.truststore.location, "
        'with ssl.truststore.type = "PEM"',
    ),
    (
        r"bad_certificate|certificate_required|certificate_unknown",
        "the broker wants a certificate of the client that it trusts: set ssl.keystore.location and ssl.keystore.type",
    ),
    (
        r"Unrecognized SSL message|plaintext connection|SslHandshake|SSLHandshake|SSLException",
        "TLS could not be agreed on: check that security.protocol is that of the listener on this port",
    ),
    (
        r"UnsupportedSaslMechanism|mechanism",
        "the broker does not offer this mechanism: set sasl.mechanism to one that it has (sasl.enabled.mechanisms)",
    ),
    (
        r"NoSuchFile|FileNotFound|Failed to load|InvalidConfiguration",
        "a file of the TLS settings cannot be read, or holds something else: check ssl.truststore.location and ssl.keystore.location",
    ),
)
NO_ANSWER = (
    "check that it runs, --bootstrap-servers, and --kafka for its security (a broker that wants TLS or a password does not answer one "
    "who comes without: security.protocol)"
)
PREFIX = {"TransactionalId": "--resource-pattern-type prefixed "}
OPTION = {"Topic": "--topic", "Group": "--group", "TransactionalId": "--transactional-id"}


def advice(problem: str) -> str:
    """What is wrong and what to change, for the text of a Java exception."""
    for pattern, words in ADVICE:
        if re.search(pattern, problem):
            return words
    return NO_ANSWER


def grants(missing: Iterable[tuple[str, str, str]], properties: Mapping[str, str]) -> str:
    """The commands that give what is missing: (operation, resource, name) each.

    >>> grants([("Read", "Topic", "telemetry")], {})
    'kafka-acls.sh --add --allow-principal User:USER --operation Read --topic telemetry'
    """
    named = re.search(r'username\s*=\s*"?([^"\s;]+)', properties.get("sasl.jaas.config", ""))
    who = f"User:{named[1] if named else 'USER'}"
    return "; ".join(
        f"kafka-acls.sh --add --allow-principal {who} --operation {operation} {PREFIX.get(kind, '')}{OPTION[kind]} {name}"
        for operation, kind, name in missing
    )
