"""Flink's own client, `flink run`, on a Python script: the one way in which jobs reach a cluster.

The client's JVM starts the script with our Python; the script builds the graph in that JVM, which sends it to the JobManager.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from keepline.jobs.cluster.distribution import flink_home, link_lib, python_path
from keepline.jobs.cluster.rest import ClusterError
from keepline.jobs.stack.process import Child

TIMEOUT = 300.0
"""Seconds for the client; ten on an idle machine."""
_JOB = re.compile(r"JobID ([0-9a-f]{32})")
_FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")
_ERROR = re.compile(r"^error: ((?:.|\n(?!\s*at |org\.apache|Traceback|error: |\n))*)", re.MULTILINE)


def address(url: str) -> dict[str, str]:
    """The client's settings for a JobManager at this URL.

    >>> address("http://flink:8081")
    {'rest.address': 'flink', 'rest.port': '8081'}
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"--flink-url {url!r}: expected the address of a JobManager's REST interface, such as http://localhost:8081"
        raise ClusterError(msg)
    secure = parts.scheme == "https"
    settings = {"rest.address": parts.hostname, "rest.port": str(parts.port or (443 if secure else 80))}
    if parts.path.strip("/"):
        settings["rest.path"] = parts.path
    return settings | ({"security.ssl.rest.enabled": "true"} if secure else {})


def flink_run(
    script: str | Path,
    *arguments: str,
    settings: Mapping[str, str],
    savepoint: str = "",
    timeout: float = TIMEOUT,
    env: Mapping[str, str] | None = None,
) -> str:
    """Submits a Python script's job, detached; returns the job's id.

    Args:
        script: the job's file.
        *arguments: the script's own.
        settings: Flink settings of the client and the job; `address` gives those that are needed.
        savepoint: URI of a savepoint or retained checkpoint to start from.
        timeout: seconds.
        env: additions to the environment. FLINK_CONF_DIR of the environment wins over Keepline's own settings.

    Raises:
        ClusterError: no job was submitted; the message holds the script's own error, or else the client's output.
    """
    with tempfile.TemporaryDirectory(prefix="keepline-submit-") as name:
        folder = Path(name)
        # Flink's own settings and none of flink-conf/: what a client says of a job wins over what its cluster says.
        places = {
            "FLINK_HOME": str(flink_home()),
            "FLINK_LIB_DIR": str(link_lib(folder / "lib")),
            "FLINK_CONF_DIR": os.environ.get("FLINK_CONF_DIR") or str(flink_home() / "conf"),
            "FLINK_LOG_DIR": os.environ.get("FLINK_LOG_DIR") or name,
            "PYTHONPATH": python_path(),
        }
        options = {"python.pythonpath": python_path(), **settings}
        command = [str(flink_home() / "bin" / "flink"), "run", "-d", *(["-s", savepoint] if savepoint else [])]
        command += ["-pyclientexec", sys.executable, "-pyexec", sys.executable, *(f"-D{key}={value}" for key, value in options.items())]
        command += ["-py", str(script), *arguments]
        log = folder / "client.log"
        # Under a guard: if we are killed on the way, the client ends too, and no job is submitted behind the back of who tries again.
        with Child("flink run", command, log, env={**places, **(env or {})}) as client:
            try:
                # Its status tells nothing: it is 1 if a script touches the result of a detached job.
                status = client.wait(timeout)
            except subprocess.TimeoutExpired:
                msg = f"`flink run` did not end within {timeout:.0f} s; its output ends:\n{_tail(log)}"
                raise ClusterError(msg) from None
        said = log.read_text(errors="replace")
        told = _JOB.search(said)
        if told:
            return told.group(1)
        own = _ERROR.search(said)
        if own:
            raise ClusterError(own.group(1).strip())
        msg = f"`flink run` submitted no job for {script} (status {status}):\n{_tail(log)}"
        raise ClusterError(msg)


def _tail(log: Path, lines: int = 40) -> str:
    """The end of a log without the frames of Java's stack traces, each line once."""
    told = [line for line in log.read_text(errors="replace").splitlines() if line.strip() and not _FRAME.match(line)]
    return "\n".join(list(dict.fromkeys(told))[-lines:])
