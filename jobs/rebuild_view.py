"""`rebuild-view`: the Redis view from the committed topics, after Redis lost its data.

    PREFIX.scores, PREFIX.interventions, … ──newest of each key──► Redis, through the guard of the job's own sink
                                           ──tombstone──────────► the key is removed

The job may run meanwhile: the guard writes nothing over what is as new, so neither of the two takes the view backwards. A record in Kafka
has no sequence, which tells records of one moment apart; it is written with sequence 0, so the job's own write of that moment wins. What
was committed while Redis was being written is read and written too, so that nobody who was erased meanwhile comes back.

Which keys a tombstone empties is for `ViewNewest` (view_newest.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from confluent_kafka import Message

from keepline.jobs.settings import RetentionSettings, mask_url
from keepline.jobs.tail import messages
from keepline.jobs.view_keys import VIEW_KEYS
from keepline.jobs.view_newest import Entry, ViewNewest
from keepline.operators.spec import CHANNELS
from keepline.schemas.errors import KeeplineError
from keepline.schemas.records import to_record

SEQUENCE = 0
PIPELINE = 64
"""Calls a round trip."""
TIMEOUT_S = 10.0
GUARD = """\
local ttl, at, told = tonumber(ARGV[1]), 2, {}
for i, key in ipairs(KEYS) do
  local first, last = at + 1, at + tonumber(ARGV[at])
  at = last + 1
  local old = redis.pcall('HMGET', key, 'as_of', 'sequence')
  if old.err then
    told[i] = old
  else
    local as_of, sequence = tonumber(old[1] or nil), tonumber(old[2] or nil)
    local new = tonumber(ARGV[first + 1])
    if as_of and sequence and (as_of > new or (as_of == new and sequence >= tonumber(ARGV[first + 3]))) then
      told[i] = 0
    else
      local done = redis.pcall('HSET', key, unpack(ARGV, first, last))
      if type(done) == 'table' then
        told[i] = done
      else
        if redis.call('HLEN', key) ~= (last - first + 1) / 2 then
          redis.call('DEL', key)
          redis.call('HSET', key, unpack(ARGV, first, last))
        end
        if ttl > 0 then redis.call('PEXPIRE', key, ttl) else redis.call('PERSIST', key) end
        told[i] = 1
      end
    end
  end
end
return told"""
"""The script of the job's sink (HashScript.java): hashes, several a call, each only where it is newer than what stands there."""
KEYS = 8
"""Hashes a call, as the sink sends them: everybody else waits while a script runs."""
Progress = Callable[[int, int], None]


class ViewError(KeeplineError):
    """A view that cannot be rebuilt; the message says what to do."""


@dataclass
class Rebuilt:
    """What was done."""

    read: int = 0
    keys: int = 0
    written: int = 0
    newer: int = 0
    """Keys that were left alone: Redis had something as new."""
    refused: int = 0
    """Keys of another type, which Redis does not let be written."""
    removed: int = 0
    """Keys that Redis had of customers who were erased."""
    unreadable: int = 0
    by_channel: dict[str, int] = field(default_factory=dict)


def rebuild(settings: RetentionSettings, given: Iterable[str] = (), progress: Progress | None = None) -> Rebuilt:
    """Reads what the topics hold now, and writes the newest of each key. Raises KeeplineError for a topic or Redis that cannot be used."""
    if not settings.redis_url:
        msg = 'redis_url is "": there is no view to rebuild; give --redis-url'
        raise ViewError(msg)
    done, newest, properties = Rebuilt(), ViewNewest(VIEW_KEYS), list(given)
    ends: dict[int, dict[int, int]] = {channel: {} for channel in VIEW_KEYS}
    answers: dict[str, int] = {}
    for _ in ("all", "what came meanwhile"):
        for channel, end in sorted(ends.items()):  # scores come first, and say who was erased
            topic = f"{settings.output_prefix}.{CHANNELS[channel]}"
            for message in messages(topic, settings.bootstrap_servers, properties, begin=end):
                end[int(message.partition() or 0)] = int(message.offset() or 0) + 1
                done.read += 1
                done.unreadable += not newest.take(channel, message.key() or b"", message.value(), _erased_at(message))
                if progress and done.read % 1000 == 0:
                    progress(done.read, 0)
        emptied, changed = newest.changes()
        done.removed += _remove(settings, emptied)
        for count, (key, answer) in enumerate(zip(changed, _write(settings, changed), strict=True), 1):
            answers[key] = answer
            if progress and count % 1000 == 0:
                progress(count, len(changed))
        for key in emptied:
            answers.pop(key, None)
    counts = newest.counts()
    done.by_channel = {CHANNELS[channel]: counts[channel] for channel in VIEW_KEYS}
    done.keys, done.written, done.newer = len(answers), *(sum(a == told for a in answers.values()) for told in (1, 0))
    done.refused = done.keys - done.written - done.newer
    return done


