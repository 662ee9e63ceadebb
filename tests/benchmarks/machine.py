"""What a figure depends on: processor, memory, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("apache-flink", "pemja", "numba", "numpy", "confluent-kafka")
ROOT = Path(__file__).resolve().parents[2]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return "unknown"
    return (done.stdout or done.stderr).strip()


def describe() -> dict[str, str]:
    """Name and value, for people."""
    dirty = " with local changes" if _output("git", "status", "--porcelain", "-uno") else ""
    java = _output("java", "-version").splitlines()
    kafka = next((path.stem.rpartition("-")[2] for path in ROOT.glob("operators/jvm/broker/target/**/kafka-clients-*.jar")), "unknown")
    return {
        "Processor": _processor(),
        "Cores": str(len(os.sched_getaffinity(0))),
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Java": java[0] if java else "unknown",
        "Kafka broker": kafka,
        **{name: version(name) for name in PACKAGES},
        "Commit": _output("git", "rev-parse", "--short", "HEAD") + dirty,
        "Load before": f"{os.getloadavg()[0]:.2f}",
    }
