"""Where the Java program is, and the jars of the servers: broker and ZooKeeper."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from keepline.jobs.stack.process import StackError

WANTED = 17  # Flink 2.3 and the job's jar are compiled for it
ROOT = Path(__file__).resolve().parents[2]
BROKER_JARS = ROOT / "operators" / "jvm" / "broker" / "target" / "kafka-libs"
ZOOKEEPER_JARS = ROOT / "operators" / "jvm" / "zookeeper" / "target" / "zookeeper-libs"


def java() -> str:
    """The `java` program: of JAVA_HOME, else on the PATH. Raises StackError where there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if not found:
        msg = f"no java found in JAVA_HOME or on the PATH: install a JDK {WANTED} (Debian: apt-get install openjdk-{WANTED}-jdk-headless)"
        raise StackError(msg)
    return found


def java_version(program: str) -> int:
    """Major version of a Java program, 0 if it cannot be told."""
    done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    told = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(told.group(1)) if told else 0


def broker_jars() -> Path:
    """Folder of the broker's jars: $KEEPLINE_BROKER_JARS, else what `make setup` built. Raises StackError where there are none."""
    jars = Path(os.environ.get("KEEPLINE_BROKER_JARS") or BROKER_JARS)
    if not any(jars.glob("kafka_2*.jar")):
        msg = f"no Kafka broker in {jars}: run `make setup`, or name a folder with the jars of kafka_2.13 in KEEPLINE_BROKER_JARS"
        raise StackError(msg)
    return jars


def zookeeper_jars() -> Path:
    """Folder of a ZooKeeper's jars: $KEEPLINE_ZOOKEEPER_JARS, else what `make setup` built. Raises StackError where there are none."""
    jars = Path(os.environ.get("KEEPLINE_ZOOKEEPER_JARS") or ZOOKEEPER_JARS)
    if not any(jars.glob("zookeeper-3*.jar")):
        msg = f"no ZooKeeper in {jars}: run `make setup`, or name a folder with the jars of a server in KEEPLINE_ZOOKEEPER_JARS"
        raise StackError(msg)
    return jars
