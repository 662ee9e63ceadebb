"""The settings of `keepline run next-app`: flags, `KEEPLINE_NEXT_APP_…`, the table `[next_app]` of keepline.toml, defaults.

What leads to servers is shared with the other jobs (before all tables); everything else is this job's own, above all its name, which two
live jobs must not share.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from keepline.jobs.settings import PRETRAINED, BatchedSettings, Duration

PRETRAINED_NEXT_APP = PRETRAINED.parents[1] / "next-app" / "1"


class NextAppSettings(BatchedSettings):
    """What `keepline run next-app` takes."""

    SECTION: ClassVar[str] = "next_app"

    output_prefix: str = Field("device", description="output topics are PREFIX.app-predictions, PREFIX.dead-letters, …")
    job_name: str = Field("keepline-next-app", description="names the job, its consumer group and its transactions")
    checkpoint_interval: Duration = Field(5000, description="exactly-once output is visible this often; Redis has it at once")
    rest_port: int = Field(8083, ge=0, le=65535, description="Flink's page in a local run; 0 picks a free port")
    model: Path = Field(PRETRAINED_NEXT_APP, description="folder or manifest.json of `keepline train next-app`")
    apps: int = Field(5, ge=3, le=5, description="how many apps a prediction has")
    answer_within: Duration = Field(60_000, description="an unlock further behind the user's newest event gets no prediction")

    @field_validator("answer_within")
    @classmethod
    def _some_lateness(cls, value: int) -> int:
        if not 0 <= value <= 90 * 86_400_000:
            msg = "expected 0s to 90d: an event further behind is late"
            raise ValueError(msg)
        return value
