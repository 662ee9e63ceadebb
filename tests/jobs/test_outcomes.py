"""Exported outcomes are what a naive reading of the records says, however often and from wherever; an erased customer stays gone."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features.sets import FEATURE_SETS
from keepline.jobs import outcome_files as files
from keepline.jobs import outcomes
from keepline.jobs.outcome_tables import FLAGS, HEAD, OutcomesError, epoch_ms, of_records
from keepline.jobs.outcomes import collect, export, export_training, from_lines, from_paths
from keepline.jobs.uplift import measure
from keepline.schemas.records import to_json
from tests.jobs.labelled import DAY, NOON, labelled, late, unknown

Record = dict[str, Any]
CHURN = FEATURE_SETS["churn"].names


def rows(out: Path) -> list[Record]:
    """All rows of the files, file after file, times as epoch ms."""
    found = []
    for path in files.row_files(out):
        for row in pq.read_table(path).to_pylist():
            for each in row["outcomes"]:
                each["event_time"] = epoch_ms(each["event_time"])
            found.append(row | {name: epoch_ms(row[name]) for name in ("decided_at", "closed_at")})
    return found


def naive(records: list[Record]) -> list[Record]:
    """The rows that these records make, by definition."""
    newest = {record["decision_id"]: record for record in records if record["status"] == "LANDED"}
    found = []
    for decision, record in newest.items():
        row = {name: value for name, value in record.items() if name not in ("features", "outcomes")}
        row |= {flag: name in [each["outcome"] for each in record["outcomes"]] for flag, name in FLAGS.items()}
        more = {
            (each["event_time"], each["outcome"])
            for other in records
            if other["status"] == "LATE" and other["decision_id"] == decision
            for each in other["outcomes"]
        }
        row["outcomes"] = [each | {"late": False} for each in record["outcomes"]]
        row["outcomes"] += [{"outcome": outcome, "event_time": time, "late": True} for time, outcome in sorted(more)]
        found.append(row | record["features"])
    return sorted(found, key=lambda row: (row["decided_at"], row["customer_id"], row["decision_id"]))


def without_nulls(found: list[Record]) -> list[Record]:
    return [{name: value for name, value in row.items() if value is not None} for row in found]


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Records as the topic may hold them: of some decisions a row, again the row, late outcomes before or after it, and unknown ones."""
    found: list[Record] = []
    for number in range(draw(st.integers(0, 6))):
        names = draw(st.lists(st.sampled_from(["DELIVERED", "ACCEPTED", "DECLINED", "FAILED", "COMPLAINED", "CHURNED"]), max_size=3))
        features = draw(st.dictionaries(st.sampled_from(["calls_7d", "data_mb_30d", "zzz", "aaa"]), st.floats(allow_nan=False), max_size=3))
        row = labelled(
            f"c-{draw(st.integers(0, 3))}", f"d-{number}", decided_at=NOON + draw(st.integers(-DAY, DAY)), outcomes=names,
            features=features, arm=draw(st.sampled_from(["CONTROL", "TREATMENT"])), label="CHURNED" if "CHURNED" in names else "RETAINED",
        )  # fmt: skip
        found += [row] * draw(st.integers(1, 2))
        found += [late(row, draw(st.sampled_from(["ACCEPTED", "CHURNED"])), 31 + i) for i in range(draw(st.integers(0, 2)))]
    return draw(st.permutations(found))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(records=histories(), data=st.data())
