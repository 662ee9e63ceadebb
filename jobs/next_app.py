"""The next-app job: unlocks and app opens in Kafka → what is known of each user → three to five ranked apps after an unlock.

    1 telemetry    Kafka source: packed bytes, watermarks from event_time
    2 next-app     keyed by user: the batched operator (JVM shell, Python kernels)
    3 kafka-sink   predictions, dead letters, late events, receipts of erasures: one transaction a checkpoint
    4 redis-sink   the newest prediction of each user, at once; no checkpoint waits for it

The numbers are the order of the graph, the names are the operators' `uid`s. Predictions are read from Redis: in Kafka they are visible at
the next checkpoint.

Runs as `keepline run next-app` and `python jobs/next_app.py` (a Flink inside this process), and on a cluster as
`keepline submit next-app` or `flink run -py jobs/next_app.py`.
"""

from __future__ import annotations

from keepline.features.next_app.layout import SIZE
from keepline.jobs.batched import BatchedJob, Ends
from keepline.jobs.execution import configuration, set_labels
from keepline.jobs.next_app_settings import NextAppSettings
from keepline.jobs.next_app_spec import next_app_spec
from keepline.jobs.view_keys import NEXT_APP_KEYS
from keepline.operators import redis, stream
from keepline.operators.spec import NEXT_APP_CHANNELS
from keepline.schemas.catalog import output_schema
from keepline.schemas.packed import APP_PREDICTIONS

VIEWS = (redis.RedisView(APP_PREDICTIONS, output_schema("AppPrediction"), NEXT_APP_KEYS[APP_PREDICTIONS]),)


class NextAppJob(BatchedJob):
    """The graph between a source of packed records and sinks of frames."""

    UID = "next-app"
    NAME = "keepline-next-app"

    @classmethod
    def from_settings(cls, settings: NextAppSettings, options: stream.OperatorOptions | None = None) -> NextAppJob:
        """The job on Kafka and Redis. KeeplineError at submit for what cannot work: here the model, in `build` Kafka and Redis."""
        spec = next_app_spec(settings)
        ends = Ends(settings, NEXT_APP_CHANNELS, VIEWS)
        conf = configuration(settings)
        set_labels(conf, f"{spec.next_app['model_id']}/{spec.next_app['version']}")
        options = options or ends.options(spec, SIZE)
        name, parallelism = settings.job_name, settings.parallelism
        return cls(ends.source, ends.sinks(), spec, options, name=name, configuration=conf, parallelism=parallelism)


def execute(settings: NextAppSettings) -> None:
    """Submits the job of these settings; on a local Flink, waits for its end."""
    NextAppJob.from_settings(settings).execute()


if __name__ == "__main__":
    from keepline.jobs.cli.errors import run_alone
    from keepline.jobs.cli.run_next_app import next_app

    run_alone(next_app)
