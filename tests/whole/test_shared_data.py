"""On real data with known answers, where it is at hand: what goes in is counted, what comes out is recomputed by other means.

Days and totals are the data's; the times of day are ours, from a hash of the record's id.
"""

from __future__ import annotations

import io
import json
import math
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from keepline.features.churn import CHURN
from keepline.features.oracle import training_row
from keepline.jobs.demo import dataset
from keepline.jobs.settings import PRETRAINED, RetentionSettings
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.schemas.times import to_rfc3339
from tests.whole.history import DAY, HOUR, closing, sent
from tests.whole.support import assert_equal, command, flat, live, replayed, run_job, send, topics

Events = list[dict[str, Any]]


def megaline(folder: Path) -> Events:
    """Calls, sessions and messages of users 1000–1249 as canonical events, by time."""
    events: Events = []
    for name, kind, date, amount in (
        ("calls", "Call", "call_date", "duration"),
        ("internet", "DataSession", "session_date", "mb_used"),
        ("messages", "Message", "message_date", ""),
    ):
        table = pd.read_csv(folder / "telecom" / f"megaline_{name}.csv.gz")
        days = pd.to_datetime(table[date], format="%d/%m/%Y").astype("int64") // 10**6
        for row, day in zip(table.to_dict("records"), days.tolist(), strict=True):
            event = {"type": kind, "customer_id": str(row["user_id"]), "event_id": f"{name}-{row['id']}"}
            event["event_time"] = day + zlib.crc32(event["event_id"].encode()) % DAY
            if kind == "Call":
                # Not rounded: a bill rounds each call up, and 0 is a call nobody took.
                event |= {"duration_s": row[amount] * 60, "outcome": "COMPLETED" if row[amount] else "FAILED"}
            elif kind == "DataSession":
                event["megabytes"] = row[amount]
            events.append(event)
    return sorted(events, key=lambda event: event["event_time"])


def month(time: int) -> pd.Period:
    return pd.Timestamp(time, unit="ms").to_period("M")


@pytest.fixture(scope="module")
def events(shared_data: Path) -> Events:
    return megaline(shared_data)


