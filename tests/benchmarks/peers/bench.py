"""What all runs of a session share: one broker, its filled input topics, the references, a pool of readers, scratch."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Self

from tests.benchmarks import events, load
from tests.benchmarks.kernel import MANIFEST
from tests.benchmarks.machine import ROOT
from tests.benchmarks.peers import reference
from tests.benchmarks.peers.gate import end_with_parent
from tests.benchmarks.peers.system import PARTITIONS, Run, System
from tests.benchmarks.peers.venvs import interpreter

SCRATCH = ROOT / "build" / "bench-peers"
LOGS = ROOT / "build" / "bench-peers-logs"
KEPT = ("input-", "__")
"""Topics that outlive a run."""
Say = Callable[[str], None]


class Bench:
    """The shared things; a context. `say` is told what goes on now, `step` what begins."""

    def __init__(self, say: Say, step: Say, heap_mb: int = 1024) -> None:
        from keepline.jobs.stack.kafka import EmbeddedKafka

        self.say, self.step = say, step
        # A deleted topic's files go at once: the disk holds the input and one run.
        self.broker = EmbeddedKafka(quick=False, heap_mb=heap_mb, settings={"log.segment.delete.delay.ms": "1000"})
        self._filled: set[str] = set()
        self._references: dict[int, tuple[int, Path]] = {}
        self._runs = 0

    def __enter__(self) -> Self:
        shutil.rmtree(SCRATCH, ignore_errors=True)
        SCRATCH.mkdir(parents=True)
        self.settings = SCRATCH / "settings.json"
        schemas = ROOT / "schemas"
        found = {"manifest": MANIFEST, "schemas": schemas / "events", "score": schemas / "outputs" / "Score.avsc"}
        self.settings.write_text(json.dumps({name: str(path) for name, path in found.items()}, indent=2) + "\n")
        self.say("starting Kafka")
        try:
            self.broker.start()
        except BaseException:
            self.broker.close()
            raise
        # Readers are new interpreters with our path, which under pytest does not hold the repository.
        self._path = [*sys.path]
        sys.path.insert(0, str(ROOT))
        self.pool = ProcessPoolExecutor(PARTITIONS, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        sys.path[:] = self._path
        self.broker.close()
        shutil.rmtree(SCRATCH, ignore_errors=True)

    def source(self, customers: int, n: int) -> str:
        """The topic with events 0…n − 1, filled once."""
        topic = f"input-{customers}-{n}"
        if topic not in self._filled:
            self.broker.create_topics([topic], partitions=PARTITIONS)
            load.fill(self.broker.bootstrap_servers, topic, events.Stream(customers, PARTITIONS), n, self.say)
            self._filled.add(topic)
        return topic

    def expected(self, customers: int, n: int) -> Path:
        """The folder of a reference of at least n events; those of a shorter run are the first of a longer one's."""
        length, folder = self._references.get(customers, (0, Path()))
        if length < n:
            folder = SCRATCH / f"reference-{customers}-{n}"
            reference.make(customers, n, self.say).save(folder)
            self._references[customers] = n, folder
        return folder

    def prepare(
        self, system: System, backend: str, processes: int, customers: int, checkpoint_s: float, n: int, *, own: bool = False
    ) -> Run:
        """Everything that a run is given: its topics, folder, interpreter. `own`: an empty source for this run alone."""
        self._runs += 1
        name = f"peer-{self._runs}-{system.name}"
        folder = SCRATCH / name
        folder.mkdir()
        sink, source = f"{name}.scores", f"{name}.telemetry" if own else self.source(customers, n)
        if own:
            self.broker.create_topics([source], PARTITIONS)
        # The broker's clock tells when output came, whatever a system writes as a record's time.
        self.broker.create_topics([sink], PARTITIONS, {"message.timestamp.type": "LogAppendTime"})
        return Run(
            python=interpreter(system.packages, self.say), bootstrap_servers=self.broker.bootstrap_servers, source=source, sink=sink,
            name=name, n=n, customers=customers, checkpoint_s=checkpoint_s, processes=processes, backend=backend, folder=folder,
            settings=self.settings,
        )  # fmt: skip

    def clean(self, run: Run) -> None:
        """Removes a run's topics and files."""
        shutil.rmtree(run.folder, ignore_errors=True)
        self.clean_topics()

    def keep_logs(self, run: Run) -> Path:
        """Copies a failed run's logs to a place that outlives the session; returns it."""
        kept = LOGS / f"{time.strftime('%Y%m%d-%H%M%S')}-{run.name}"
        for path in run.folder.rglob("*"):
            if path.suffix in (".log", ".txt", ".out") and path.is_file():
                kept.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, kept / path.name)
        return kept

    def clean_topics(self) -> None:
        """Removes all topics but the inputs."""
        from confluent_kafka.admin import AdminClient

        admin: Any = AdminClient(self.broker.admin)
        gone = [name for name in admin.list_topics(timeout=10).topics if not name.startswith(KEPT)]
        for future in admin.delete_topics(gone).values() if gone else ():
            future.result()

    def forget(self, customers: int, n: int) -> None:
        """Removes an input and its reference, for the memory and the disk of the next."""
        from confluent_kafka.admin import AdminClient

        topic = f"input-{customers}-{n}"
        if topic in self._filled:
            self._filled.remove(topic)
            admin: Any = AdminClient(self.broker.admin)  # it has to outlive its future
            admin.delete_topics([topic])[topic].result()
        _, folder = self._references.pop(customers, (0, None))
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
