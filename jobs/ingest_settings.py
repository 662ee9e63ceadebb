"""The settings of `keepline run ingest`: flags, `KEEPLINE_INGEST_…`, the table `[ingest]` of keepline.toml, defaults.

Servers, registry and client properties are shared with the other jobs (before all tables); everything else is this job's own, above all
its name, which two live jobs must not share.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from keepline.jobs.settings import JobSettings
from keepline.schemas.topics import TOPIC


class IngestSettings(JobSettings):
    """What `keepline run ingest` takes."""

    SECTION: ClassVar[str] = "ingest"

    mapping: Path = Field(description="the mapping file")
    topic: str = Field("telemetry", description="where canonical events go")
    dead_letters: str = Field("retention.dead-letters", description="where records go that cannot be mapped")
    job_name: str = Field("keepline-ingest", description="names the job, its consumer group and its transactions")
    rest_port: int = Field(8082, ge=0, le=65535, description="Flink's page in a local run; 0 picks a free port")
    start: Literal["committed", "earliest", "latest"] = Field("committed", description="where reading begins without --restore")

    @field_validator("topic", "dead_letters")
    @classmethod
    def _topic_name(cls, value: str) -> str:
        if not TOPIC.fullmatch(value):
            msg = "expected a topic name of letters, digits, dots, dashes or underscores"
            raise ValueError(msg)
        return value

    def reads(self) -> tuple[tuple[str, ...], str]:
        """The topics of the mapping; MappingError where it cannot be used."""
        from keepline.jobs.mapping.load import load

        return load(self.mapping).topics, self.start