@contextmanager
def _redis(settings: RetentionSettings) -> Iterator[Any]:
    """A client; ViewError for whatever Redis refuses."""
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        yield Redis.from_url(settings.redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    except (RedisError, OSError, ValueError) as error:
        msg = f"Redis at {mask_url(settings.redis_url)}: {error}; what was written stays, so run it again when Redis takes writes"
        raise ViewError(msg) from None


def _remove(settings: RetentionSettings, keys: Iterable[str]) -> int:
    """Deletes keys; returns how many there were."""
    removed, left = 0, iter(keys)
    with _redis(settings) as client:
        while some := list(islice(left, PIPELINE * KEYS)):
            with client.pipeline(transaction=False) as pipeline:
                for key in some:
                    pipeline.delete(key)
                removed += sum(pipeline.execute())
    return removed


def _write(settings: RetentionSettings, newest: Mapping[str, Entry]) -> Iterator[int]:
    """For each key 1 (written), 0 (Redis has something as new) or -1 (it is of another type)."""
    from redis.exceptions import RedisError

    with _redis(settings) as client:
        sha, items = str(client.script_load(GUARD)), iter(newest.items())
        while some := list(islice(items, PIPELINE * KEYS)):
            with client.pipeline(transaction=False) as pipeline:
                run: Callable[..., Any] = pipeline.execute_command
                for at in range(0, len(some), KEYS):
                    run("EVALSHA", sha, *_call(some[at : at + KEYS], settings.redis_ttl))
                for told in chain.from_iterable(pipeline.execute()):
                    if isinstance(told, RedisError) and "WRONGTYPE" not in str(told):
                        raise told
                    yield -1 if isinstance(told, RedisError) else int(told)


def _call(some: Sequence[tuple[str, Entry]], ttl_ms: int) -> list[str | bytes | int]:
    """Number of keys, keys and arguments of one call of the script."""
    words: list[str | bytes | int] = [len(some), *(key for key, _ in some), ttl_ms]
    for _, entry in some:
        fields = as_fields(to_record(entry.value)[1])
        words += [4 + len(fields), "as_of", entry.moment, "sequence", SEQUENCE, *fields]
    return words


def as_fields(record: Mapping[str, Any]) -> list[str | bytes]:
    """Field, value, … as the job's sink writes them: nulls left out, arrays as JSON, numbers as Java does."""
    fields: list[str | bytes] = []
    for name, value in record.items():
        if value is not None and name not in ("as_of", "sequence"):
            fields += [name, value if isinstance(value, bytes) else _json(value) if isinstance(value, list | dict) else _text(value)]
    return fields


def _text(value: Any) -> str:
    return java_double(value) if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(name)}:{_json(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if value is None or isinstance(value, str) else _text(value)


def java_double(value: float) -> str:
    """The shortest text that reads back as the same number, with Java's choice between decimals and an exponent.

    >>> [java_double(x) for x in (0.5, 12.0, 1e-5, 1234567.5, 12345678.0)]
    ['0.5', '12.0', '1.0E-5', '1234567.5', '1.2345678E7']
    """
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = repr(value)
        return text if "e" not in text else f"{value:f}"
    sign, digits, exponent = _decimal(value)
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def _decimal(value: float) -> tuple[str, str, int]:
    """Sign, the shortest digits, and the exponent of the first of them."""
    from decimal import Decimal

    told = Decimal(repr(value)).normalize().as_tuple()
    digits = "".join(map(str, told.digits))
    return "-" if told.sign else "", digits, int(told.exponent) + len(digits) - 1


def _erased_at(message: Message) -> int:
    """The event time that a tombstone of the job carries; 0 where there is none."""
    told = dict(message.headers() or ()).get("as_of")
    return int(told) if told else 0
