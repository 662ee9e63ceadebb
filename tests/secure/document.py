"""The blocks of docs/security.md that a machine can run: what the document shows is what the tests use, names of places replaced."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from keepline.jobs.stack.java import ROOT

DOCUMENT = ROOT / "docs" / "security.md"
RESOURCES = {"--topic": ResourceType.TOPIC, "--group": ResourceType.GROUP, "--transactional-id": ResourceType.TRANSACTIONAL_ID}
IGNORED = {"--bootstrap-server", "--command-config"}


def block(name: str, places: Mapping[str, str]) -> str:
    """The fenced block with this name behind its language; every place has to be in it, and is replaced."""
    found = re.search(rf"^```\w+ {re.escape(name)}\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"{DOCUMENT.name} has no block {name!r}"
    text = found[1]
    for written, meant in places.items():
        assert written in text, f"block {name!r} does not speak of {written}"
        text = text.replace(written, meant)
    return text


def access_lists(text: str) -> Iterator[AclBinding]:
    """What lines of kafka-acls.sh grant. An option that is not known here is an error: the document shows no more than is tested."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "kafka-acls.sh", line
        options = {word: words[at + 1] for at, word in enumerate(words) if word.startswith("--") and word != "--add"}
        pattern = ResourcePatternType[options.pop("--resource-pattern-type", "literal").upper()]
        principal, operations = options.pop("--allow-principal"), options.pop("--operation")
        (kind,) = options.keys() - IGNORED
        for operation in operations.split(","):
            allowed = AclOperation[operation.upper()], AclPermissionType.ALLOW
            yield AclBinding(RESOURCES[kind], options[kind], pattern, principal, "*", *allowed)
