"""TLS, passwords and access lists of the embedded Kafka and Redis: the settings of a secured server, as production has them.

    EmbeddedKafka(security=KafkaSecurity(authority, certificate, {"keepline": password}))
    EmbeddedRedis(security=RedisSecurity(authority, certificate, acl=["user default off", "user keepline on >… ~keepline:* +@all"]))

Certificates are PEM files that name `HOST`; whoever starts the servers makes them (the tests have an authority of their own). A
certificate's file holds the private key (PKCS#8, no password) and behind it the certificate.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "localhost"
"""What certificates have to name, and clients to ask for."""
NODE = "keepline-node"
"""Common name of a broker's certificate, and so the broker's own Kafka user: it administers."""


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """Clients by TLS and SCRAM-SHA-512, the broker itself by mutual TLS; who has no access list may do nothing."""

    authority: Path
    certificate: Path
    users: Mapping[str, str] = field(repr=False)
    """Passwords by user name."""

    def settings(self, clients: str, internal: str, controller: str) -> dict[str, str]:
        """The broker's settings for three listeners, each host:port as bound and as `HOST`."""
        own = [f"listener.name.{name}.ssl.client.auth" for name in ("internal", "controller")]
        return {
            "listeners": f"SASL_SSL://{clients},INTERNAL://{internal},CONTROLLER://{controller}",
            "advertised.listeners": ",".join(
                f"{name}://{HOST}:{place.rpartition(':')[2]}"
                for name, place in (("SASL_SSL", clients), ("INTERNAL", internal), ("CONTROLLER", controller))
            ),
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL",
            "inter.broker.listener.name": "INTERNAL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificate),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority),
            **dict.fromkeys(own, "required"),
            # CN=keepline-node,OU=… → keepline-node
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{NODE}",
            "allow.everyone.if.no.acl.found": "false",
        }

    def admin(self) -> dict[str, str]:
        """Properties, as librdkafka has them, of the broker's own user, on the internal listener."""
        return {
            "security.protocol": "ssl",
            "ssl.ca.location": str(self.authority),
            "ssl.certificate.location": str(self.certificate),
            "ssl.key.location": str(self.certificate),
        }


@dataclass(frozen=True, slots=True)
class RedisSecurity:
    """TLS only, no plain port; users as Redis' access lists say."""

    authority: Path
    certificate: Path
    acl: Sequence[str] = field(repr=False)
    """Lines of an ACL file; without `user default off` everybody may do everything."""

    def encrypted(self, link: socket.socket) -> ssl.SSLSocket:
        """A connection to the server as a client of it sees it."""
        return ssl.create_default_context(cafile=self.authority).wrap_socket(link, server_hostname=HOST)

    def options(self, port: int, users: Path) -> list[str]:
        """The server's arguments; `users` is where the ACL file is, since arguments can be read by everybody on the machine."""
        return [
            "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(self.authority),
            "--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.certificate), "--aclfile", str(users),
        ]  # fmt: skip
