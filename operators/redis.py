"""The Redis end of a job: a view of the newest record of each key, written by a sink that no checkpoint waits for.

See `io.keepline.redis.RedisSink` for what it promises while Redis is away.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyflink.datastream import DataStream
from pyflink.datastream.data_stream import DataStreamSink
from pyflink.java_gateway import get_gateway

from keepline.schemas.errors import KeeplineError

LOG = logging.getLogger("keepline.redis")
CHECK_SECONDS = 5
ADVICE = (
    # Part of the answer, what to change. The first that fits.
    ("WRONGPASS", "the user or the password in redis_url is wrong, or the user is off (ACL LIST shows the users)"),
    ("NOAUTH", "give user and password: rediss://USER:PASSWORD@host:port/db"),
    ("cannot be read", "name a readable file of PEM certificates: ?ssl_ca_certs=/path/to/ca.pem"),
    ("find valid certification path", "name the PEM file of Redis' authority in the URL: ?ssl_ca_certs=/path/to/ca.pem"),
    ("PKIX", "name the PEM file of Redis' authority in the URL: ?ssl_ca_certs=/path/to/ca.pem"),
    (
        "No subject alternative",
        "the certificate is for another host name: ask for the name it has, or give Redis a certificate for this one",
    ),
    ("No name matching", "the certificate is for another host name: ask for the name it has, or give Redis a certificate for this one"),
    ("SSLException", "check that the port is the one with TLS, or write redis:// for one without"),
    ("SSLHandshake", "check that the port is the one with TLS, or write redis:// for one without"),
)
GRANT = "give this user the commands and keys that docs/security.md lists (ACL SETUSER), or correct redis_url"


class RedisRefusedError(KeeplineError):
    """Redis answers, and does not let the job write; the message says what to change."""


@dataclass(frozen=True, slots=True)
class RedisView:
    """One channel's hashes: `key` is a template over the record's fields, such as ``keepline:score:{customer_id}:{score}``.

    A frame without a value takes its hash away; then {customer_id} and {score} are read from the frame's key.
    """

    channel: int
    schema: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Limits of one subtask of the sink."""

    ttl_ms: int = 0
    """Time to live of what is written; 0 for ever."""
    max_pending: int = 200_000
    """Keys that may wait, in memory and in the checkpoint, while Redis is away. Past it the oldest are dropped and counted as stale."""
    pipeline: int = 512
    """Writes a round trip."""
    timeout_ms: int = 2_000
    """To connect, and to answer."""
    drain_ms: int = 60_000
    """How long the end of a bounded input waits until all is written."""
    meter_key: str = ""
    """Hashes `meter_key:subtask` get latency (created → Redis) and counters every second: count, p50_ms, p99_ms, max_ms, …; "" for none."""


def redis_sink(
    frames: DataStream, url: str, views: Sequence[RedisView], options: RedisOptions | None = None, *, uid: str = "redis-sink"
) -> DataStreamSink:
    """Write the newest frame of each key of the views' channels to Redis at `url` (redis:// or rediss://); other channels pass by."""
    o = options or RedisOptions()
    sink = get_gateway().jvm.io.keepline.redis.RedisSink(url, o.ttl_ms, o.max_pending, o.pipeline, o.timeout_ms, o.drain_ms, o.meter_key)
    for view in views:
        sink = sink.view(view.channel, json.dumps(dict(view.schema)), view.key)
    return DataStreamSink(frames._j_data_stream.sinkTo(sink)).name(uid).uid(uid)


def require_access(url: str, views: Sequence[RedisView], meter_key: str = "") -> None:
    """Return if Redis lets this job write its views; RedisRefusedError if it answers and refuses.

    A Redis that is away is no reason not to start, since the job goes on without it: that is a warning. Asks with the very commands of the
    sink, on keys that no customer has and that live for a millisecond.
    """
    keys = [re.sub(r"\{[^}]*\}", "submit-check", view.key) for view in views]
    told = get_gateway().jvm.io.keepline.redis.RedisCheck.ask(url, keys, meter_key, 1000 * CHECK_SECONDS)
    if told.startswith("away: "):
        LOG.warning("%s; the job starts, and its view follows when Redis is back", told.removeprefix("away: "))
    elif told:
        change = next((words for part, words in ADVICE if part in told), GRANT)
        msg = f"{' '.join(told.split())}: {change}"
        raise RedisRefusedError(msg)
