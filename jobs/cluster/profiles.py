"""Flink settings for a purpose: flink-conf/config.yaml, and what one of the profiles beside it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keepline.jobs.cluster.distribution import CONF
from keepline.jobs.cluster.rest import ClusterError

BASE = "config"
PROFILES = ("low-latency", "throughput", "backfill")
ADDITIONS = ("high-availability",)
"""What goes with any profile."""


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings by their dotted names, as Flink reads them.

    >>> flat({"rest": {"port": 8081}, "python.execution-mode": "thread", "a.b": True})
    {'rest.port': '8081', 'python.execution-mode': 'thread', 'a.b': 'true'}
    """
    found: dict[str, str] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def settings_of(name: str) -> dict[str, str]:
    """The settings of one file of flink-conf/, by dotted name."""
    import yaml

    if name not in (BASE, *PROFILES, *ADDITIONS):
        msg = f"no profile {name!r}; there are {', '.join(PROFILES)}, {BASE} for none of them, and {', '.join(ADDITIONS)} beside any"
        raise ClusterError(msg)
    return flat(yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")))


def whole(*names: str) -> dict[str, str]:
    """config.yaml with the settings of a profile, and of what goes with it, in place of its own."""
    found = settings_of(BASE)
    for name in names:
        found |= settings_of(name)
    return found


def job_settings(name: str) -> str:
    """The settings of the job that go with a profile, as a settings file: its lines that begin with `#:`."""
    lines = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return "".join(line[2:].strip() + "\n" for line in lines if line.startswith("#:"))
