"""A real Kafka broker in its own folder: one KRaft node from Maven's jars, for the demo, the tests and the benchmarks.

    with EmbeddedKafka() as kafka:
        kafka.create_topics(["telemetry"], partitions=2)
        job(kafka.bootstrap_servers)

With `security=` (see security.py) clients need TLS and a password, and may do only what access lists say; `admin` is for making these.
`kill` and `start` again keep the data and the ports, which the fault tests need.
"""

from __future__ import annotations

import logging
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from keepline.jobs.stack import ports
from keepline.jobs.stack.java import broker_jars, java
from keepline.jobs.stack.process import StackError
from keepline.jobs.stack.security import HOST, KafkaSecurity
from keepline.jobs.stack.server import Server

START_TIMEOUT = 60.0  # seconds; 3 s on an idle machine
SCRAM_ITERATIONS = 8192
QUIET = logging.getLogger("keepline.kafka")  # a broker that is not up yet is no news
# Compiled quickly rather than well: the broker is up in half the time. Benchmarks leave it out.
QUICK_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    # One node: internal topics with one replica, and few partitions so that the first commit does not wait for fifty.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # Event times may be years old or ahead, and must not expire.
    "log.message.timestamp.before.max.ms": str(2**63 - 1),
    "log.message.timestamp.after.max.ms": str(2**63 - 1),
    "log.retention.ms": "-1",
    # As in production: the limit a job's transaction.timeout.ms has to respect.
    "transaction.max.timeout.ms": "900000",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),  # default 128 MB, a quarter of our heap
    # A killed broker is let in again only after its old session ended.
    "broker.session.timeout.ms": "5000",
    "broker.heartbeat.interval.ms": "1000",
}


class EmbeddedKafka(Server):
    """One broker.

    Args:
        folder: where data, settings and log live; a temporary one, removed at the end, where not given.
        settings: broker settings that add to or replace ours.
        heap_mb: Java heap in MiB.
        quick: start quickly; False lets the JVM optimise, for benchmarks.
        security: TLS, users and access lists; everybody may do everything, in the clear, where not given.

    Attributes:
        bootstrap_servers: where clients connect.
        admin: librdkafka properties, servers included, of one who may do everything.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
        heap_mb: int = 512,
        quick: bool = True,
        security: KafkaSecurity | None = None,
    ) -> None:
        super().__init__("kafka", folder)
        self.port, controller, internal = ports.free_ports(3)
        self.bootstrap_servers = f"{HOST if security else ports.HOST}:{self.port}"
        self.admin: dict[str, str] = {"bootstrap.servers": self.bootstrap_servers}
        self._security = security
        self._file = self.folder / "server.properties"
        self._data = self.folder / "data"
        self._flags = [f"-Xmx{heap_mb}m", *(QUICK_FLAGS if quick else ())]
        listener = f"PLAINTEXT://{self.bootstrap_servers}"
        here = {
            "listeners": f"{listener},CONTROLLER://{ports.HOST}:{controller}",
            "advertised.listeners": listener,
            "controller.quorum.voters": f"1@{ports.HOST}:{controller}",
        }
        if security:
            here = security.settings(f"{ports.HOST}:{self.port}", f"{ports.HOST}:{internal}", f"{ports.HOST}:{controller}")
            here["controller.quorum.voters"] = f"1@{HOST}:{controller}"
            self.admin = {"bootstrap.servers": f"{HOST}:{internal}", **security.admin()}
        settings = {**SETTINGS, **here, "log.dirs": str(self._data), **(settings or {})}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def start(self) -> Self:
        """Starts the broker, on an earlier start's data and ports if there was one. Raises StackError with the log's end."""
        run = [java(), *self._flags, "-cp", f"{broker_jars()}/*"]
        fresh = not (self._data / "meta.properties").exists()
        if fresh:
            self._format(run)
        self._launch("Kafka", [*run, "kafka.Kafka", self._file], "broker.log").wait_until(self._ready, START_TIMEOUT)
        if fresh and self._security:
            self.set_passwords(self._security.users)
        return self

    def set_passwords(self, users: Mapping[str, str]) -> None:
        """Makes SCRAM users, or gives them new passwords. Over the admin's connection, since a program's arguments can be read by all."""
        from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

        kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
        wanted = [UserScramCredentialUpsertion(name, kind, password.encode()) for name, password in users.items()]
        admin = AdminClient(self.admin)
        for future in admin.alter_user_scram_credentials(wanted).values() if wanted else ():
            future.result()

    def _format(self, run: list[str]) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if cluster.startswith("-"):  # would read as an option
            cluster = "A" + cluster[1:]
        command = [*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            msg = f"cannot format {self._data} for Kafka: {done.stdout}{done.stderr}"
            raise StackError(msg)

    def _ready(self) -> bool:
        if not ports.listening(self.port):
            return False
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            return bool(AdminClient(self.admin, logger=QUIET).list_topics(timeout=5).brokers)
        except KafkaException:
            return False

    @property
    def pid(self) -> int:
        """The broker's process id. Raises StackError where it was never started."""
        if self._child is None:
            msg = "the broker was not started"
            raise StackError(msg)
        return self._child.pid

    def create_topics(self, names: Iterable[str], partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        """Creates topics that keep everything for ever, unless `configs` says otherwise; returns when each has its leaders.

        Raises:
            confluent_kafka.KafkaException: one exists already, or a config is unknown.
            StackError: a topic had no leader after 30 s.
        """
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient(self.admin)
        config = {"retention.ms": "-1", **(configs or {})}
        wanted = [NewTopic(name, num_partitions=partitions, replication_factor=1, config=config) for name in names]
        for future in admin.create_topics(wanted).values():
            future.result()
        deadline = time.monotonic() + 30
        while True:
            known = admin.list_topics(timeout=5).topics
            here = [known.get(topic.topic) for topic in wanted]
            if all(each and len(each.partitions) == partitions and all(p.leader >= 0 for p in each.partitions.values()) for each in here):
                return
            if time.monotonic() > deadline:
                msg = f"Kafka named no leader for {[topic.topic for topic in wanted]} within 30 s"
                raise StackError(msg)
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops the broker in order; data and ports stay for another `start`."""
        if self._child:
            self._child.stop(grace=20)

    def close(self) -> None:
        """Ends the broker and removes its temporary folder; a folder that stays is left in order."""
        if not self._temporary:
            self.stop()
        super().close()
