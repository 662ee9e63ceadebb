"""The job with a schema registry over HTTP: producers of two versions by id, an id nobody knows, and the registry away in mid-run.

What comes out equals replay of the same events; while the registry is away the job waits, without a restart and without a loss.
"""

from __future__ import annotations

import copy
import dataclasses
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.confluent import subject_of
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.registry import EmbeddedRegistry
from keepline.schemas.catalog import EVENT_TYPES, event_type
from keepline.schemas.framing import pack_confluent, unpack
from tests.whole.history import Sent, whole_history
from tests.whole.support import (
    FROM_FILES,
    KEEPLINE,
    assert_equal,
    drained,
    environment,
    flat,
    live,
    replayed,
    send,
    topics,
    wait,
)

CALL = event_type("Call")
OLDER = CALL.schema | {"fields": CALL.schema["fields"][:-1]}
"""Without `roaming`, which no event of the history sets."""
NEWER = copy.deepcopy(CALL.schema)
NEWER["fields"].append({"name": "cells", "type": {"type": "array", "items": {"type": "map", "values": ["null", "string"]}}, "default": []})
CELLS = b"\2\2\4ab\2\2x\0\0"
"""One map with one pair."""


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[FlinkRest, str, subprocess.Popen[bytes]]]:
    """`keepline run retention …` until the block ends: (REST, job id, process). Its log is run.log."""
    (port,) = free_ports(1)
    rest, log = FlinkRest(f"http://127.0.0.1:{port}"), folder / "run.log"
    words = [str(KEEPLINE), "run", "retention", "--rest-port", str(port), *arguments]
    with log.open("w") as out, subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment()) as process:
        try:
            wait("the job's page", lambda: process.poll() is not None or (rest.answers() and rest.jobs()), 240)
            assert process.poll() is None, log.read_text()[-3000:]
            (job,) = rest.jobs()
            rest.wait_running(job, 240)
            yield rest, job, process
        except BaseException:
            print(log.read_text()[-3000:])
            raise
        finally:
            process.kill()


def waiting(rest: FlinkRest, job: str) -> float:
    """How many records wait for the registry, by the operator's gauge."""
    found = 0.0
    for vertex in rest.job(job)["vertices"]:
        names = [each["id"] for each in rest.call(f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics")]
        wanted = [name for name in names if "waiting_for_registry" in name]
        found += sum(rest.metrics(job, vertex["id"], wanted).values()) if wanted else 0
    return found


def framed(record: Sent, ids: dict[bytes, int], call: tuple[int, Any]) -> Sent:
    """The record as a producer with the registry's serialiser sends it; Calls as the version given by id and its body's change."""
    assert record.value is not None
    fingerprint, body = unpack(record.value)
    assert isinstance(fingerprint, bytes)
    if fingerprint == CALL.fingerprint:
        return dataclasses.replace(record, value=pack_confluent(call[1](body), call[0]))
    return dataclasses.replace(record, value=pack_confluent(body, ids[fingerprint]))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_versions_by_id_an_unknown_id_and_a_registry_that_goes_away(kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    plain = whole_history(seed=12, customers=60, partitions=2, per_day=300, silence=20)
    topic = topics(kafka, name, 2)
    with EmbeddedRegistry(user_info="keepline:s3cret") as registry:
        ids = {event.fingerprint: registry.register(subject_of(event.name), event.schema) for event in EVENT_TYPES}
        older, newer = (registry.register(subject_of("Call"), schema) for schema in (OLDER, NEWER))
        current, third = (ids[CALL.fingerprint], lambda body: body), len(plain) // 3
        records = [framed(each, ids, current if number % 2 else (older, lambda body: body[:-1])) for number, each in enumerate(plain)]
        records[2 * third :] = [framed(each, ids, (newer, lambda body: body + CELLS)) for each in plain[2 * third :]]
        unknown = Sent(0, b"c001", pack_confluent(b"\x02c", 4711))
        send(kafka, topic, [*records[:third], unknown, *records[third : 2 * third]])
        arguments = [
            "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name, "--redis-url", "",
            "--model", str(model), "--job-name", name, "--emit", "every", "--idle-after", "0s", "--checkpoint-interval", "300ms",
            "--registry-url", registry.url, "--registry", "basic.auth.user.info=keepline:s3cret",
        ]  # fmt: skip
        with running(tmp_path, *arguments) as (rest, job, process):
            drained(kafka, rest, job, topic, name, 240)
            registry.stop()
            send(kafka, topic, records[2 * third :])
            wait("records to wait for the registry", lambda: waiting(rest, job) > 0, 240)
            before = len(flat(live(kafka, name)["scores"]))
            assert rest.state(job) == "RUNNING"
            registry.start()
            drained(kafka, rest, job, topic, name, 240)
            assert rest.restarts(job) == 0
            assert rest.checkpoints(job)["counts"]["restored"] == 0
            wait("none to wait", lambda: waiting(rest, job) == 0, 60)
            found = live(kafka, name)
            # And a job that waits can be cancelled.
            registry.failing = True
            send(kafka, topic, [Sent(0, b"c001", pack_confluent(b"\x02c", 4712))])
            wait("a record to wait for the registry", lambda: waiting(rest, job) > 0, 240)
            rest.cancel(job)
            process.wait(120)  # a local run ends with its job; Flink's own patience with a task that does not end is 180 s
        asked = [request for request in registry.requests if request.startswith("GET /schemas/ids/")]
    wanted = replayed(RetentionSettings(model=model, emit="every"), plain, tmp_path)
    assert_equal(found, wanted, FROM_FILES)
    assert 0 < before < len(flat(found["scores"]))
    (letter,) = flat(found["dead-letters"])
    assert letter["reason"] == "UNKNOWN_SCHEMA"
    assert letter["message"].startswith(f"schema id 4711 is unknown: the schema registry at {registry.url} does not know it")
    for number in (older, newer, current[0]):
        assert asked.count(f"GET /schemas/ids/{number}") == 1