def test_megaline_totals(shared_data: Path, events: Events) -> None:
    """The published totals, from the events: nothing was lost or changed on the way in."""
    used: dict[tuple[str, pd.Period], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for event in events:
        use = used[event["customer_id"], month(event["event_time"])]
        if event["type"] == "Call":
            use[0] += math.ceil(round(event["duration_s"] / 60, 6))
        elif event["type"] == "Message":
            use[1] += 1
        else:
            use[2] += event["megabytes"]
    plans = pd.read_csv(shared_data / "telecom" / "megaline_plans.csv").set_index("plan_name")
    tariff = pd.read_csv(shared_data / "telecom" / "megaline_users.csv.gz", dtype={"user_id": str}).set_index("user_id")["tariff"]
    revenue, gigabytes = 0.0, 0
    for (user, _), (minutes, messages, megabytes) in used.items():
        plan, gb = plans.loc[tariff[user]], math.ceil(round(megabytes / 1024, 9))
        gigabytes += gb
        revenue += plan["usd_monthly_pay"] + plan["usd_per_gb"] * max(0, gb - plan["mb_per_month_included"] / 1024)
        revenue += plan["usd_per_minute"] * max(0, minutes - plan["minutes_included"])
        revenue += plan["usd_per_message"] * max(0, messages - plan["messages_included"])
    assert sum(event["type"] == "Call" for event in events) == 69_770
    assert sum(event["type"] == "Message" for event in events) == 37_747
    assert sum(use[0] for use in used.values()) == 498_563
    assert sum(use[2] for use in used.values()) == pytest.approx(20_195_928.04, abs=0.005)
    assert gigabytes == 20_309
    assert len({key for key, use in used.items() if any(use)}) == 1_173
    assert revenue == pytest.approx(76_163.47, abs=0.005)


def test_megaline_features(events: Events, tmp_path: Path) -> None:
    """`keepline features` at the ends of months: all customers' windows by pandas, some customers' whole rows by the oracle."""
    path, asked, out = tmp_path / "events.jsonl", tmp_path / "queries.csv", tmp_path / "rows.csv"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    table = pd.DataFrame(events)
    ends = [int(end.timestamp() * 1000) - 1 for end in pd.date_range("2018-02-01", "2019-01-01", freq="MS", tz="UTC")]
    pairs = [(user, end) for user in sorted(table["customer_id"].unique()) for end in ends]
    asked.write_text("customer_id,at\n" + "".join(f"{user},{to_rfc3339(end)}\n" for user, end in pairs))
    done = command("features", "churn", "--events", str(path), "--at", str(asked), "--out", str(out), "--json", timeout=100)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["events"], summary["rejected"], summary["duplicate"], summary["late"]) == (len(events), 0, 0, 0)
    rows = pd.read_csv(out, dtype={"customer_id": str})
    assert rows["customer_id"].tolist() == [user for user, _ in pairs]

    for end in ends:
        mine = rows[[at == end for _, at in pairs]]
        for label, length, hop in (("24h", DAY, HOUR), ("7d", 7 * DAY, DAY), ("30d", 30 * DAY, DAY)):
            part = table[(table["event_time"] >= (end - length) // hop * hop) & (table["event_time"] <= end)]
            for column, chosen, what in (
                (f"calls_{label}", part["type"] == "Call", None), (f"call_seconds_{label}", part["type"] == "Call", "duration_s"),
                (f"dropped_calls_{label}", part.get("outcome") == "FAILED", None), (f"messages_{label}", part["type"] == "Message", None),
                (f"data_mb_{label}", part["type"] == "DataSession", "megabytes"),
            ):  # fmt: skip
                groups = part[chosen].groupby("customer_id")
                wanted = (groups[what].sum() if what else groups.size()).reindex(mine["customer_id"], fill_value=0)
                np.testing.assert_allclose(mine[column], wanted, rtol=1e-6, atol=1e-6, err_msg=f"{column} at {end}")
    for user in sorted(table["customer_id"].unique())[::40]:
        own = [event for event in events if event["customer_id"] == user]
        for place in [number for number, (name, _) in enumerate(pairs) if name == user][::4]:
            wanted_row = training_row(own, pairs[place][1])
            for name in CHURN.names:
                assert rows.loc[place, name] == pytest.approx(wanted_row[name], rel=1e-6, abs=1e-6), (user, pairs[place][1], name)


@pytest.mark.slow
def test_megaline_through_the_job(events: Events, kafka: EmbeddedKafka, name: str, tmp_path: Path) -> None:
    """Fifteen users' year, with the committed model, live and replayed. The clock's last record ends it (test_live_equals_replay.py)."""
    some = sorted({event["customer_id"] for event in events})[:15]
    records = [sent(event, 1) for event in events if event["customer_id"] in some]
    records += closing(records, 1)
    topic = topics(kafka, name)
    send(kafka, topic, records)
    run_job(
        tmp_path, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name, "--redis-url", "",
        "--job-name", name, "--emit", "every", "--idle-after", "0s",
    )  # fmt: skip
    found = live(kafka, name)
    assert_equal(found, replayed(RetentionSettings(emit="every"), records, tmp_path))
    assert sum(bool(score["event_id"]) for score in flat(found["scores"])) == len(records)


def test_churn_rows_through_replay(shared_data: Path, tmp_path: Path) -> None:
    """Rows of the public churn data, each as a month of events: the windows hold the row's totals, the score is scikit-learn's on them."""
    table = pd.read_csv(shared_data / "churn" / "mlc_churn.csv.gz").rename(columns={"rownames": "row"}).iloc[::40]
    table.index = pd.Index("mlc-" + table["row"].astype(str).str.zfill(5), name="customer_id")
    events = list(dataset.events(table))
    outputs = replayed(RetentionSettings(emit="every", model=PRETRAINED), [sent(event, 1) for event in events], tmp_path)
    assert not flat(outputs["dead-letters"])
    assert not flat(outputs["late-events"])
    assert sum(bool(score["event_id"]) for score in flat(outputs["scores"])) == len(events)

    newest = pd.DataFrame(events).groupby("customer_id")["event_time"].max()
    asked, out = tmp_path / "queries.csv", tmp_path / "rows.csv"
    asked.write_text("customer_id,at\n" + "".join(f"{user},{to_rfc3339(int(newest[user]))}\n" for user in table.index))
    done = command("features", "churn", "--events", str(tmp_path / "events.jsonl"), "--at", str(asked), "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(out).set_index("customer_id")
    periods = list(dataset.PERIODS)

    def total(what: str) -> pd.Series:
        return table[[f"total_{period}_{what}" for period in periods]].sum(axis=1)

    np.testing.assert_array_equal(rows["calls_30d"], total("calls"))
    np.testing.assert_allclose(rows["call_seconds_30d"], total("minutes") * 60, rtol=1e-9)
    np.testing.assert_allclose(rows["last_bill_amount"], total("charge"), rtol=1e-9)
    np.testing.assert_array_equal(rows["messages_30d"], table["number_vmail_messages"])
    np.testing.assert_array_equal(rows["support_contacts_30d"], table["number_customer_service_calls"])

    pipeline = joblib.load(io.BytesIO((PRETRAINED / "model.joblib").read_bytes()))
    expected = pipeline.predict_proba(rows[list(CHURN.names)])[:, 1]
    last = [[score for score in outputs["scores"][user] if score["event_id"]][-1] for user in table.index]
    assert [score["as_of"] for score in last] == newest[table.index].tolist()
    np.testing.assert_allclose([score["value"] for score in last], expected, rtol=0, atol=1e-9)
    assert expected.max() - expected.min() > 0.3, "scores that hardly differ would prove little"
