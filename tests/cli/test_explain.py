"""`keepline explain`: from files that replay wrote, and from the Redis view."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from keepline.jobs.customer_view import RECORDS, keys
from keepline.jobs.rebuild_view import as_fields
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.jobs.view_keys import NEXT_APP_KEYS, VIEW_KEYS
from keepline.schemas.packed import DECISIONS, INTERVENTIONS, SCORES
from tests.cli.conftest import Command, write_lines

POLICY = """\
policy: small
version: 7
time_zone: Europe/Athens
quiet_hours:
  - {from: "21:00", to: "08:00", channels: [SMS]}
caps:
  - {at_most: 1, per: 7d}
triggers:
  complaint: {event: SupportContact, topic: [COMPLAINT], priority: 2}
  at_risk: {score: churn, at_least: threshold, priority: 1}
offers:
  apology: {for: complaint, channels: SMS, offer: "Sorry", cooldown: 1d}
  discount: {for: at_risk, channels: [SMS], offer: "10 % off", cooldown: 1d}
outcomes: {landing: 30d}
"""
EVENTS: list[dict[str, Any]] = [
    {"type": "Subscription", "customer_id": "c-ü", "event_id": "e1", "event_time": "2025-05-01T08:00:00Z", "plan": "basic",
     "started_time": "2024-05-01T00:00:00Z", "monthly_charge": 20.0},
    {"type": "SupportContact", "customer_id": "c-ü", "event_id": "e2", "event_time": "2025-05-02T10:00:00Z", "topic": "COMPLAINT"},
    {"type": "Consent", "customer_id": "c-ü", "event_id": "k1", "event_time": "2025-05-03T10:00:00Z", "purpose": "MARKETING",
     "status": "GRANTED", "time_zone": "Asia/Tokyo"},
    {"type": "SupportContact", "customer_id": "c-ü", "event_id": "e3", "event_time": "2025-05-03T14:00:00Z", "topic": "COMPLAINT"},
    {"type": "SupportContact", "customer_id": "c-ü", "event_id": "e4", "event_time": "2025-05-05T10:00:00Z", "topic": "COMPLAINT"},
    {"type": "Call", "customer_id": "c-other", "event_id": "e5", "event_time": "2025-05-05T11:00:00Z", "duration_s": 5.0},
]  # fmt: skip


@pytest.fixture
def replayed(keepline: Command, tmp_path: Path) -> Path:
    """What replay makes of these events, under a model that calls nobody at risk."""
    events = write_lines(tmp_path / "e.jsonl", EVENTS)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("threshold", "0.999999"), encoding="utf-8")
    assert keepline("replay", "retention", "--events", events, "--policy", policy, "--emit", "every", "--out", tmp_path / "out").code == 0
    return tmp_path / "out"


def test_a_timeline(keepline: Command, replayed: Path, tmp_path: Path) -> None:
    told = keepline("explain", "c-ü", "--replayed", replayed, "--policy", tmp_path / "policy.yaml")
    assert told.code == 0
    blocks = told.out.split("\n\n")
    assert blocks[0] == f"c-ü, by {replayed}"
    assert blocks[1].startswith("Score: churn 0.")
    numbers = [each.partition("  Made from:  score: ")[2] for each in blocks[2:]]
    assert all(numbers)
    assert [each.partition("\n  Made from:")[0] for each in blocks[2:]] == [
        """\
2025-05-02 13:00 Europe/Athens (2025-05-02T10:00:00Z)  SUPPRESSED NO_MARKETING_CONSENT
  Fired:      complaint: a SupportContact arrives whose topic is COMPLAINT
  Decided:    apology was not offered
  Because:    no channel of the offer may be used for marketing; the customer has said nothing of marketing, and the policy asks for a yes
  To change:  a Consent event has to come: purpose MARKETING, status GRANTED, channel SMS or ALL""",
        """\
2025-05-03 23:00 Asia/Tokyo (2025-05-03T14:00:00Z)  HELD QUIET_HOURS
  Fired:      complaint: a SupportContact arrives whose topic is COMPLAINT
  Decided:    apology is held until 2025-05-04 08:00
  Because:    it was 2025-05-03 23:00 by the customer's clock (Asia/Tokyo), within the quiet hours
  To change:  nothing: it goes out then, if what led to it still holds, the customer still permits it and the caps have room""",
        """\
