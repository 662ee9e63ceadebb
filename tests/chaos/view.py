"""Redis against replay: every customer's last score, newest intervention and newest decision, field by field, and nothing of anybody else.

What was erased is nobody's: of an erased customer only what is later than the tombstone counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence

from redis import Redis

from tests.chaos.records import Grouped, Record
from tests.whole.history import Sent
from tests.whole.support import VIEW, erased_at, erasures

PIECE = 10_000
"""Keys that are asked for at once."""
Gone = Mapping[str, int]
"""Erased customers, and the moments of their last tombstones."""


def gone_at(outputs: Grouped, sent: Iterable[Sent]) -> Gone:
    """Of what was committed, with its tombstones, and what was sent."""
    return {customer: erased_at(asked, list(outputs["scores"].get(customer, []))) for customer, asked in erasures(sent).items()}


def _wanted(outputs: Grouped, gone: Gone) -> dict[str, tuple[str, Sequence[Record], int]]:
    """Key → what its moment is called, and where the record is: a million parsed ones would be too many."""
    wanted = {}
    for kind, channel, moment in VIEW:
        for customer, made in outputs[channel].items():
            moments = [record[moment] for record in made]
            places = [at for at, found in enumerate(moments) if found > gone.get(customer, -1)]
            if places:
                last = max(places, key=lambda at: (moments[at], at))  # the later of equals
                name = f":{made[last]['score']}" if kind == "score" else ""
                wanted[f"keepline:{kind}:{customer}{name}"] = (moment, made, last)
    return wanted


def _same(stored: Mapping[str, str], moment: str, record: Record) -> bool:
    expected = {name: value for name, value in record.items() if value is not None and name != "as_of"}
    fields = {name: text for name, text in stored.items() if name not in ("as_of", "sequence")}
    if int(stored["as_of"]) != record[moment] or set(fields) != set(expected):
        return False
    return all((json.loads(text) if name == "reasons" else type(expected[name])(text)) == expected[name] for name, text in fields.items())


def differences(url: str, outputs: Grouped, gone: Gone) -> list[str]:
    """One line for each key that is missing, too much, or not as it should be."""
    redis = Redis.from_url(url, decode_responses=True)
    wanted = _wanted(outputs, gone)
    keys = {key for kind, _, _ in VIEW for key in redis.scan_iter(f"keepline:{kind}:*", count=1000)}
    more = [key for key in sorted(keys - set(wanted)) if not redis.hexists(key, "erased")]  # the mark of an erased hash holds nothing
    told = [f"{key}: missing" for key in sorted(set(wanted) - keys)] + [f"{key}: of nobody" for key in more]
    common = sorted(keys & set(wanted))
    with redis.pipeline(transaction=False) as pipeline:
        for at in range(0, len(common), PIECE):
            piece = common[at : at + PIECE]
            for key in piece:
                pipeline.hgetall(key)
            for key, stored in zip(piece, pipeline.execute(), strict=True):
                moment, made, last = wanted[key]
                if not stored or not _same(stored, moment, made[last]):
                    told.append(f"{key}: {stored}, and replay says {made[last]}")
    redis.close()
    return told


def differences_soon(url: str, outputs: Grouped, gone: Gone, seconds: float = 30) -> list[str]:
    """`differences`, given time: no checkpoint waits for the view, so it may come later."""
    deadline = time.monotonic() + seconds
    while (told := differences(url, outputs, gone)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return told
