"""The faults of input without servers: what they send, run through the operator by partitions, is what replay and `expected` say.

So a round in which live and replay differ is the fault of the job, not of what the round fed or expected.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.operators.host import HostOperator
from keepline.operators.hostpolicy import HostPolicy
from keepline.operators.spec import CHANNELS
from keepline.schemas.packed import VIEW_ONLY, Frame, Record, pack_record
from keepline.schemas.records import to_record
from tests.chaos import feed as feeding
from tests.chaos.compare import difference
from tests.chaos.dead import expected, tombstones
from tests.chaos.faults import FAULTS
from tests.chaos.feed import Feed
from tests.chaos.world import Shape
from tests.jobs.models_for_tests import manifest
from tests.whole.history import Sent
from tests.whole.policies import policy_file
from tests.whole.support import Outputs, by_customer, plain, replayed

HOUR = 3_600_000
INPUTS = ("poison-batch", "year-2099", "duplicates-reordering", "clock-backwards", "hot-key", "control-burst")


class NoProducer:
    """Takes everything at once."""

    def __init__(self, _: object) -> None: ...

    def produce(self, *_: object, **__: object) -> None: ...

    def poll(self, _: float) -> None: ...

    def flush(self, _: float) -> int:
        return 0


class NoKafka:
    admin: dict[str, str] = {}  # noqa: RUF012


class NoJob:
    """What an input fault asks of a world: the feed, and counts, which are as high as it likes."""

    def __init__(self) -> None:
        self.shape = Shape(customers=60)
        self.feed = Feed(NoKafka(), "in", 3, customers=60, partitions=4, rate=1000)  # type: ignore[arg-type]
        self._counts = itertools.count(0, 10**9)

    def counter(self, name: str) -> Any:
        return Huge(next(self._counts))

    @property
    def watch(self) -> NoJob:
        return self

    def count(self, channel: str, since: float) -> Any:
        return Huge(next(self._counts))


class Huge(int):
    """Equal to what the fault waits for."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def through_the_operator(settings: RetentionSettings, records: list[Sent], draw: Random) -> Outputs:
    """As the job does: partitions read each at its own pace, batches of any size, the watermark the lowest of all partitions."""
    spec = operator_spec(settings)
    host, policy = HostOperator(spec, batch=64, wall_ms=int(time.time() * 1000)), HostPolicy(spec)
    parts = [[record for record in records if record.partition == number] for number in range(1 + max(each.partition for each in records))]
    newest, at, made = [0] * len(parts), [0] * len(parts), list[Frame]()
    while any(at[number] < len(part) for number, part in enumerate(parts)):
        number = draw.randrange(len(parts))
        for record in parts[number][at[number] : at[number] + draw.randrange(1, 30)]:
            key = record.key if record.key is not None else _customer(record)
            made += policy.take(host.add(key, pack_record(Record(record.key, record.value or b"", 0, number, at[number]))))
            at[number] += 1
            if record.event:
                newest[number] = max(newest[number], record.event["event_time"])
        made += policy.take(host.flush())
        if min(newest):
            watermark = min(newest) - HOUR - 1
            made += policy.take(host.advance(watermark))
            made += policy.advance(watermark)
    decoded: Outputs = {}
    for number, channel in enumerate(CHANNELS):
        frames = [frame for frame in made if frame.channel == number and not frame.flags & VIEW_ONLY]
        decoded[channel] = by_customer(plain(to_record(each.value)[1]) if each.value else _tombstone(each) for each in frames)
    return decoded


def _tombstone(frame: Frame) -> dict[str, Any]:
    return {"key": frame.key.decode(), "tombstone": True}


def _customer(record: Sent) -> bytes:
    return str(record.event["customer_id"]).encode() if record.event else b""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[NoJob]:
    monkeypatch.setattr(feeding, "Producer", NoProducer)
    made = NoJob()
    yield made
    made.feed.close()


@pytest.mark.parametrize("name", INPUTS)
def test_what_is_fed_is_what_is_expected(name: str, world: NoJob, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(manifest()), encoding="utf-8")
    settings = RetentionSettings(model=tmp_path, emit="every", policy=policy_file(tmp_path))
    world.feed.start()
    saw = FAULTS[name].inject(world, Random(4))  # type: ignore[arg-type]
    world.feed.pause()
    world.feed.close_round()
    wanted = replayed(settings, world.feed.sent, tmp_path / "replay")
    for key, letters in expected(world.feed.sent).items():
        wanted["dead-letters"].setdefault(key, []).extend(letters)
    wanted["tombstones"] = tombstones(world.feed.sent)
    told = difference(through_the_operator(settings, world.feed.sent, Random(5)), wanted)
    assert told.equal, f"{saw}\n{told.told()}"
    assert told.records > 500
    if name in ("poison-batch", "year-2099"):
        assert wanted["dead-letters"]