2025-05-04 08:00 Asia/Tokyo (2025-05-03T23:00:00Z)  EMITTED COMPLAINT
  Fired:      complaint: a SupportContact arrives whose topic is COMPLAINT
  Decided:    apology was offered by SMS, from 2025-05-04 08:00 to 2025-05-11 08:00: Sorry
  Because:    it suited, and consent, cool-down and caps left room for it
  Next:       the next apology may be made from 2025-05-05 08:00 on""",
        """\
2025-05-05 19:00 Asia/Tokyo (2025-05-05T10:00:00Z)  SUPPRESSED CAP
  Fired:      complaint: a SupportContact arrives whose topic is COMPLAINT
  Decided:    apology was not offered
  Because:    a cap is full: at most 1 marketing contact in any 7d; contacts that count: SMS 2025-05-04 08:00
  To change:  it has room from 2025-05-11 08:00 on, if no more is sent until then""",
    ]
    assert "marketing: all channels GRANTED (2025-05-03 19:00); contacts that count in caps: SMS 2025-05-04 08:00" in numbers[-1]

    other = keepline("explain", "c-ü", "--replayed", replayed)
    assert "complaint: a SupportContact" not in other.out
    assert other.out.endswith(
        "Decided by small version 7; the policy at hand is telecom-retention version 2, so limits are not told: give --policy FILE\n"
    )


def test_the_same_as_data(keepline: Command, replayed: Path, tmp_path: Path) -> None:
    lines = (replayed / "decisions.jsonl").read_text(encoding="utf-8")
    escaped = tmp_path / "escaped.jsonl"  # as another program may write the same
    escaped.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in lines.splitlines()), encoding="ascii")
    words = ("explain", "c-ü", "--policy", tmp_path / "policy.yaml", "--json")
    told, same = keepline(*words, "--replayed", replayed).json, keepline(*words, "--decisions", escaped).json
    assert [(each["result"], each["reason"]) for each in told["decisions"]] == [
        ("SUPPRESSED", "NO_MARKETING_CONSENT"), ("HELD", "QUIET_HOURS"), ("EMITTED", "COMPLAINT"), ("SUPPRESSED", "CAP"),
    ]  # fmt: skip
    last = told["decisions"][-1]
    assert last["explained"]["because"].startswith("a cap is full: at most 1 marketing contact in any 7d")
    assert (last["made_from"]["cap"]["most"], last["local_time"], last["time_zone"], last["policy_at_hand"]) == (
        1,
        "2025-05-05 19:00",
        "Asia/Tokyo",
        True,
    )
    assert [each["kind"] for each in told["interventions"]] == ["apology"]
    assert (told["known"], told["erased_at"], told["nothing_can_mean"]) == (True, None, [])
    assert told["scores"][0]["customer_id"] == "c-ü"
    assert same["decisions"] == told["decisions"], "what a ticket is, interventions and policy say alike"


def test_who_was_scored_and_never_decided_on(keepline: Command, replayed: Path, tmp_path: Path) -> None:
    told = keepline("explain", "c-other", "--replayed", replayed, "--policy", tmp_path / "policy.yaml")
    score = json.loads((replayed / "scores.jsonl").read_text().splitlines()[-1])
    assert (told.code, score["customer_id"]) == (0, "c-other")
    assert told.out.endswith(
        "Nothing was decided: no trigger of small version 7 is known to have fired. They wait for:\n"
        "  complaint: a SupportContact arrives whose topic is COMPLAINT\n"
        f"  at_risk: the churn score is at least 0.999999 (it is {score['value']:.3f})\n"
    )


def test_nothing_known(keepline: Command, replayed: Path, tmp_path: Path) -> None:
    told = keepline("explain", "c", "--replayed", replayed)
    assert (told.code, told.out) == (
        1,
        f"{replayed} knows nothing of c. That can mean:\n"
        "  - no trigger of the policy has fired for the customer\n"
        "  - the customer has another id in these files\n",
    )
    assert keepline("explain", "c", "--replayed", replayed, "--json").json["known"] is False


def test_wrong_files(keepline: Command, replayed: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    assert keepline("explain", "c", "--replayed", bare).err == (
        f"error: {bare}: no decisions.jsonl in it: expected a folder that `keepline replay retention --out` wrote\n"
    )
    told = keepline("explain", "c-ü", "--decisions", replayed / "scores.jsonl")
    assert told.code == 2
    assert "scores.jsonl:1: expected a record with customer_id and decision_id" in told.err
    assert "expected one of them" in keepline("explain", "c", "--replayed", bare, "--decisions", bare).err


@pytest.fixture
def redis(redis_server: EmbeddedRedis) -> Iterator[Redis]:
    client = Redis.from_url(redis_server.url, decode_responses=True)
    yield client
    for key in client.scan_iter("keepline:*xp-*"):
        client.delete(key)


def put(redis: Redis, channel: int, record: Mapping[str, Any], as_of: int, sequence: int = 1) -> None:
    """A hash as the job's sink writes it."""
    fields = as_fields(record)
    redis.hset(
        VIEW_KEYS[channel].format_map(record),
        mapping={"as_of": as_of, "sequence": sequence, **dict(zip(fields[::2], fields[1::2], strict=True))},
    )


