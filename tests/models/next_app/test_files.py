"""Logs out of dirty files: every row is an event or dropped for one stated reason, and the result does not depend on the format."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepline.jobs.next_app_files import REASONS, Read, read_log
from keepline.models.errors import TrainingDataError
from keepline.models.next_app.log import NONE, OPEN, UNLOCK, make_log
from keepline.schemas.errors import FileError
from tests.models.next_app.logs import entries, rows_of, same

START = 1_767_225_600_000  # 2026-01-01
DAY = 86_400_000
HEADER = "App name,Date,Time,Duration"
DIRTY = [
    "Mail,12/31/18,23:59:58,00:00:01",
    '"Chess, with friends",01-01-2019,00:00:03,00:00:01',  # another format, and a comma in the name
    "Screen off (locked),01-01-2019,00:00:04,00:10:00",
    "Screen on (unlocked),01-01-2019,00:10:04,00:00:01",
    "Mail,01/01/70,00:00:00,00:00:01",  # a clock that was not set
    "Mail,12/31/69,19:00:00,00:00:01",
    "Mail,01-01-2019,00:10:05,00:00:01",
    "Mail,01-01-2019,00:10:05,00:00:09",  # again, of another duration
    "Maps,2019-01-01,00:00:59,00:00:01",  # out of order
    "Maps,31-12-2018,10:00:00,00:00:01",  # no 31st month
    "Maps,01-01-2019,25:00:00,00:00:01",
    ",01-01-2019,00:11:00,00:00:01",
    "Maps,01-01-2019",
    'Maps "beta,01-01-2019,00:12:00,00:00:01',  # a lone quote costs no other row
    "Device boot,01-01-2019,00:13:00,00:00:01",
    "",
    ",,,",
    '"Activity history, January 1, 2019 - December 31, 2018",,,',
]


def names(read: Read) -> list[tuple[int, str]]:
    log = read.log
    return [(t, log.apps[a] if a != NONE else "") for t, a in zip(log.time.tolist(), log.app.tolist(), strict=True)]


def adds_up(read: Read) -> bool:
    return read.rows == len(read.log) + sum(read.dropped.values()) and set(read.dropped) <= set(REASONS)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_a_dirty_export(tmp_path: Path, packed: bool, bom: str) -> None:
    data = (bom + "\r\n".join([HEADER, *DIRTY]) + "\r\n").encode()
    path = tmp_path / ("log.csv.gz" if packed else "log.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    read = read_log(path)
    new_year = 1_546_300_800_000
    assert names(read) == [
        (new_year - 2_000, "Mail"), (new_year + 3_000, "Chess, with friends"), (new_year + 59_000, "Maps"), (new_year + 604_000, ""),
        (new_year + 605_000, "Mail"), (new_year + 720_000, 'Maps "beta'), (new_year + 780_000, "Device boot"),
    ]  # fmt: skip
    assert read.log.kind.tolist() == [OPEN, OPEN, OPEN, UNLOCK, OPEN, OPEN, OPEN]
    assert read.dropped == {"SCREEN": 1, "OUT_OF_BOUNDS_TIME": 2, "DUPLICATE": 1, "MALFORMED": 4, "FOOTER": 2}
    assert (read.rows, read.reordered, read.device_rows) == (17, 1, 1)
    assert adds_up(read)
    told = "\n".join(read.notes())
    assert "dropped 2: OUT_OF_BOUNDS_TIME, before 1990" in told
    assert not any(name in told for name in ("Mail", "Chess", "Maps"))


def event(type_name: str, user: str, number: int, time: int, **more: Any) -> dict[str, Any]:
    return {"type": type_name, "customer_id": user, "event_id": f"{user}-{number}", "event_time": time} | more


CLEAN = [
    event("AppOpen", "u1", 1, START, app="org.mail", battery_percent=80, charging=True, network="WIFI", city_hash="c1"),
    event("AppOpen", "u2", 1, START + 1, app="org.chess"),
    event("Unlock", "u1", 2, START + 2, battery_percent=0, network="G5", city_hash="c2", utc_offset_minutes=-90),
    event("AppOpen", "u1", 3, START + 3, app="org.häße", utc_offset_minutes=330, network="G2"),
    event("AppOpen", "u2", 2, START + 4, app="org.mail"),
]


def as_lines(path: Path, events: list[Any]) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in events), encoding="utf-8")
    return path


def test_events_bring_their_context(tmp_path: Path) -> None:
    log = read_log(as_lines(tmp_path / "e.jsonl", CLEAN)).log
    assert (log.users, log.apps, log.cities) == (("u1", "u2"), ("org.chess", "org.häße", "org.mail"), ("c1", "c2"))
    assert log.user.tolist() == [0, 1, 0, 0, 1]
    assert (log.time - START).tolist() == [0, 1, 2, 3, 4]
    assert log.kind.tolist() == [OPEN, OPEN, UNLOCK, OPEN, OPEN]
    assert log.app.tolist() == [2, 0, NONE, 1, 2]
    assert log.battery_percent.tolist() == [80, NONE, 0, NONE, NONE]
    assert log.charging.tolist() == [True, False, False, False, False]
    assert log.network.tolist() == [1, 0, 5, 2, 0]
    assert log.city.tolist() == [0, NONE, 1, NONE, NONE]
    assert log.utc_offset_minutes.tolist() == [0, 0, -90, 330, 0]


def test_dirty_events(tmp_path: Path) -> None:
    dirty = [
        *CLEAN[:3],
        "{nonsense",
        event("AppOpen", "u1", 9, 0, app="org.mail"),
        event("Call", "u1", 10, START + 2, duration_s=3.0),
        CLEAN[0] | {"event_time": START + DAY},  # the same event again, with another time
        event("AppOpen", "u1", 11, START + 5, app=""),
        event("AppOpen", "u1", 12, START + 5),
        event("Opened", "u1", 13, START + 5),
        *CLEAN[3:][::-1],  # of different users: each in its own order
        event("Unlock", "u2", 14, START + 3),
    ]
    read = read_log(as_lines(tmp_path / "e.jsonl", dirty))
    assert sum(read.dropped.values()) == 7
    assert read.dropped == {
        "DUPLICATE": 1,
        "OTHER_TYPE": 1,
        "OUT_OF_BOUNDS_TIME": 1,
        "MALFORMED": 1,
        "UNKNOWN_SCHEMA": 1,
        "INVALID_FIELD": 2,
    }
    assert (read.rows, len(read.log), read.reordered) == (len(dirty), 6, 1)
    assert adds_up(read)
    clean = read_log(as_lines(tmp_path / "c.jsonl", [*CLEAN[:4], event("Unlock", "u2", 14, START + 3), CLEAN[4]]))
    assert same(read.log, clean.log)
    assert "org." not in "".join(read.notes()) + json.dumps(read.as_json())


def test_every_format_makes_the_same_log(tmp_path: Path) -> None:
    opens = [made for made in CLEAN if made["type"] == "AppOpen"]
    expected = read_log(as_lines(tmp_path / "e.jsonl", opens)).log
    text, string = ["null", "string"], pa.string()
    kinds = {
        "customer_id": ("string", string), "event_id": ("string", string), "event_time": ("long", pa.int64()), "app": ("string", string),
        "battery_percent": (["null", "int"], pa.int32()), "charging": ("boolean", pa.bool_()), "network": ("string", string),
        "city_hash": (text, string), "utc_offset_minutes": ("int", pa.int32()),
    }  # fmt: skip
    rows = [
        {"battery_percent": None, "charging": False, "network": "UNKNOWN", "city_hash": None, "utc_offset_minutes": 0}
        | {name: value for name, value in made.items() if name != "type"}
        for made in opens
    ]
    with (tmp_path / "e.avro").open("wb") as file:
        fields = [{"name": name, "type": avro} for name, (avro, _) in kinds.items()]
        fastavro.writer(file, {"type": "record", "name": "AppOpen", "fields": fields}, rows)
    table = pa.table({name: pa.array([row[name] for row in rows], arrow) for name, (_, arrow) in kinds.items()})
    pq.write_table(table, tmp_path / "AppOpen.parquet")
    pq.write_table(table, tmp_path / "e.parquet")
    assert same(read_log(tmp_path / "e.avro").log, expected)
    assert same(read_log(tmp_path / "AppOpen.parquet").log, expected)
    assert same(read_log(tmp_path / "e.parquet", "AppOpen").log, expected)
    csv = ["type,customer_id,event_id,event_time,app,battery_percent,charging,network,city_hash,utc_offset_minutes"]
    csv += [",".join(str(made.get(name, "")) for name in csv[0].split(",")).replace("True", "true") for made in opens]
    assert same(read_log(as_lines(tmp_path / "e.csv", csv)).log, expected)


def test_a_folder_of_many_blocks_is_one_log(tmp_path: Path) -> None:
    """More events than a block, in files whose times overlap, as one file of the same events makes it."""
    dice = random.Random(5)
    made = [event("AppOpen", f"u{n % 7}", n, START + 1000 * n, app=f"org.{dice.randrange(90)}") for n in range(20_000)]
    (tmp_path / "parts").mkdir()
    for part in range(3):
        as_lines(tmp_path / "parts" / f"{part}.jsonl", made[part::3])
    one, many = read_log(as_lines(tmp_path / "e.jsonl", made)), read_log(tmp_path / "parts")
    assert same(one.log, many.log)
    assert (one.rows, many.rows, many.reordered) == (20_000, 20_000, 0)
    assert names(one) == [(row["event_time"], row["app"]) for row in made]


@given(entries(), st.randoms(use_true_random=False))
def test_a_log_is_in_order_whatever_the_order_of_rows(made: list[tuple[int, int, str]], dice: random.Random) -> None:
    rows = [row._replace(time=1000 * row.time + i) for i, row in enumerate(rows_of(made))]  # no two at once
    repeated = rows + dice.sample(rows, dice.randrange(len(rows) + 1))
    shuffled = dice.sample(repeated, len(repeated))
    first, second = make_log(sorted(rows, key=lambda row: row.time)), make_log(shuffled)
    assert same(first.log, second.log)
    assert (first.duplicates, second.duplicates, first.reordered) == (0, len(repeated) - len(rows), 0)
    assert bool(np.all(np.diff(second.log.time) > 0))
    arrived = list(dict.fromkeys(shuffled))
    late = sum(any(o.user == row.user and o.time > row.time for o in arrived[:i]) for i, row in enumerate(arrived))
    assert second.reordered == late


def test_rows_of_one_moment_stay_as_they_came() -> None:
    made = [(0, 5, "b"), (0, 5, "a"), (0, 5, "c"), (0, 4, "d")]
    log = make_log(rows_of(made)).log
    assert [log.apps[app] for app in log.app.tolist()] == ["d", "b", "a", "c"]


def test_files_without_an_open_say_what_is_in_them(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"no app open in 2 rows \(dropped: 1 MALFORMED\)"):
        read_log(as_lines(tmp_path / "e.jsonl", [CLEAN[2], "{"]))
    with pytest.raises(TrainingDataError, match=r"no app open in 0 rows \(dropped: none\)"):
        read_log(as_lines(tmp_path / "log.csv", [HEADER]))
    with pytest.raises(FileError, match="absent"):
        read_log(tmp_path / "absent.jsonl")
    with pytest.raises(FileError, match="expected"):
        read_log(as_lines(tmp_path / "log.txt", [HEADER, *DIRTY]))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, *DIRTY * 50]).encode())[:-30])
    with pytest.raises(FileError, match="damaged") as error:
        read_log(tmp_path / "cut.csv.gz")
    assert "Mail" not in str(error.value)
