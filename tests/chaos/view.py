"""Redis against replay: the last score and the newest intervention of every customer, field by field, and nothing of anybody else."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from redis import Redis

from tests.whole.support import Outputs

KINDS = (("score", "scores", "as_of"), ("intervention", "interventions", "decided_at"))


def _wanted(outputs: Outputs) -> dict[str, tuple[int, dict[str, Any]]]:
    wanted = {}
    for kind, channel, moment in KINDS:
        for customer, made in outputs[channel].items():
            last = max(reversed(made), key=lambda record, moment=moment: record[moment])  # type: ignore[misc]  # the later of equals
            wanted[f"keepline:{kind}:{customer}" + (f":{last['score']}" if kind == "score" else "")] = (last[moment], last)
    return wanted


def _same(stored: Mapping[str, str], moment: int, record: Mapping[str, Any]) -> bool:
    expected = {name: value for name, value in record.items() if value is not None and name != "as_of"}
    fields = {name: text for name, text in stored.items() if name not in ("as_of", "sequence")}
    if int(stored["as_of"]) != moment or set(fields) != set(expected):
        return False
    return all((json.loads(text) if name == "reasons" else type(expected[name])(text)) == expected[name] for name, text in fields.items())


def differences(url: str, outputs: Outputs) -> list[str]:
    """One line for each key that is missing, too much, or not as it should be."""
    redis = Redis.from_url(url, decode_responses=True)
    wanted = _wanted(outputs)
    keys = {key for kind, _, _ in KINDS for key in redis.scan_iter(f"keepline:{kind}:*", count=1000)}
    told = [f"{key}: missing" for key in sorted(set(wanted) - keys)] + [f"{key}: of nobody" for key in sorted(keys - set(wanted))]
    common = sorted(keys & set(wanted))
    with redis.pipeline(transaction=False) as pipeline:
        for key in common:
            pipeline.hgetall(key)
        for key, stored in zip(common, pipeline.execute(), strict=True):
            if not stored or not _same(stored, *wanted[key]):
                told.append(f"{key}: {stored}, and replay says {wanted[key][1]}")
    redis.close()
    return told


def differences_soon(url: str, outputs: Outputs, seconds: float = 30) -> list[str]:
    """`differences`, given time: no checkpoint waits for the view, so it may come later."""
    deadline = time.monotonic() + seconds
    while (told := differences(url, outputs)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return told
