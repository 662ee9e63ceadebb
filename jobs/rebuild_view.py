"""`rebuild-view`: the Redis view from the committed topics, after Redis lost its data.

    PREFIX.scores, PREFIX.interventions ──newest of each key──► Redis, through the guard of the job's own sink

The job may run meanwhile: the guard writes nothing over what is as new, so neither of the two takes the view backwards. A record in Kafka
has no sequence, which tells records of one moment apart; it is written with sequence 0, so the job's own write of that moment wins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from confluent_kafka import Message

from keepline.jobs.settings import RetentionSettings, mask_url
from keepline.jobs.tail import messages
from keepline.jobs.view_keys import VIEW_KEYS
from keepline.operators.spec import CHANNELS
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import INTERVENTIONS, SCORES
from keepline.schemas.records import RecordError, to_record

MOMENT = {SCORES: "as_of", INTERVENTIONS: "decided_at"}
"""The field that is the frame's as_of."""
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


class Entry(NamedTuple):
    """The newest record of a key: its moment, and field, value and so on."""

    moment: int
    fields: list[str | bytes]


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
    unreadable: int = 0
    by_channel: dict[str, int] = field(default_factory=dict)


def rebuild(settings: RetentionSettings, given: Iterable[str] = (), progress: Progress | None = None) -> Rebuilt:
    """Reads what the topics hold now, and writes the newest of each key. Raises KeeplineError for a topic or Redis that cannot be used."""
    if not settings.redis_url:
        msg = 'redis_url is "": there is no view to rebuild; give --redis-url'
        raise ViewError(msg)
    done, newest = Rebuilt(), dict[str, Entry]()
    properties = list(given)
    for channel, template in VIEW_KEYS.items():
        topic, before = f"{settings.output_prefix}.{CHANNELS[channel]}", len(newest)
        for message in messages(topic, settings.bootstrap_servers, properties):
            done.read += 1
            _take(newest, message, template, MOMENT[channel], done)
            if progress and done.read % 1000 == 0:
                progress(done.read, 0)
        done.by_channel[CHANNELS[channel]] = len(newest) - before
    done.keys = len(newest)
    for count, answer in enumerate(_write(settings, newest), 1):
        done.written += answer == 1
        done.newer += answer == 0
        if progress and count % 1000 == 0:
            progress(count, done.keys)
    done.refused = done.keys - done.written - done.newer
    return done


def _take(newest: dict[str, Entry], message: Message, template: str, moment_field: str, done: Rebuilt) -> None:
    value = message.value()
    if value is None:  # a tombstone of a compacted topic
        return
    try:
        record = to_record(value)[1]
    except RecordError:
        done.unreadable += 1
        return
    key, moment = template.format_map(record), int(record[moment_field])
    known = newest.get(key)
    if known is None or moment >= known.moment:
        newest[key] = Entry(moment, as_fields(record))


def _write(settings: RetentionSettings, newest: Mapping[str, Entry]) -> Iterator[int]:
    """For each key 1 (written), 0 (Redis has something as new) or -1 (it is of another type)."""
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        client = Redis.from_url(settings.redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
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
    except (RedisError, OSError, ValueError) as error:
        msg = f"Redis at {mask_url(settings.redis_url)}: {error}; what was written stays, so run it again when Redis takes writes"
        raise ViewError(msg) from None


def _call(some: Sequence[tuple[str, Entry]], ttl_ms: int) -> list[str | bytes | int]:
    """Number of keys, keys and arguments of one call of the script."""
    words: list[str | bytes | int] = [len(some), *(key for key, _ in some), ttl_ms]
    for _, entry in some:
        words += [4 + len(entry.fields), "as_of", entry.moment, "sequence", SEQUENCE, *entry.fields]
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
