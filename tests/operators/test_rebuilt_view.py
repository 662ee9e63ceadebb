"""What `keepline rebuild-view` writes is what the sink writes, text for text, but for the sequence."""

from __future__ import annotations

from redis import Redis

from keepline.jobs.rebuild_view import as_fields
from keepline.jobs.view_keys import VIEW_KEYS
from keepline.operators.redis import RedisView, redis_sink
from keepline.schemas.catalog import output_schema
from keepline.schemas.packed import INTERVENTIONS, SCORES, Frame, pack_frame
from keepline.schemas.records import from_record, to_record
from tests.cli.test_rebuild_view import intervention, score

from .conftest import collection


def test_same_text(environment, redis_server, name):
    scores = [score(f"{name}-{number}", 100 + number, value) for number, value in enumerate((0.0, 0.25, 1 / 3, 1e-9, 12345678.9, 1e22))]
    offer = to_record(from_record("Intervention", intervention(f"{name}-0", 7)))[1]  # with the defaults
    frames = [pack_frame(Frame(SCORES, 5, each["as_of"], 0, b"k%d" % n, from_record("Score", each))) for n, each in enumerate(scores)]
    frames.append(pack_frame(Frame(INTERVENTIONS, 5, 7, 0, b"k", from_record("Intervention", offer))))
    views = [
        RedisView(SCORES, output_schema("Score"), VIEW_KEYS[SCORES]),
        RedisView(INTERVENTIONS, output_schema("Intervention"), VIEW_KEYS[INTERVENTIONS]),
    ]
    env = environment()
    redis_sink(collection(env, frames), redis_server.url, views)
    env.execute(name)
    redis = Redis.from_url(redis_server.url, decode_responses=True)
    for channel, record in [*((SCORES, each) for each in scores), (INTERVENTIONS, offer)]:
        stored = redis.hgetall(VIEW_KEYS[channel].format_map(record))
        assert (stored.pop("as_of"), stored.pop("sequence")) == (str(record.get("as_of", 7)), "5")
        fields = as_fields(record)
        assert stored == dict(zip(fields[::2], fields[1::2], strict=True))
