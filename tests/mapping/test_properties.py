"""A canonical event, written in a foreign form and mapped back, is the event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.jobs.mapping.readers import read_json
from keepline.schemas.encode import Rejected
from tests.mapping.support import events, of_events

BERLIN = ZoneInfo("Europe/Berlin")
CALLS = of_events("""
- type: Call
  when: {kind: call}
  customer_id: who.id
  event_id: {path: "ids[-1]", prefix: "x-"}
  event_time: {path: t.local, format: "%Y-%m-%d %H:%M:%S.%f", time_zone: Europe/Berlin}
  duration_s: {path: ms, unit: ms}
  direction: {path: dir, values: {o: OUTGOING, i: INCOMING}}
  roaming: {path: roam, values: {1: true, 0: false}}
- type: DataSession
  when: {kind: data}
  customer_id: who.id
  event_id: {path: "ids[-1]", prefix: "x-"}
  event_time: {path: t.epoch, format: epoch_us}
  megabytes: {sum: [up, down], unit: bytes}
""")
IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
TIMES = st.integers(631_152_000_000, 4_102_444_799_999)


@st.composite
def calls(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """(foreign record, the event it stands for)."""
    who, last, time = draw(IDS), draw(IDS), draw(TIMES)
    local = datetime.fromtimestamp(time / 1000, UTC).replace(microsecond=time % 1000 * 1000).astimezone(BERLIN)
    head = {"customer_id": who, "event_id": f"x-{last}", "event_time": time}
    record: dict[str, Any] = {"who": {"id": who}, "ids": [*draw(st.lists(IDS, max_size=2)), last]}
    if draw(st.booleans()):
        ms, out, roam = draw(st.integers(0, 10**9)), draw(st.booleans()), draw(st.sampled_from([0, 1, "0", "1"]))
        if local.fold:  # the hour that comes twice: the mapping takes the earlier one
            head["event_time"] = time - 3_600_000
        record |= {"kind": "call", "ms": ms, "dir": "o" if out else "i", "roam": roam, "t": {"local": f"{local:%Y-%m-%d %H:%M:%S.%f}"}}
        wanted = {"duration_s": ms / 1000, "direction": "OUTGOING" if out else "INCOMING", "roaming": int(roam) == 1}
        return record, {"type": "Call"} | head | wanted
    up, down = draw(st.integers(0, 2**40)), draw(st.integers(0, 2**40))
    record |= {"kind": "data", "up": up, "down": str(down), "t": {"epoch": time * 1000 + draw(st.integers(0, 999))}}
    return record, {"type": "DataSession"} | head | {"megabytes": (up + down) / 10**6}


@given(calls())
@settings(deadline=None, max_examples=300)
def test_there_and_back(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    record, wanted = pair
    found = events(CALLS, read_json(json.dumps(record).encode()))
    assert not isinstance(found, Rejected), found
    ((event),) = found
    assert {name: event[name] for name in wanted} == wanted


@given(calls(), st.data())
@settings(deadline=None, max_examples=300)
def test_a_record_with_a_part_missing_is_refused_or_another_event(pair: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject) -> None:
    """No record without one of its parts gives the same event, but where the part's default is what it was."""
    record, wanted = pair
    lost = data.draw(st.sampled_from(sorted(record)))
    del record[lost]
    found = events(CALLS, record)
    if isinstance(found, Rejected):
        assert found.message.startswith("m.yaml:")
    elif lost == "kind":
        assert found == []
    else:
        assert lost in {"dir", "roam", "up", "down"}
        assert {name: found[0][name] for name in ("customer_id", "event_id", "event_time")} == {
            name: wanted[name] for name in ("customer_id", "event_id", "event_time")
        }
