"""The Redis end of a job: a view of the newest record of each key, written by a sink that no checkpoint waits for.

See `io.keepline.redis.RedisSink` for what it promises while Redis is away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyflink.datastream import DataStream
from pyflink.datastream.data_stream import DataStreamSink
from pyflink.java_gateway import get_gateway


@dataclass(frozen=True, slots=True)
class RedisView:
    """One channel's hashes: `key` is a template over the record's fields, such as ``keepline:score:{customer_id}:{score}``."""

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
