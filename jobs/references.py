"""Secrets that stand outside of the settings: `${env:NAME}` and `${file:/path}` inside a setting's text, read when settings are loaded.

The spelling is that of Kafka's configuration providers. A reference to another provider stays as it is, for Kafka's client to resolve.
What a reference stands for is written so that it is one word where it stands: percent-encoded in a URL, escaped inside the quotation
marks of a JAAS configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from keepline.schemas.errors import KeeplineError

REFERENCE = re.compile(r"\$\{(env|file):([^}]*)\}")


class SecretError(KeeplineError):
    """A reference that leads to nothing; the message names it, and never a secret."""


def resolve(text: str, environment: Mapping[str, str], where: str, write: Callable[[str], str] = str) -> str:
    """The text with every reference replaced by `write` of what it stands for.

    >>> resolve('password="${env:PASSWORD}"', {"PASSWORD": "s3cret"}, "kafka")
    'password="s3cret"'
    """
    return REFERENCE.sub(lambda found: write(_secret(found[1], found[2], environment, where)), text)


def in_url(text: str, environment: Mapping[str, str], where: str) -> str:
    """`resolve` for a URL.

    >>> in_url("rediss://app:${env:PASSWORD}@cache:6380/0", {"PASSWORD": "a/b@c"}, "redis_url")
    'rediss://app:a%2Fb%40c@cache:6380/0'
    """
    return resolve(text, environment, where, lambda secret: quote(secret, safe=""))


def in_properties(properties: Mapping[str, str], environment: Mapping[str, str], where: str) -> dict[str, str]:
    """`resolve` for client properties."""
    return {
        name: resolve(value, environment, f"{where}: {name}", _quoted if name.endswith("sasl.jaas.config") else str)
        for name, value in properties.items()
    }


def _quoted(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace('"', '\\"')


def _secret(kind: str, name: str, environment: Mapping[str, str], where: str) -> str:
    if kind == "env":
        if name not in environment:
            msg = f"{where}: the environment has no variable {name}, which ${{env:{name}}} asks for: set it where the job is submitted"
            raise SecretError(msg)
        return environment[name]
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "it is no text in UTF-8"
        msg = f"{where}: ${{file:{name}}} cannot be read: {told}; it has to hold the secret alone, where the job is submitted"
        raise SecretError(msg) from None