def test_a_folder_holds_what_the_records_say(records: list[Record], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In one export or in several with restarts, from overlapping parts of the topic: the same rows, and the same bytes."""
    out, again = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("again")
    export(collect(records), out)
    expected = naive(records)
    if not expected:
        assert not list(out.iterdir())
        return
    assert without_nulls(rows(out)) == without_nulls(expected)
    # Rows first: a late outcome whose row is neither in the topic nor in the folder has nowhere to go.
    rest = [record for record in records if record["status"] == "LATE"]
    for _ in range(2):
        cut = data.draw(st.integers(0, len(records)))
        export(collect(records[cut:]), again)
        export(collect(records[: cut + 1]), again)
    export(collect(rest), again)
    same = {path.name: pq.read_table(path) for path in out.glob(files.DAYS)}
    assert {path.name for path in again.glob(files.DAYS)} == same.keys()
    for name, table in same.items():
        assert pq.read_table(again / name).equals(table), name
        assert (again / name).read_bytes() == (out / name).read_bytes()


def test_files_are_by_utc_day_and_byte_for_byte_the_same(tmp_path: Path) -> None:
    border = 20_514 * DAY
    records = [labelled(f"c-{i}", f"d-{i}", decided_at=border + i - 2) for i in range(4)]
    done = export(collect(records), tmp_path / "a")
    assert (done.rows, done.files, done.read) == (4, 2, 4)
    days = {path.name: [row["decision_id"] for row in pq.read_table(path).to_pylist()] for path in sorted((tmp_path / "a").iterdir())}
    assert days == {"outcomes-2026-03-01.parquet": ["d-0", "d-1"], "outcomes-2026-03-02.parquet": ["d-2", "d-3"]}
    random.Random(1).shuffle(records)
    export(collect(records), tmp_path / "b")
    export(collect(records), tmp_path / "b")
    for name in days:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_columns(tmp_path: Path) -> None:
    features = {"zzz": 1.0, "aaa": float("nan"), "data_mb_30d": float("inf"), "calls_7d": 3.0}
    export(collect([labelled(outcomes=["DELIVERED", "DECLINED"], features=features), labelled("c-2", "d-2")]), tmp_path / "o.parquet")
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.column_names == [*HEAD.names, *CHURN, "zzz"], "all of the set in its order, then what else has a value"
    assert {table.schema.field(name).type for name in table.column_names[len(HEAD.names) :]} == {pa.float64()}
    first, second = table.to_pylist()
    assert [first[name] for name in ("calls_7d", "data_mb_30d", "tenure_days", "zzz")] == [3.0, float("inf"), None, 1.0]
    assert (second["calls_7d"], second["zzz"]) == (2.0, None)
    assert [first[name] for name in FLAGS] == [False, True, False, False, True]
    assert [second[name] for name in FLAGS] == [False] * 5


def test_a_late_outcome_is_no_outcome_of_the_window(tmp_path: Path) -> None:
    row = labelled(outcomes=["DELIVERED"])
    export(collect([row, *(late(row, name, days) for name, days in (("CHURNED", 35), ("ACCEPTED", 33), ("DELIVERED", 33)))]), tmp_path)
    (found,) = rows(tmp_path)
    assert [each["outcome"] for each in found["outcomes"]] == ["DELIVERED", "ACCEPTED", "DELIVERED", "CHURNED"]
    assert [each["late"] for each in found["outcomes"]] == [False, True, True, True]
    assert (found["accepted"], found["label"]) == (False, "RETAINED")


def test_the_newest_record_of_a_decision_counts(tmp_path: Path) -> None:
    """As where a job read everything again with another set of features."""
    old, new = labelled(features={"calls_7d": 1.0}), labelled(features={"calls_7d": 2.0})
    export(collect([old, late(old, "CHURNED"), new]), tmp_path)
    export(collect([old, new]), tmp_path)
    (found,) = rows(tmp_path)
    assert (found["calls_7d"], len(found["outcomes"])) == (2.0, 1)
    export(collect([old]), tmp_path)
    assert rows(tmp_path)[0]["calls_7d"] == 1.0, "what the topic has comes after what the folder has"


def test_no_feature_has_the_name_of_a_column() -> None:
    assert not {name for each in FEATURE_SETS.values() for name in each.names} & set(HEAD.names)
    with pytest.raises(OutcomesError, match="the feature 'label' has the name of another column"):
        of_records([labelled(features={"label": 1.0})])


def test_unknown_outcomes(tmp_path: Path) -> None:
    stray = late(labelled("c-9", "d-9"), "ACCEPTED")
    records = [labelled(), unknown("c-2", "i-x", "DELIVERED", NOON + 5), unknown("c-2", "i-x", "DELIVERED", NOON + 5), stray]
    for _ in range(2):
        done = export(collect(records), tmp_path)
        assert [(row["customer_id"], row["status"], row["outcome"], row["event_time"]) for row in done.unknown] == [
            ("c-2", "UNKNOWN", "DELIVERED", NOON + 5),
            ("c-9", "LATE", "ACCEPTED", NOON + 40 * DAY),
        ]
    assert pq.read_table(tmp_path / files.UNKNOWN_FILE).num_rows == 2
    assert len(rows(tmp_path)) == 1
    alone = export(collect(records), tmp_path / "one.parquet")
    assert len(alone.unknown) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"outcomes-2026-03-01.parquet", files.UNKNOWN_FILE, "one.parquet"}


def test_a_late_outcome_finds_a_row_that_the_topic_has_dropped(tmp_path: Path) -> None:
    row = labelled()
    export(collect([row]), tmp_path)
    done = export(collect([late(row, "CHURNED")]), tmp_path)
    assert (done.rows, done.files, done.unknown) == (1, 1, [])
    assert [each["late"] for each in rows(tmp_path)[0]["outcomes"]] == [True]
    export(collect([row]), tmp_path)
    assert [each["late"] for each in rows(tmp_path)[0]["outcomes"]] == [True], "the row from the topic takes no late outcome away"


def test_a_broken_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(collect([labelled()]), tmp_path)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    whole = pq.write_table

    def half(table: pa.Table, where: Path, **options: Any) -> None:
        whole(table, where, **options)
        where.write_bytes(where.read_bytes()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", half)
    with pytest.raises(OSError, match="No space"):
        export(collect([labelled("c-2", "d-2")]), tmp_path)
    with pytest.raises(OSError, match="No space"):
        files.erase("c-1", tmp_path, NOON)
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {path.name, files.ERASED_FILE}


def test_one_at_a_time(tmp_path: Path) -> None:
    export(collect([labelled()]), tmp_path)
    with files.locked(tmp_path):
        for work in (lambda: export(collect([labelled()]), tmp_path), lambda: files.erase("c-1", tmp_path, 0)):
            with pytest.raises(OutcomesError, match="another export or erasure is at work here"):
                work()
    assert files.erase("c-1", tmp_path, 0).rows == 1


def everywhere(folder: Path) -> bytes:
    """The bytes and the cells of all files."""
    cells = b"".join(json.dumps(pq.read_table(path).to_pylist(), default=str).encode() for path in folder.rglob("*.parquet"))
    return cells + b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_an_erased_customer_is_gone_and_stays_gone(tmp_path: Path) -> None:
    out = tmp_path / "outcomes"
    records = [labelled(f"customer-{i % 3}", f"d-{i}", decided_at=NOON + i * DAY) for i in range(9)]
    records += [labelled("customer-1", "lonely", decided_at=NOON - DAY), unknown("customer-1", "i-x", "FAILED", NOON)]
    export(collect(records), out)
    export_training(from_paths([out]), out / "training", "treatment")
    (out / "other.parquet").write_bytes(b"")
    pq.write_table(pa.table({"n": [1]}), out / "other.parquet")
    untouched = (out / "outcomes-2026-03-01.parquet").read_bytes()
    assert b"customer-1" in everywhere(out)
    (out / ".outcomes-2026-03-02.parquet.partial").write_bytes(b"customer-1, of an export that was killed")

    now = NOON + 100 * DAY
    done = files.erase("customer-1", out, now)
    # Four rows, an unknown outcome, a row and a label for training; 10 days, the unknown, two of training, and one without customers.
    assert (done.rows, done.files, done.looked_into, done.without_customers) == (7, 7, 14, 1)
    assert b"customer-1" not in everywhere(out)
    assert not (out / "outcomes-2026-02-28.parquet").exists(), "the only row of that day"
    assert (out / "outcomes-2026-03-01.parquet").read_bytes() == untouched
    assert {row["customer_id"] for row in rows(out)} == {"customer-0", "customer-2"}
    assert pq.read_table(out / "training" / "features.parquet").num_rows == 2

    again = [*records, *(labelled("customer-1", name, decided_at=now + i) for i, name in enumerate(["old", "new"]))]
    export(collect(again), out)
    assert [row["decision_id"] for row in rows(out) if row["customer_id"] == "customer-1"] == ["new"], "a customer who came back"
    assert not (out / files.UNKNOWN_FILE).exists()
    export_training(collect(records), out / "training", "treatment")
    assert training(out / "training").keys() == {"customer-0", "customer-2"}
    assert files.erase("nobody", out, now).rows == 0


def test_erase_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    export(collect([labelled()]), path)
    assert files.erase("c-1", path, NOON + DAY).rows == 1
    assert pq.read_table(path).num_rows == 0
    export(collect([labelled(), labelled("c-2", "d-2")]), path)
    assert [row["customer_id"] for row in rows(path)] == ["c-2"]


def test_erase_in_files_of_others(tmp_path: Path) -> None:
    ids = pa.array(["7", "8", None, "7"])
    for name, column in (("category", ids.dictionary_encode()), ("number", ids.cast(pa.int64())), ("none", pa.array([], pa.string()))):
        pq.write_table(pa.table({"customer_id": column, "n": list(range(len(column)))}), tmp_path / f"{name}.parquet")
    done = files.erase("7", tmp_path, 0)
    assert (done.rows, done.files, done.looked_into) == (4, 2, 3)
    for name in ("category", "number"):
        assert pq.read_table(tmp_path / f"{name}.parquet")["n"].to_pylist() == [1, 2]


def test_what_cannot_be_erased_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match="no such folder or file; check --dir"):
        files.erase("c", tmp_path / "absent", 0)
    (tmp_path / "x.csv").write_text("customer_id\nc\n")
    with pytest.raises(OutcomesError, match="expected a folder, or one file"):
        files.erase("c", tmp_path / "x.csv", 0)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1c-1")
    with pytest.raises(OutcomesError, match=r"torn\.parquet: cannot be read, so the customer may still be in it"):
        files.erase("c", tmp_path, 0)
    (tmp_path / files.ERASED_FILE).write_text("[]")
    with pytest.raises(OutcomesError, match="without it, erased customers come back"):
        export(collect([labelled()]), tmp_path)


def test_lines_of_files(tmp_path: Path) -> None:
    path = tmp_path / "labelled-outcomes.jsonl"
    records = [labelled(outcomes=["ACCEPTED"]), labelled("ü", "d-2", arm="CONTROL", label="CHURNED", value=1)]
    path.write_text("\n".join(map(to_json, records)) + "\n\n", encoding="utf-8")
    assert list(from_lines(path)) == records
    for number, (line, words) in enumerate([
        ("{", "no record of LabelledOutcome"),
        (to_json(labelled(status="LANDING")), "LANDING"),
        (to_json({name: value for name, value in labelled().items() if name != "arm"}), "arm"),
        ('{"type":"Call"}', "the fields do not make a LabelledOutcome"),
        ("[]", "the fields do not make"),
    ]):  # fmt: skip
        wrong = tmp_path / f"{number}.jsonl"
        wrong.write_text(to_json(records[0]) + "\n" + line + "\n")
        with pytest.raises(OutcomesError, match=words) as error:
            list(from_lines(wrong))
        assert str(error.value).startswith(f"{wrong}:2: ")
    with pytest.raises(OutcomesError, match=r"absent\.jsonl: cannot be read: No such file"):
        list(from_lines(tmp_path / "absent.jsonl"))
    with pytest.raises(OutcomesError, match="expected a folder or file that `keepline outcomes export` wrote"):
        from_paths([tmp_path])


def test_many_records_become_several_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "AT_ONCE", 3)
    records = [labelled(f"c-{i}", f"d-{i}", features={f"f{i}": 1.0}, decided_at=NOON + i % 2 * DAY) for i in range(10)]
    found = collect([*records, None])
    assert (len(found.tables), found.read, found.unreadable) == (4, 11, 1)
    assert export(found, tmp_path).rows == 10
    assert without_nulls(rows(tmp_path)) == without_nulls(naive(records))


def training(folder: Path) -> dict[str, tuple[str, float, int]]:
    features, labels = (pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("features", "labels"))
    assert (
        [row["customer_id"] for row in features] == [row["customer_id"] for row in labels] == sorted(row["customer_id"] for row in labels)
    )
    return {row["customer_id"]: (row["at"], row["calls_7d"], label["label"]) for row, label in zip(features, labels, strict=True)}


def test_training_rows_are_first_decisions_of_the_arm(tmp_path: Path) -> None:
    records = [
        labelled("b", "d-2", arm="CONTROL", decided_at=NOON + DAY, label="CHURNED", features={"calls_7d": 9.0}),
        labelled("b", "d-1", arm="CONTROL", features={"calls_7d": 1.0}),
        labelled("a", "d-3", arm="CONTROL", label="CHURNED", features={"calls_7d": 5.0}),
        labelled("t", "d-4", features={"calls_7d": 7.0}),
        labelled("e", "d-5", escalation=True),
        labelled("n", "d-6", arm="CONTROL", features={}),
        labelled("n", "d-7", arm="CONTROL", decided_at=NOON + DAY),
    ]
    told = export_training(collect(records), tmp_path / "c", "control")
    assert told == {"rows": 2, "churned": 1, "without_features": 1, "arm": "control", "unreadable": 0}
    assert training(tmp_path / "c") == {"a": ("2026-03-01T12:00:00Z", 5.0, 1), "b": ("2026-03-01T12:00:00Z", 1.0, 0)}
    assert pq.read_table(tmp_path / "c" / "features.parquet").column_names == ["customer_id", "at", *CHURN]
    export_training(collect(records), tmp_path / "t", "treatment")
    assert training(tmp_path / "t") == {"t": ("2026-03-01T12:00:00Z", 7.0, 0)}
    assert export_training(collect(records), tmp_path / "all", "all")["rows"] == 3
    with pytest.raises(OutcomesError, match="without a holdout there is no control arm"):
        export_training(collect([labelled()]), tmp_path / "x", "control")
    with pytest.raises(OutcomesError, match="expected a folder"):
        export_training(collect([labelled()]), tmp_path / "x.parquet", "all")


def test_training_rows_of_several_sets_are_churns(tmp_path: Path) -> None:
    """The columns of the other set are in the rows, for whoever asks for them, and not in those that `train churn` takes."""
    records = [
        labelled("a", "d-1", features={"calls_7d": 1.0, "orders": 2.0, "own": 4.0}),
        labelled("b", "d-2", score="clv_bgnbd", features={"calls_7d": 3.0, "orders": 5.0, "own": 6.0}),
    ]
    export_training(collect(records), tmp_path / "t", "treatment")
    assert pq.read_table(tmp_path / "t" / "features.parquet").column_names == ["customer_id", "at", *CHURN, "own"]
    assert training(tmp_path / "t") == {"a": ("2026-03-01T12:00:00Z", 1.0, 0), "b": ("2026-03-01T12:00:00Z", 3.0, 0)}
    export(collect(records), tmp_path / "all")
    assert {"orders", "calls_7d", "own"} <= rows(tmp_path / "all")[0].keys()
    # Where churn is not scored, the columns are what there is.
    export_training(collect([labelled("a", features={"orders": 2.0})]), tmp_path / "v", "treatment")
    assert "orders" in pq.read_table(tmp_path / "v" / "features.parquet").column_names


def test_uplift_counts_a_customer_once_a_group(tmp_path: Path) -> None:
    records = [
        labelled("a", "1", arm="CONTROL", label="CHURNED"),
        labelled("b", "2", label="RETAINED", outcomes=["FAILED"]),
        labelled("b", "3", label="CHURNED", decided_at=NOON + DAY, outcomes=["DECLINED"]),
        labelled("b", "4", label="CHURNED", decided_at=NOON + 2 * DAY, kind="call"),
        labelled("c", "5", label="CHURNED", outcomes=["COMPLAINED", "DECLINED"]),
        labelled("c", "6", kind="support_ticket", escalation=True),
        labelled("d", "7", programme="", trigger="OVERDUE"),
        unknown("e", "i-x", "CHURNED", NOON),
    ]
    random.Random(3).shuffle(records)
    export(collect(records), tmp_path)
    found = measure(tmp_path)
    assert (found.rows, found.repeated, found.escalations) == (7, 1, 1)
    told = {tuple(each.group): (each.control, each.treatment) for each in found.effects}
    assert list(told) == [("", "sms_discount", "OVERDUE"), ("p", "", ""), ("p", "call", "AT_RISK"), ("p", "sms_discount", "AT_RISK")]
    control, treatment = told["p", "sms_discount", "AT_RISK"]
    assert (control.customers, control.churned) == (1, 1)
    assert (treatment.customers, treatment.churned, treatment.failed, treatment.declined) == (2, 1, 1, 1)
    assert told["p", "", ""] == (control, treatment), "b by the first decision of all kinds"
    assert told["p", "call", "AT_RISK"][1].churned == 1
    assert told["", "sms_discount", "OVERDUE"][0].customers == 0


def test_uplift_finds_what_was_put_in(tmp_path: Path) -> None:
    """A programme that keeps half of those who would leave, in 4,000 simulated customers: the interval covers it, and leaves 0 out."""
    dice = random.Random(11)
    records = []
    for i in range(4000):
        arm = "CONTROL" if dice.random() < 0.25 else "TREATMENT"
        left = dice.random() < (0.2 if arm == "CONTROL" else 0.1)
        records.append(labelled(f"c{i}", f"d{i}", arm=arm, label="CHURNED" if left else "RETAINED", decided_at=NOON + i * 900_000))
    export(collect(records), tmp_path)
    (found,) = measure(tmp_path).effects
    assert found.interval is not None
    assert 0 < found.interval.low < 0.1 < found.interval.high < 0.2
    assert not found.warnings


def test_nothing_landed(tmp_path: Path) -> None:
    export(collect([]), tmp_path / "o.parquet")
    with pytest.raises(OutcomesError, match="no landed decision: an outcome is known when"):
        measure(tmp_path / "o.parquet")
    pq.write_table(pa.table({"customer_id": ["c"]}), tmp_path / "outcomes-x.parquet")
    with pytest.raises(OutcomesError, match="decision_id is missing or no string: expected a file of `keepline outcomes export`"):
        measure(tmp_path)
