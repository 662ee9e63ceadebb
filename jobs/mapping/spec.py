"""What the ingest job's function is told, as bytes that travel to TaskManagers: the mapping as text, and the way to the registry.

What is compiled of a mapping does not travel: each subtask compiles the text again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from keepline.jobs.mapping.frames import Ingest
from keepline.jobs.mapping.load import Bundle
from keepline.jobs.mapping.readers import Schemas

MODULE = "jobs.mapping.spec"


@dataclass(frozen=True, slots=True)
class IngestSpec:
    """All that `started` needs; no file is read there."""

    bundle: Bundle
    topics: tuple[str, ...]
    registry_url: str = ""
    registry: dict[str, str] = field(default_factory=dict)
    unknown_id_ms: int = 30_000

    def dumps(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def loads(cls, data: bytes) -> IngestSpec:
        """What `dumps` wrote."""
        raw = json.loads(data)
        return cls(**raw | {"bundle": Bundle(**raw["bundle"]), "topics": tuple(raw["topics"])})

    def schemas(self) -> Schemas | None:
        """The registry's client, which asks nothing yet; None without an address."""
        if not self.registry_url:
            return None
        from keepline.schemas.registry import Registry

        return Registry(self.registry_url, self.registry, unknown_ttl=self.unknown_id_ms / 1000)


def started(data: bytes) -> Callable[[bytes], list[bytes]]:
    """From a packed record to its frames."""
    spec = IngestSpec.loads(data)
    return Ingest(spec.bundle, spec.schemas()).frames
