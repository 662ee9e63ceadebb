"""Two versions of one job on the same TaskManagers: each runs its own code, side by side and after an upgrade from a savepoint.

Version 2 is a copy of the sources that ends every offer's text with thanks and has one more feature in the table, so another layout of the
state; its model gives that feature no weight. The TaskManagers have loaded version 1 by then.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs.cluster.named import live as live_jobs
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.models.manifest import checksum
from keepline.operators.jar import jar_path
from tests.jobs.models_for_tests import manifest
from tests.whole.history import whole_history
from tests.whole.policies import policy_file
from tests.whole.support import (
    Outputs,
    assert_equal,
    drained,
    environment,
    flat,
    live,
    replayed,
    send,
    settings_file,
    topics,
    wait,
)  # fmt: skip

THANKS = ", and thanks"
WIDER = ("failed_calls_24h", "failed_calls_7d")
TABLE = "features/churn.py"
EDITS = (
    ("models/contact/records.py", '"offer": proposal.offer,', f'"offer": proposal.offer + "{THANKS}",'),
    (TABLE, "    version=1,\n", "    version=2,\n    state_version=2,\n"),
    # One more cached sum in two rings: nearly every number behind them moves.
    (TABLE, 'MOBILE"),\n', 'MOBILE"),\n        *over("failed_calls", FAILED, H24, D7),\n'),
    (TABLE, "DATA_MB =", 'FAILED = Measure("Call", where=OneOf("outcome", ("FAILED",)))\nDATA_MB ='),
)


class Version:
    """The commands of a copy of the sources, with some texts replaced."""

    def __init__(self, folder: Path, flink: FlinkCluster, *edits: tuple[str, str, str]) -> None:
        self._flink, self._folder = flink, folder
        ignore = shutil.ignore_patterns("jvm", "__pycache__", "target")
        shutil.copytree(ROOT / "keepline", folder / "keepline", ignore=ignore)
        for path, old, new in edits:
            file = folder / "keepline" / path
            text = file.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{path} has {text.count(old)} times {old!r}"
            file.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        places = {"PYTHONPATH": str(self._folder), "KEEPLINE_JAR": str(jar_path()), "KEEPLINE_FLINK_URL": self._flink.rest.url}
        return subprocess.run(
            [sys.executable, "-m", "keepline.jobs.cli.main", *words], capture_output=True, text=True, check=False, timeout=420,
            env={key: value for key, value in environment().items() if not key.startswith("PYTEST_")} | places, cwd=self._folder,
        )  # fmt: skip

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr + self._flink.logs()
        return json.loads(done.stdout)


def wider_model(folder: Path) -> Path:
    """The model of the tests for version 2's table, with no weight on what is new."""
    raw = manifest()
    for name in WIDER:
        raw["columns"].append(name)
        raw["terms"].append({**raw["terms"][0], "name": name, "coefficient": 0.0})
        raw["baseline"][name] = raw["baseline"]["messages_24h"]
    raw["feature_set"]["version"] = 2
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(raw | {"sha256": checksum(raw)}), encoding="utf-8")
    return folder


def with_thanks(outputs: Outputs) -> Outputs:
    """As the other version would have made them: the offer's text is all that differs."""
    changed: Outputs = json.loads(json.dumps(outputs))
    for record in flat(changed["interventions"]):
        record["offer"] += THANKS
    return changed


def narrow(outputs: Outputs) -> Outputs:
    """Without what only version 2 has among the features of a decision."""
    for record in flat(outputs["labelled-outcomes"]):
        record["features"] = {name: value for name, value in record["features"].items() if name not in WIDER}
    return outputs


def joined(first: Outputs, whole: Outputs) -> Outputs:
    """What was there before an upgrade, and then what the new version makes."""
    joint: Outputs = {}
    for channel, made in whole.items():
        begun = {customer: first[channel].get(customer, []) for customer in made}
        joint[channel] = {customer: [*begun[customer], *records[len(begun[customer]) :]] for customer, records in made.items()}
    return joint


