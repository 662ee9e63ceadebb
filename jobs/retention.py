"""The retention job: telemetry in Kafka → windowed churn features → score → interventions in Kafka (exactly once) and Redis.

    1 telemetry        Kafka source: packed bytes, watermarks from event_time
    2 customer         keyed by customer: the batched operator (JVM shell, Python kernels); scores, and signals for the policy
    3 contact-policy   keyed by customer: consent, caps, quiet hours, holds, escalation, outcomes, erasure (plain Python)
    4 campaign-budget  keyed by campaign, UTC day and shard: interventions of campaigns with a budget
    5 kafka-sink       scores, interventions, decisions, outcomes, receipts, dead letters, late events: one transaction a checkpoint
    6 redis-sink       the live view of scores, interventions and decisions; no checkpoint waits for it

The numbers are the order of the graph, the names are the operators' `uid`s. The job takes its source and its sinks as
arguments, so a test swaps the ends; `from_settings` makes the real ones.

Runs as `keepline run retention` and `python jobs/retention.py` (a Flink inside this process), and on a cluster as
`flink run -py jobs/retention.py`.
"""

from __future__ import annotations

from pyflink.datastream import DataStream

from keepline.jobs.batched import BatchedJob, Ends
from keepline.jobs.execution import configuration, set_labels
from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.view_keys import VIEW_KEYS
from keepline.operators import redis, stream
from keepline.operators.budgets import budgets_spec
from keepline.operators.code import sealed
from keepline.operators.contacts import contacts_spec
from keepline.operators.parts import parts_of
from keepline.operators.spec import CHANNELS
from keepline.schemas.catalog import output_schema
from keepline.schemas.packed import CLAIMS, DECISIONS, INTERVENTIONS, SCORES, SIGNALS

VIEWS = (
    redis.RedisView(SCORES, output_schema("Score"), VIEW_KEYS[SCORES]),
    redis.RedisView(INTERVENTIONS, output_schema("Intervention"), VIEW_KEYS[INTERVENTIONS]),
    redis.RedisView(DECISIONS, output_schema("Decision"), VIEW_KEYS[DECISIONS]),
)


class RetentionJob(BatchedJob):
    """The graph between a source of packed records and sinks of frames."""

    NAME = "keepline-retention"

    @classmethod
    def from_settings(cls, settings: RetentionSettings, options: stream.OperatorOptions | None = None) -> RetentionJob:
        """The job on Kafka and Redis. KeeplineError at submit for what cannot work: here the model, in `build` Kafka and Redis."""
        spec = operator_spec(settings)
        ends = Ends(settings, CHANNELS, VIEWS)
        conf = configuration(settings)
        models = [each for each in (spec.manifest, spec.clv, spec.clv_regression) if each]
        set_labels(conf, "_".join(f"{each['model_id']}/{each['version']}" for each in models))
        options = options or ends.options(spec, sum(part.size for part in parts_of(spec)))
        name, parallelism = settings.job_name, settings.parallelism
        return cls(ends.source, ends.sinks(), spec, options, name=name, configuration=conf, parallelism=parallelism)

    def _further(self, frames: DataStream) -> DataStream:
        """The frames of the customer operator, and what the policy makes of the signals among them."""
        if not self._spec.policy:
            return frames
        decided = stream.rare_stream(frames, SIGNALS, sealed(contacts_spec(self._spec)), uid="contact-policy", name="contact-policy")
        granted = stream.rare_stream(decided, CLAIMS, sealed(budgets_spec(self._spec)), uid="campaign-budget", name="campaign-budget")
        return frames.union(decided, granted)


def execute(settings: RetentionSettings) -> None:
    """Submits the job of these settings; on a local Flink, waits for its end."""
    RetentionJob.from_settings(settings).execute()


if __name__ == "__main__":
    from keepline.jobs.cli.errors import run_alone
    from keepline.jobs.cli.run import retention

    run_alone(retention)