def test_redis(keepline: Command, redis_server: EmbeddedRedis, redis: Redis, replayed: Path, tmp_path: Path) -> None:
    """The newest decision that replay wrote, through a hash and back: the very same sentences."""
    words = ("explain", "c-ü", "--policy", tmp_path / "policy.yaml")
    from_file = keepline(*words, "--replayed", replayed, "--json").json
    decision, made, score = (
        json.loads((replayed / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[place])
        for name, place in (("decisions", -1), ("interventions", -1), ("scores", -2))
    )
    for channel, record, at in ((DECISIONS, decision, "decided_at"), (INTERVENTIONS, made, "decided_at"), (SCORES, score, "as_of")):
        assert record["customer_id"] == "c-ü"
        put(redis, channel, record | {"customer_id": "xp-ü"}, record[at])
    put(redis, SCORES, score | {"customer_id": "xp-ü", "score": "p_alive", "value": 0.1}, 1)

    words = ("explain", "xp-ü", "--policy", tmp_path / "policy.yaml", "--redis-url", redis_server.url)
    told = keepline(*words, "--json").json
    (newest,) = told["decisions"]
    expected = from_file["decisions"][-1] | {"customer_id": "xp-ü", "as_of": decision["decided_at"], "sequence": 1}
    assert newest == expected
    assert told["interventions"] == [made | {"customer_id": "xp-ü", "as_of": made["decided_at"], "sequence": 1}]
    assert (told["scores"][0]["value"], told["scores"][0]["reasons"]) == (score["value"], score["reasons"])
    shown = keepline(*words)
    assert (shown.code, shown.out.count("Decided:")) == (0, 1)
    assert "a cap is full: at most 1 marketing contact in any 7d" in shown.out


def test_redis_of_the_erased_and_the_unknown(keepline: Command, redis_server: EmbeddedRedis, redis: Redis) -> None:
    for _, key in keys("xp-gone"):
        redis.hset(key, mapping={"as_of": 1_750_000_000_000, "sequence": 1 << 60, "erased": 1})
    words = ("--redis-url", redis_server.url)
    gone = keepline("explain", "xp-gone", *words)
    assert (gone.code, gone.out) == (
        1,
        f"xp-gone was erased at 2025-06-15T15:06:40Z: Redis at {redis_server.url} holds nothing but a mark of it, "
        "which goes after a minute\n",
    )
    assert keepline("explain", "xp-gone", *words, "--json").json["erased_at"] == 1_750_000_000_000
    unknown = keepline("explain", "xp-none", *words)
    assert unknown.code == 1
    assert unknown.out.startswith(f"Redis at {redis_server.url} knows nothing of xp-none. That can mean:\n  - no event of the customer")
    redis.set("keepline:decision:xp-text", "no hash")
    refused = keepline("explain", "xp-text", *words)
    assert refused.code == 2
    assert "WRONGTYPE" in refused.err


def test_every_view_has_its_record() -> None:
    assert RECORDS.keys() == VIEW_KEYS.keys() | NEXT_APP_KEYS.keys()
    assert {key for _, key in keys("c")} == {
        "keepline:score:c:churn", "keepline:score:c:clv_formula", "keepline:score:c:clv_bgnbd", "keepline:score:c:clv_regression",
        "keepline:score:c:p_alive", "keepline:intervention:c", "keepline:decision:c", "keepline:next-app:c",
    }  # fmt: skip