def offers_after(first: Outputs, whole: Outputs) -> dict[str, list[dict[str, Any]]]:
    """The interventions that the first part did not hold."""
    return {customer: made[len(first["interventions"].get(customer, [])) :] for customer, made in whole["interventions"].items()}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_runs_its_own_code(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    records = whole_history(seed=31, customers=60, partitions=2, per_day=300, silence=20)
    topic, half = topics(kafka, name, 2), len(records) // 2
    other = f"{name}-two"
    topics(kafka, other, 2)
    send(kafka, topic, records[:half])

    wider, policy = wider_model(tmp_path / "wider"), policy_file(tmp_path)

    def file(job_name: str, version: Path) -> str:
        (tmp_path / version.name).mkdir(exist_ok=True)
        return str(
            settings_file(
                tmp_path / version.name, job_name=job_name, bootstrap_servers=kafka.bootstrap_servers, topics=topic,
                output_prefix=job_name, redis_url="", model=str(version), emit="every", idle_after="0s", checkpoint_interval="500ms",
                policy=str(policy),
            )
        )  # fmt: skip

    wanted = RetentionSettings(model=model, emit="every", policy=policy)
    one, two = Version(tmp_path / "one", flink), Version(tmp_path / "two", flink, *EDITS)
    broken = Version(
        tmp_path / "broken", flink, ("operators/customer.py", "import numpy as np\n", "import no_such_module\nimport numpy as np\n")
    )
    try:
        first = one.json("submit", "retention", "--config", file(name, model))
        # A table with another layout under the old state version would write states that nobody can tell apart.
        unkept = two.run("submit", "retention", "--config", file(other, wider))
        assert unkept.returncode == 2
        assert "keepline features layout churn --write" in unkept.stderr
        assert two.run("features", "layout", "churn", "--write").returncode == 0
        second = two.json("submit", "retention", "--config", file(other, wider))
        for job, job_name in ((first, name), (second, other)):
            drained(kafka, flink.rest, job["job"], topic, job_name, 240)
        codes = {status["name"]: status["code"] for status in two.json("status")}
        assert codes[name] != codes[other]

        before = replayed(wanted, records[:half], tmp_path / "half")
        assert flat(before["interventions"])
        assert_equal(live(kafka, name), before)
        assert_equal(narrow(live(kafka, other)), with_thanks(before))

        # Upgrade: version 2 goes on from version 1's savepoint, on TaskManagers that have run version 1. Every state is carried over.
        upgraded = two.json("restore", "retention", name, "--stop", "--config", file(name, wider))
        assert "savepoint" in upgraded["restored"]
        send(kafka, topic, records[half:])
        for job, job_name in ((upgraded, name), (second, other)):
            drained(kafka, flink.rest, job["job"], topic, job_name, 240)
        whole = replayed(wanted, records, tmp_path / "whole")
        assert_equal(narrow(live(kafka, name)), joined(before, with_thanks(whole)))
        held = sum(made[-1]["result"] == "HELD" for made in before["decisions"].values())
        assert held, "no offer was held over the upgrade, for the other code to make"
        later = [record for made in offers_after(before, whole).values() for record in made]
        assert len(later) > held, "no offer was made after the upgrade that could show which code made it"
        assert_equal(narrow(live(kafka, other)), with_thanks(whole))

        # Code that cannot be loaded fails its own job at once, with the reason, and nobody else's.
        two.json("stop", other, "--cancel")
        refused = broken.run("submit", "retention", "--config", file(other, model), "--fresh")
        assert refused.returncode == 2
        assert "cannot start" in refused.stderr, refused.stderr
        assert "no_such_module" in refused.stderr
        assert not live_jobs(flink.rest, other)
        wait("the upgraded job runs on", lambda: flink.rest.all_running(upgraded["job"]))
    except BaseException:
        print(flink.logs())
        raise
    finally:
        for job_name in (name, other):
            for job in live_jobs(flink.rest, job_name):
                flink.rest.cancel(job["jid"])
                flink.rest.wait(job["jid"])
