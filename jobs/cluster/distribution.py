"""The Flink that the installed apache-flink wheel holds: a whole distribution, used for the client and for clusters of child processes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from keepline.jobs.cluster.rest import ClusterError
from keepline.operators.jar import jar_path

CONF = Path(__file__).resolve().parents[2] / "flink-conf"
"""Keepline's settings for Flink, in a clone and in an installed wheel."""


def flink_home() -> Path:
    """Folder of the installed Flink distribution, found without importing PyFlink. Raises ClusterError where there is none."""
    spec = importlib.util.find_spec("pyflink")
    if spec is None or not spec.origin:
        msg = "apache-flink is not installed in this environment: run `make setup`, then use .venv/bin/keepline"
        raise ClusterError(msg)
    return Path(spec.origin).parent


def python_path() -> str:
    """Folders a TaskManager's interpreter needs: it reads no .pth files, so an editable install has to be named."""
    import keepline

    own = Path(str(keepline.__file__)).parents[1]
    return ":".join(dict.fromkeys([str(own), str(flink_home().parent)]))


def link_lib(folder: Path) -> Path:
    """Makes `folder` a Flink lib folder: links to the wheel's jars, flink-python and the job's jar."""
    home = flink_home()
    folder.mkdir(parents=True, exist_ok=True)
    for jar in [*(home / "lib").glob("*.jar"), *(home / "opt").glob("flink-python*.jar"), jar_path()]:
        (folder / jar.name).symlink_to(jar)
    return folder


def link_conf(folder: Path) -> Path:
    """Makes `folder` a Flink conf folder: links to flink-conf/ and to the wheel's settings of log4j."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*CONF.glob("*"), *(flink_home() / "conf").glob("log4j*.properties")]:
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    return folder
