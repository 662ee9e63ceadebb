"""What `flink run` starts for `keepline submit`: `launch.py JOB SETTINGS.toml [--unless-committed]`.

Runs inside the client's JVM, where the Java Kafka client is: so the question whether the consumer group has read before is asked with
the job's own properties.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError

from keepline.jobs.cluster.kinds import execute, fresh, settings_of
from keepline.operators.kafka_check import committed_offsets
from keepline.schemas.errors import KeeplineError

UNLESS_COMMITTED = "--unless-committed"


class AlreadyReadError(KeeplineError):
    """The consumer group has read these topics, and no savepoint says how far the state is."""


def refuse_if_committed(settings: Any) -> None:
    """Raises AlreadyReadError where the job's consumer group has committed offsets in its input topics, and the job would not heed them."""
    topics, start = settings.reads()
    if start == "committed":
        return
    found = committed_offsets(settings.bootstrap_servers, settings.job_name, topics, settings.kafka)
    if found:
        where = ", ".join(f"{topic} (up to offset {offset})" for topic, offset in sorted(found.items()))
        msg = (
            f"job {settings.job_name!r} ran before: its consumer group has read {where}, but no checkpoint or savepoint of it was found. "
            f"Give --restore URI to go on from one, or {fresh(settings)}"
        )
        raise AlreadyReadError(msg)


def _cause(error: Any) -> str:
    """The innermost cause on one line; what comes from the JobManager is a text with causes of its own."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    told = str(cause.getMessage())
    return (re.findall(r"^Caused by: (.*)$", told, re.MULTILINE) or told.splitlines())[-1]


def main(arguments: list[str]) -> int:
    """Submits the job; exit status 2, with one line, for what a user can put right."""
    kind, path, *flags = arguments
    try:
        settings = settings_of(kind, Path(path))
        if UNLESS_COMMITTED in flags:
            refuse_if_committed(settings)
        execute(kind, settings)
    except Py4JJavaError as error:
        sys.stderr.write(f"error: the cluster did not take the job: {_cause(error)}\n")
        return 2
    except KeeplineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
