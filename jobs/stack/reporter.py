"""Flink's Prometheus reporter: its settings, and how a Flink inside this process finds it.

A cluster loads reporters from Flink's plugins folder. The MiniCluster of a local run loads no plugins, so the reporter's jar, which the
apache-flink wheel has in that folder, goes on the class path of PyFlink's JVM before that is started.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from keepline.jobs.stack.process import StackError

CLASS_PATH = "HADOOP_CLASSPATH"
"""What PyFlink's launcher appends to the JVM's class path; there is no other way in that leaves the wheel's lib folder alone."""


def reporter_settings(port: str) -> dict[str, str]:
    """Flink's settings of the reporter on this port, or the first free one of a range "from-to".

    Label values stay as they are: else every `le` and `job_name` would have its dots and dashes replaced, and `histogram_quantile`
    would find no numbers.
    """
    return {
        "metrics.reporter.prom.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        "metrics.reporter.prom.port": port,
        "metrics.reporter.prom.filterLabelValueCharacters": "false",
    }


def reporter_jar() -> Path:
    """The reporter's jar in the installed wheel."""
    import pyflink

    folder = Path(str(pyflink.__file__)).parent / "plugins" / "metrics-prometheus"
    jars = sorted(folder.glob("flink-metrics-prometheus-*.jar"))
    if not jars:
        msg = f"no flink-metrics-prometheus-*.jar in {folder}: install apache-flink anew, or run without metrics_port"
        raise StackError(msg)
    return jars[0]


def offer_reporter(port: int) -> None:
    """Puts the reporter where the JVM that PyFlink will start finds it. Raises StackError where it could not serve on this port.

    Flink itself would only log that, and run without metrics.
    """
    from pyflink import java_gateway

    jar = str(reporter_jar())
    known = [part for part in os.environ.get(CLASS_PATH, "").split(os.pathsep) if part]
    if java_gateway._gateway is not None and jar not in known:
        msg = "metrics_port: PyFlink's JVM runs already, without the Prometheus reporter; start the job in a process of its own"
        raise StackError(msg)
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))
        except OSError as error:
            msg = f"metrics_port: nothing can listen on port {port} ({error.strerror}): choose another, or 0 for no metrics"
            raise StackError(msg) from None
    os.environ[CLASS_PATH] = os.pathsep.join(dict.fromkeys([*known, jar]))
