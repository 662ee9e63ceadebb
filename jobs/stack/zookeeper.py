"""A real ZooKeeper in its own folder: one standalone server from Maven's jars, for a cluster with high availability.

    with EmbeddedZooKeeper() as zookeeper, FlinkCluster(zookeeper=zookeeper.connect) as flink:
        flink.kill_jobmanager()
        flink.start_jobmanager()

`kill` and `start` again keep the data and the port.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Self

from keepline.jobs.stack import ports
from keepline.jobs.stack.java import java, zookeeper_jars
from keepline.jobs.stack.server import Server

START_TIMEOUT = 60.0  # seconds; 1 s on an idle machine
# A small server that starts quickly, and says only what went wrong.
LOG = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
FLAGS = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", LOG)
SETTINGS = {
    # A session is given up after 2 to 20 ticks: clients may ask for one of 1 s, and for Flink's default of 60 s.
    "tickTime": "500",
    "maxSessionTimeout": "60000",
    "admin.enableServer": "false",
    "4lw.commands.whitelist": "ruok",
    # The data are a test's: a crash of the machine may lose them, a kill -9 does not.
    "forceSync": "no",
}


class EmbeddedZooKeeper(Server):
    """One server on the loopback address.

    Args:
        folder: for data, settings and log; a temporary one, removed at the end, where not given.

    Attributes:
        connect: host:port, where clients connect.
    """

    def __init__(self, *, folder: Path | None = None) -> None:
        super().__init__("zookeeper", folder)
        (self.port,) = ports.free_ports(1)
        self.connect = f"{ports.HOST}:{self.port}"

    def start(self) -> Self:
        """Starts the server, on an earlier start's data and port if there was one. Raises StackError with the log's end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "zoo.cfg"
        here = {"dataDir": str(self.folder / "data"), "clientPort": str(self.port), "clientPortAddress": ports.HOST}
        file.write_text("".join(f"{key}={value}\n" for key, value in {**SETTINGS, **here}.items()), encoding="utf-8")
        jars = os.pathsep.join(map(str, sorted(zookeeper_jars().glob("*.jar"))))
        main = "org.apache.zookeeper.server.ZooKeeperServerMain"
        command = [java(), *FLAGS, "-cp", jars, main, str(file)]
        self._launch("ZooKeeper", command, "zookeeper.log").wait_until(self._ready, START_TIMEOUT)
        return self

    def _ready(self) -> bool:
        try:
            with socket.create_connection((ports.HOST, self.port), timeout=1) as link:
                link.sendall(b"ruok")
                return link.recv(8) == b"imok"
        except OSError:
            return False
