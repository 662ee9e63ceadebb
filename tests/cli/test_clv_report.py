"""`keepline clv report` as users run it: on CDNOW, Online Retail, and on what is too little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from keepline.models.clv.report.page import day
from keepline.models.clv.summary import DAY_MS
from tests.cli.conftest import Command, write_lines
from tests.models.clv.clv_files import cdnow
from tests.models.clv.page_checks import Page, check
from tests.models.clv.test_report_page import shop

UNTIL = "1997-09-30T23:59:59Z"


def made(path: Path) -> Page:
    return check(path.read_text(encoding="utf-8"))


@pytest.fixture
def events(tmp_path: Path) -> Path:
    purchases = shop()
    lines = zip(purchases.customer, purchases.time, purchases.amount, strict=True)
    return write_lines(
        tmp_path / "e.jsonl", [purchase(f"c{who}", number, int(time), float(a)) for number, (who, time, a) in enumerate(lines)]
    )


def purchase(customer: str, number: int, time: int | str, amount: float) -> dict[str, Any]:
    fields = {"customer_id": customer, "event_id": f"{customer}-{number}", "event_time": time, "order_id": f"o{number}", "amount": amount}
    return {"type": "Purchase"} | fields


def test_fits_to_sixty_percent_of_the_time_and_says_so(keepline: Command, events: Path, tmp_path: Path) -> None:
    done = keepline("clv", "report", "--events", events, "--out", "r.html", "--json")
    assert done.code == 0, done.err
    times, orders = shop().time, shop().amount >= 0
    first, last = int(times[orders].min()), int(times[orders].max())
    until = int(first + 0.6 * (last - first)) // DAY_MS * DAY_MS + DAY_MS - 1
    assert done.json["until"] == until
    said = made(tmp_path / "r.html").text()
    assert f"until {day(until)}, where 60% of the time is over" in said
    assert f"The {done.json['holdout']['days']} days after it check the model." in said


def test_is_of_the_model_that_fit_writes(keepline: Command, events: Path, tmp_path: Path) -> None:
    until = "2026-05-10T12:00:00Z"
    options = ("--margin", 0.4, "--horizon", 6)
    fitted = keepline("clv", "fit", "--events", events, "--until", until, "--out", "model", *options, "--json")
    own = keepline("clv", "report", "--events", events, "--until", until, "--out", "own.html", *options, "--json").json
    given = keepline("clv", "report", "--events", events, "--model", "model", "--out", "given.html", "--json").json
    for name in ("bgnbd", "gamma_gamma", "data", "bands", "deciles", "horizon"):
        assert own["model"][name] == given["model"][name] == fitted.json[name], name
    for name in ("holdout", "segments", "customers", "until"):
        assert own[name] == given[name], name
    assert own["input"]["fitted"] is True
    shown = keepline("clv", "report", "--events", events, "--model", "model", "--out", "given.html")
    assert f"{own['holdout']['actual']:,.0f} came" in shown.out
    assert "at work on the orders" in made(tmp_path / "given.html").text()
    later = keepline(
        "clv", "report", "--events", events, "--model", "model", "--until", "2026-06-01T00:00:00Z", "--out", "x.html", "--json"
    )
    assert later.json["holdout"]["days"] < own["holdout"]["days"]


def test_what_comes_after_until_is_not_fitted_on(keepline: Command, events: Path, tmp_path: Path) -> None:
    until = "2026-05-10T12:00:00Z"
    more = write_lines(tmp_path / "more.jsonl", [purchase(f"new{i}", i, "2026-06-15T10:00:00Z", 50.0) for i in range(30)])
    found = [
        keepline("clv", "report", *paths, "--until", until, "--out", "r.html", "--json").json
        for paths in (("--events", events), ("--events", events, "--events", more))
    ]
    assert found[0]["model"]["bgnbd"] == found[1]["model"]["bgnbd"]
    assert found[0]["customers"] == found[1]["customers"]


def test_errors_say_what_to_do(keepline: Command, events: Path, tmp_path: Path) -> None:
    def error(*args: object, out: str = "r.html") -> str:
        done = keepline("clv", "report", "--out", out, *args)
        assert done.code == 2
        assert done.err.startswith("error: ")
        assert not (tmp_path / out).exists()
        return done.err

    empty = write_lines(tmp_path / "empty.jsonl", [])
    refunds = write_lines(tmp_path / "refunds.jsonl", [purchase("a", 1, "2026-01-01T00:00:00Z", -5.0)])
    once = write_lines(tmp_path / "once.jsonl", [purchase("a", 1, "2026-01-01T00:00:00Z", 5.0)])
    assert "no order (Purchase with amount ≥ 0) in 0 events" in error("--events", empty)
    assert "no order" in error("--events", refunds)
    assert "No customer has a repeat purchase" in error("--events", once)
    assert "expected a name that ends in .html" in error("--events", events, out="r.pdf")
    assert "the first is at" in error("--events", events, "--until", "2020-01-01T00:00:00Z")
    assert keepline("clv", "fit", "--events", events, "--until", "2026-05-10T12:00:00Z", "--out", "model").code == 0
    assert "it has seen what it is to predict" in error("--events", events, "--model", "model", "--until", "2026-04-01T00:00:00Z")
    assert "--horizon is for a fit" in error("--events", events, "--model", "model", "--horizon", 6)
    assert "It must be a folder that `keepline train clv` wrote" in error("--events", events, "--regression", "model")


def test_one_customer_makes_a_page(keepline: Command, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "e.jsonl", [purchase("a", i, f"2026-01-{3 * i + 1:02}T09:00:00Z", 5.0 + i) for i in range(6)])
    done = keepline("clv", "report", "--events", source, "--out", "folder/r.html")
    assert done.code == 0, done.err
    assert "Fitted on 1 customers only" in made(tmp_path / "folder" / "r.html").text()


def test_cdnow(keepline: Command, shared_data: Path, tmp_path: Path) -> None:
    """The published figures of the holdout, weeks 40 to 78, stand on the page; a regression stands beside them."""
    source = write_lines(tmp_path / "cdnow.jsonl", cdnow(shared_data))
    for command in (
        ("labels", "--events", source, "--at", UNTIL, "--horizon", "273d", "--out", "labels.csv"),
        ("fit", "--events", source, "--until", UNTIL, "--out", "model"),
    ):
        assert keepline("clv", *command).code == 0
    assert keepline("features", "clv", "--events", source, "--at", "labels.csv", "--out", "rows.csv").code == 0
    assert keepline("train", "clv", "--rows", "rows.csv", "--labels", "labels.csv", "--out", "regression").code == 0
    assert keepline("predict", "--model", "regression", "--features", "rows.csv", "--out", "amounts.csv").code == 0

    done = keepline("clv", "report", "--events", source, "--model", "model", "--regression", "regression", "--out", "r.html", "--json")
    assert done.code == 0, done.err
    ahead = done.json["holdout"]
    assert (ahead["days"], ahead["actual"], round(ahead["expected"]), round(ahead["mae"], 3)) == (273, 1882, 1653, 0.785)
    assert (round(ahead["naive"]), round(ahead["naive_mae"], 3)) == (2930, 1.024)
    page = made(tmp_path / "r.html")
    assert ["BG/NBD", "1,653", "1,882", "0.785"] in page.cells
    assert ["naive rate", "2,930", "1,882", "1.024"] in page.cells
    assert "1,882 repeat purchases came, and 1,653 were expected, 12% fewer than came" in page.text()
    assert ["BG/NBD a", "0.7929", "0.1857"] in page.cells
    published = pd.read_csv(shared_data / "clv" / "cdnow_customers_summary.csv.gz")["frequency"].clip(upper=7).value_counts()
    assert {group["repeats"]: group["customers"] for group in ahead["groups"]} == published.to_dict()
    amounts, labels = pd.read_csv(tmp_path / "amounts.csv")["amount"], pd.read_csv(tmp_path / "labels.csv")["revenue"]
    regression = ahead["methods"]["regression (tweedie)"]
    assert regression["mae"] == pytest.approx(float((amounts - labels).abs().mean()), rel=1e-9)
    assert regression["deciles"][0] == pytest.approx(float(labels[amounts.rank(method="first") > len(amounts) - 236].sum()), rel=0.01)
    assert sum(ahead["methods"]["naive rate"]["deciles"]) == pytest.approx(70_976.39, abs=0.01)


def test_online_retail_warns_on_the_page(keepline: Command, shared_data: Path, tmp_path: Path) -> None:
    lines = pd.read_csv(shared_data / "clv" / "uci_online_retail_to_2011_05.csv.gz", dtype={"CustomerID": str, "InvoiceNo": str})
    lines = lines[lines["CustomerID"].notna()].assign(amount=lambda t: t["Quantity"] * t["UnitPrice"])
    orders = lines.groupby(["CustomerID", "InvoiceNo"]).agg(amount=("amount", "sum"), date=("InvoiceDate", "min")).reset_index()
    orders = orders.sort_values("date", kind="stable")
    columns = (orders["CustomerID"], orders["InvoiceNo"], orders["date"], orders["amount"])
    events = [purchase(c, int(i.lstrip("C")), f"{d.replace(' ', 'T')}Z", a) for c, i, d, a in zip(*columns, strict=True)]
    done = keepline("clv", "report", "--events", write_lines(tmp_path / "e.jsonl", events), "--out", "r.html")
    assert done.code == 0, done.err
    assert "BG/NBD: degenerate" in done.out
    said = made(tmp_path / "r.html").text()
    assert "Dropout goes to zero" in said
    assert "BG/NBD degenerate" in said
