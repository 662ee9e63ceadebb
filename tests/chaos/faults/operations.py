"""What people do to a running job: rescale it, upgrade it, and lose the client that submits it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from random import Random

from keepline.jobs.cluster.named import live
from keepline.jobs.stack.kafka import EmbeddedKafka
from tests.chaos.fault import Fault
from tests.chaos.world import NAME, PATIENCE, World, away
from tests.savepoints.__main__ import job as upgraded
from tests.savepoints.committed import SAVEPOINTS, Savepoint
from tests.whole.support import KEEPLINE, drained, environment, send, topics, wait
from tests.whole.support import live as live_outputs


def rescaled(world: World, draw: Random) -> str:
    """Twice by `keepline restore JOB --stop --parallelism N`: to the other number of subtasks, and back, while events come."""
    steps = [3 - world.shape.parallelism, world.shape.parallelism]
    for parallelism in steps:
        before = world.job
        world.submit("restore", "retention", NAME, "--stop", "--parallelism", str(parallelism))
        assert world.job != before
        found = max(vertex["parallelism"] for vertex in world.rest.job(world.job)["vertices"])
        assert found == parallelism, f"the job runs with {found} subtasks"
        assert world.restored() == 1
        away(draw.uniform(0, 2))
    return f"{world.shape.parallelism} → {' → '.join(map(str, steps))} subtasks"


def client_killed(world: World, draw: Random) -> str:
    """The job is stopped with a savepoint, `keepline restore` is killed on its way, and then asked again."""
    stopped = world.cli("stop", NAME)["savepoint"]
    seconds = draw.uniform(0.5, 8)
    words = [str(KEEPLINE), "restore", "retention", stopped, "--config", str(world.config), "--flink-url", world.rest.url]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()) as client:
        try:
            client.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        assert client.poll() is None, f"the client had ended after {seconds:.1f} s: nothing was killed"
        os.kill(client.pid, signal.SIGKILL)
        assert client.wait() == -signal.SIGKILL
    away(draw.uniform(0, 3))
    found = live(world.rest, NAME)
    if found:
        world.job = str(found[0]["jid"])
    else:
        world.submit("restore", "retention", stopped)
    wait("one job of the name", lambda: [job["jid"] for job in live(world.rest, NAME)] == [world.job], PATIENCE)
    return f"`keepline restore` killed after {seconds:.1f} s; the job {'ran already' if found else 'was submitted again'}"


def upgraded_from_savepoint(world: World, draw: Random) -> str:
    """A savepoint that a released version took is restored by this one, beside the job; what comes of it is known."""
    folder, place = draw.choice(SAVEPOINTS), world.folder / f"upgrade-{draw.randrange(1 << 40)}"
    saved = Savepoint(folder, place)
    facts = saved.facts
    extra = world.flink.start_taskmanager() if world.shape.parallelism == 2 else None
    try:
        with EmbeddedKafka() as kafka:
            topics(kafka, facts["job"])
            send(kafka, facts["topic"], saved.records)
            with upgraded(world.flink, kafka, folder, facts["job"], saved.policy, (folder / "savepoint").as_uri()) as started:
                drained(kafka, world.rest, started, facts["topic"], facts["job"], PATIENCE)
                assert world.rest.checkpoints(started)["counts"]["restored"] >= 1
                found = live_outputs(kafka, facts["job"])
    finally:
        if extra is not None:
            world.flink.kill_taskmanager(extra)
    count = saved.assert_goes_on(found)
    shutil.rmtree(place)
    assert count > 100
    return f"{folder.name} restored beside the job; its {count} further records are equal"


FAULTS = (
    Fault("rescale", "1 → 2 → 1 subtasks (or 2 → 1 → 2) by savepoint, while events come", rescaled),
    Fault("client-killed", "kill -9 of the client that restores the job, at a random moment of the submission", client_killed),
    Fault("upgrade", "a savepoint of a released state version is restored by this version", upgraded_from_savepoint),
)
