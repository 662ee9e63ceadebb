"""`keepline demo` as a user runs it, with few customers: the figures of its end, and that nothing is left behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from keepline.jobs.demo import dataset
from keepline.jobs.demo.outputs import Outputs
from keepline.jobs.demo.running import PREFIX, START_SECONDS, Running
from keepline.jobs.stack.process import StackError
from tests.whole.demos import of_mark, start
from tests.whole.support import wait

CUSTOMERS = 60
pytestmark = pytest.mark.slow


@pytest.mark.timeout(400)
def test_a_short_demo(tmp_path: Path, mark: str) -> None:
    demo = start(tmp_path, mark, "--customers", str(CUSTOMERS), "--seconds", "4", "--out", str(tmp_path / "figures.json"))
    status = demo.wait(360)
    told = (tmp_path / "out.txt").read_text()
    assert status == 0, told
    wait("the guards of its processes have ended too", lambda: not of_mark(mark), 15)
    assert not list((tmp_path / "tmp").glob("keepline-*"))

    table = dataset.customers("held-back").head(CUSTOMERS)
    left = int(dataset.labels("held-back").loc[table.index].sum())
    figures = json.loads((tmp_path / "figures.json").read_text())
    month = sum(1 for _ in dataset.events(table))
    assert figures["customers"] == CUSTOMERS
    assert figures["events"] == figures["events_scored"] == figures["scores_of_events"] == month + left
    assert figures["scores_of_silent_customers"] > CUSTOMERS
    assert figures["every_event_scored_once"] is True
    assert figures["dead_letters_and_late_events"] == 0
    assert figures["scores_equal_scikit_learn"] is True
    assert figures["largest_difference_to_scikit_learn"] <= 1e-9
    assert figures["live_events_measured"] > month / 3
    assert figures["created_to_redis_ms"]["p50"] > 0

    sent = figures["simulated_crm"]["outcomes_sent"]
    assert figures["interventions"] == figures["decisions_by_result"]["EMITTED"] > 10
    assert 0 < sent["DELIVERED"] + sent.get("FAILED", 0) <= figures["interventions"]
    assert figures["simulated_crm"]["interventions_repeated"] == 0
    assert figures["holds"]["held"] > 0
    assert figures["suppressed_by_reason"]["NO_MARKETING_CONSENT"] > 0
    assert figures["control_group"]["customers"] > 0
    assert figures["labelled"]["by_status"]["LANDED"] > 5
    assert figures["labelled"]["outcomes_joined"]["DELIVERED"] > 0

    erased = figures["erased"]
    assert erased["customer_id"] in table.index
    assert erased["receipt"]["request_id"] == f"request-{erased['customer_id']}"
    assert erased["receipt"]["counts"]["customer_state"] == erased["receipt"]["counts"]["contact_state"] == 1
    assert (erased["keys_before"], erased["keys_after"]) == (3, 0)
    assert figures["explained"].startswith("mlc-")
    assert "Because:" in figures["explained"]

    assert max(map(len, told.splitlines())) <= 100
    for part in ("simulated CRM", "What the policy decided", "keepline explain", "One customer erased", "equal to scikit-learn's"):
        assert part in told


@pytest.mark.timeout(240)
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, mark: str) -> None:
    demo = start(tmp_path, mark, "--customers", "20")
    wait("Flink starts", lambda: "Flink starts the job" in (tmp_path / "out.txt").read_text() or demo.poll() is not None, 120)
    assert demo.poll() is None, (tmp_path / "out.txt").read_text()
    assert len(of_mark(mark)) > 3, "Kafka, Redis and the job run"
    time.sleep(1)
    os.kill(demo.pid, signal.SIGINT)
    assert demo.wait(60) == 130
    wait("no process is left", lambda: not of_mark(mark), 20)


@pytest.mark.timeout(240)
def test_a_wait_in_vain_says_where_the_job_is() -> None:
    with Running(partitions=1) as demo:
        demo.start([], lambda servers: Outputs(servers, PREFIX, lambda _: None))
        demo.until(demo.started, START_SECONDS, "the job did not start")
        wanted = r"nothing came \(within 1 s; 0 of 0 records are committed; restarts: 0; checkpoints: {.*'failed': .*}\)\. Its log ends:"
        with pytest.raises(StackError, match=wanted):
            demo.until(lambda: False, 1, "nothing came")
