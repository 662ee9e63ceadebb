"""Processes of the cluster: killed, or stopped for longer than the heartbeat."""

from __future__ import annotations

from random import Random

from tests.chaos.fault import Fault
from tests.chaos.world import HEARTBEAT_TIMEOUT, PATIENCE, World, away, state_of, stopped
from tests.whole.support import wait


def taskmanager_killed(world: World, draw: Random) -> str:
    name, before = draw.choice(world.busy()), world.restored()
    pid = world.pids()[name]
    world.flink.kill_taskmanager(world.index_of(name))
    assert state_of(pid) in ("", "Z"), f"{name} ({pid}) lives"
    wait(f"{name} is missed", lambda: world.is_missed(name), PATIENCE)
    # With one subtask the other TaskManager is a standby; with two the job waits for a new one, as on Kubernetes.
    world.flink.start_taskmanager(world.index_of(name))
    wait("the job is restored", lambda: world.is_restored(before), PATIENCE)
    return f"{name} killed, restores {before} → {world.restored()}"


def taskmanager_stopped(world: World, draw: Random) -> str:
    name, before = draw.choice(world.busy()), world.restored()
    seconds = HEARTBEAT_TIMEOUT + draw.uniform(2, 6)
    with stopped(world.pids()[name]):
        away(seconds)
        wait(f"{name} is missed", lambda: world.is_missed(name), PATIENCE)
        if world.shape.parallelism == 1:  # the standby takes over, and the stopped one wakes beside it
            wait("the job is restored", lambda: world.is_restored(before), PATIENCE)
    wait(
        f"{name} is back, or has ended",
        lambda: name in (world.quietly(world.rest.taskmanagers) or ()) or name not in world.pids(),
        PATIENCE,
    )
    world.heal()
    assert world.restored() > before, "the job was not restored"
    return f"{name} stopped for {seconds:.1f} s, restores {before} → {world.restored()}"


def jobmanager_killed(world: World, draw: Random) -> str:
    """With high availability on; a new one is started at once, as whatever looks after it would."""
    job, pid = world.job, world.pids()["jobmanager"]
    world.flink.kill_jobmanager()
    assert state_of(pid) in ("", "Z"), f"the JobManager ({pid}) lives"
    assert not world.rest.answers(), "something answers in the JobManager's place"
    away(draw.uniform(0, 3))
    world.flink.start_jobmanager()
    wait("the job is taken up", lambda: (world.quietly(world.rest.jobs) or {}).get(job) == "RUNNING", PATIENCE)
    wait("from its last checkpoint", lambda: world.is_restored(0), PATIENCE)
    return f"JobManager {pid} killed; {world.pids()['jobmanager']} took job {job[:8]} up"


FAULTS = (
    Fault("jobmanager-killed", "kill -9 of the JobManager, with high availability; another is started", jobmanager_killed),
    Fault("taskmanager-killed", "kill -9 of a TaskManager that runs tasks; a new one is started", taskmanager_killed),
    Fault("taskmanager-stopped", "SIGSTOP of a busy TaskManager for longer than the heartbeat, then SIGCONT", taskmanager_stopped),
)
