"""The harness's own tools, each seen to do what a round relies on: the disk, a stopped process, the view, Redis out of memory."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from keepline.jobs.rebuild_view import GUARD
from keepline.jobs.stack.redis import EmbeddedRedis
from tests.chaos.dead import tombstones
from tests.chaos.store import Store
from tests.chaos.view import differences, gone_at
from tests.chaos.world import state_of, stopped
from tests.cli.test_rebuild_view import intervention, score
from tests.whole.history import Sent
from tests.whole.support import owner


def decision(customer: str, at: int) -> dict[str, Any]:
    return {
        "decision_id": f"d{at}", "customer_id": customer, "result": "SUPPRESSED", "reason": "CAP", "arm": "TREATMENT", "kind": "k",
        "decided_at": at, "policy_version": 1, "model_version": 1, "trigger": "t", "policy": "p", "made_from": "{}",
    }  # fmt: skip


def erasure(customer: str, at: int) -> Sent:
    event = {"type": "Erasure", "customer_id": customer, "event_id": "x", "event_time": at, "request_id": "r"}
    return Sent(0, customer.encode(), b"", event)


FULL = """
import sys
from pathlib import Path
from tests.chaos.store import Store
store = Store(Path(sys.argv[1]))
(store.folder / "job").mkdir()
(store.folder / "job" / "before").write_bytes(bytes(1000))
said = store.fill()
try:
    (store.folder / "job" / "chk").write_bytes(bytes(100_000))
    sys.exit("a full folder took a write")
except OSError:
    pass
store.free()
(store.folder / "job" / "chk").write_bytes(bytes(100_000))
print(store.kind, "|", said)
"""


def test_a_full_store_refuses_and_a_freed_one_takes_writes(tmp_path: Path) -> None:
    """In a process of its own, whose mounts end with it."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "store")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kind, _, said = done.stdout.strip().partition(" | ")
    wanted = {"a tmpfs": "No space left on device", "a folder made read-only": "Permission denied"}
    assert said == wanted[kind]
    assert kind != "a tmpfs" or not list((tmp_path / "store").iterdir()), "the disk outlived its process"


def test_a_plain_store_is_only_a_folder(tmp_path: Path) -> None:
    assert Store(tmp_path / "store", disk=False).kind == "a folder made read-only"


def test_a_stopped_process_is_stopped_and_goes_on() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        with stopped(process.pid):
            assert state_of(process.pid) == "T"
        assert state_of(process.pid) in ("S", "R", "D")
        process.kill()
    assert state_of(process.pid) == ""


def _stored(record: dict[str, Any], moment: str) -> dict[str, Any]:
    import json

    fields = {name: json.dumps(value) if isinstance(value, list) else str(value) for name, value in record.items() if name != "as_of"}
    return fields | {"as_of": record[moment], "sequence": 3}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda redis: None, 0),
        (lambda redis: redis.delete("keepline:score:a:churn"), 1),
        (lambda redis: redis.delete("keepline:intervention:a"), 1),
        (lambda redis: redis.hset("keepline:score:zz:churn", "as_of", 1), 1),
        (lambda redis: redis.hset("keepline:score:a:churn", "value", "0.31"), 1),
        (lambda redis: redis.hset("keepline:score:a:churn", "as_of", 19), 1),
        (lambda redis: redis.hdel("keepline:intervention:a", "offer"), 1),
        (lambda redis: redis.hset("keepline:decision:b", "result", "HELD"), 1),
        (lambda redis: redis.flushall(), 4),
    ],
)
def test_the_views_differences_are_seen(change: Any, told: int) -> None:
    outputs: Any = {
        "scores": {"a": [score("a", 10, 0.2), score("a", 20, 0.3)], "b": [score("b", 10, 0.4)]},
        "interventions": {"a": [intervention("a", 7)]},
        "decisions": {"b": [decision("b", 8), decision("b", 9)]},
    }
    with EmbeddedRedis() as server:
        redis = Redis.from_url(server.url)
        redis.hset("keepline:score:a:churn", mapping=_stored(outputs["scores"]["a"][1], "as_of"))
        redis.hset("keepline:score:b:churn", mapping=_stored(outputs["scores"]["b"][0], "as_of"))
        redis.hset("keepline:intervention:a", mapping=_stored(outputs["interventions"]["a"][0], "decided_at"))
        redis.hset("keepline:decision:b", mapping=_stored(outputs["decisions"]["b"][1], "decided_at"))
        change(redis)
        assert len(differences(server.url, copy.deepcopy(outputs), {})) == told


def test_the_view_holds_what_came_after_a_tombstone() -> None:
    committed: Any = {"scores": {"a": [score("a", 8, 0.2), *tombstones([erasure("a", 7)])["a"], score("a", 9, 0.3)]}}
    gone = gone_at(committed, [erasure("a", 7), erasure("b", 10), erasure("c", 1)])
    assert gone == {"a": 8, "b": 10, "c": 1}, "the customer's own clock may be ahead of the Erasure's"
    outputs: Any = {
        "scores": {"a": [score("a", 8, 0.2), score("a", 9, 0.3)], "b": [score("b", 10, 0.4)]},
        "interventions": {"a": [intervention("a", 7), intervention("a", 9)], "b": [intervention("b", 10)]},
        "decisions": {"b": [decision("b", 10)]},
    }
    with EmbeddedRedis() as server:
        redis = Redis.from_url(server.url)
        redis.hset("keepline:score:a:churn", mapping=_stored(outputs["scores"]["a"][1], "as_of"))
        redis.hset("keepline:intervention:a", mapping=_stored(outputs["interventions"]["a"][1], "decided_at"))
        redis.hset("keepline:score:b:churn", mapping={"as_of": 11, "sequence": 3, "erased": 1})
        assert differences(server.url, outputs, gone) == []
        redis.hset("keepline:intervention:b", mapping=_stored(outputs["interventions"]["b"][0], "decided_at"))
        redis.hset("keepline:decision:b", mapping=_stored(outputs["decisions"]["b"][0], "decided_at"))
        redis.hdel("keepline:score:b:churn", "erased")
        redis.hset("keepline:intervention:a", mapping=_stored(outputs["interventions"]["a"][0], "decided_at"))
        assert len(differences(server.url, outputs, gone)) == 4
    assert owner(tombstones([erasure("a|b", 7)])["a|b"][0]) == "a|b"


def test_a_full_redis_refuses_the_script_too() -> None:
    """Not so if it deleted first: Redis lets a script that has begun to write go on."""
    with EmbeddedRedis() as server:
        redis = Redis.from_url(server.url, decode_responses=True)
        arguments = ("k", 0, 6, "as_of", 1, "sequence", 0, "a", "b")
        redis.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            redis.set("x", "y")
        (told,) = redis.eval(GUARD, 1, *arguments)
        assert "OOM" in str(told)
        assert not redis.exists("k")
        redis.config_set("maxmemory", 0)
        assert redis.eval(GUARD, 1, *arguments) == [1]
        assert redis.hgetall("k") == {"as_of": "1", "sequence": "0", "a": "b"}
