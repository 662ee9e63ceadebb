"""flink-conf/: every file parses, every key and value is one that Flink itself takes, and the job's lines are settings of the job."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from keepline.jobs import settings
from keepline.jobs.cluster import profiles
from keepline.jobs.cluster.distribution import CONF, flink_home
from keepline.jobs.cluster.rest import ClusterError
from keepline.jobs.stack.java import java
from tests.cli.conftest import Command, keepline  # noqa: F401 - a fixture

PLUGIN = re.compile(r"metrics\.reporter\.(prom\.(factory\.class|port|filterLabelValueCharacters)|warm\.(factory\.class|python))")
"""Keys that the reporter of metrics for Prometheus and the warm standby read by themselves; they are no declared options."""
FILES = (profiles.BASE, *profiles.PROFILES, *profiles.ADDITIONS)


def told_by_flink(values: dict[str, str], folder: Path) -> list[str]:
    """What Flink has against settings, by its own declared options."""
    given = folder / "settings"
    given.write_text("".join(f"{key}={value}\n" for key, value in values.items()), encoding="utf-8")
    path = f"{flink_home() / 'lib' / '*'}:{next((flink_home() / 'opt').glob('flink-python*.jar'))}"
    program = Path(__file__).parent / "java" / "FlinkKeys.java"
    done = subprocess.run([java(), "-cp", path, program, given], capture_output=True, text=True, timeout=120, check=True)
    first, *rest = done.stdout.splitlines()
    assert int(first.removeprefix("known ")) > 1000, done.stdout
    return rest


def test_no_file_is_forgotten() -> None:
    assert {path.name for path in CONF.iterdir()} == {f"{name}.yaml" for name in FILES}


def test_flink_takes_every_setting(tmp_path: Path) -> None:
    values = {f"{name} {key}": value for name in FILES for key, value in profiles.settings_of(name).items() if not PLUGIN.fullmatch(key)}
    assert len(values) > 50
    for name in FILES:
        mine = {key.split()[1]: value for key, value in values.items() if key.split()[0] == name}
        job = tomllib.loads(profiles.job_settings(name)).get("flink", {})
        assert told_by_flink(mine | job, tmp_path) == [], name


def test_what_flink_does_not_take_is_seen(tmp_path: Path) -> None:
    wrong = {"heartbeat.timeuot": "5", "heartbeat.timeout": "soon", "rest.port": "8081"}
    told = told_by_flink(wrong, tmp_path)
    assert told[0] == "unknown heartbeat.timeuot"
    assert told[1].startswith("refused heartbeat.timeout=soon")
    assert len(told) == 2


@pytest.mark.parametrize("name", [*profiles.PROFILES, *profiles.ADDITIONS])
def test_a_profile_changes_the_base_and_says_why(name: str) -> None:
    base, own = profiles.settings_of(profiles.BASE), profiles.settings_of(name)
    assert own
    assert not [key for key, value in own.items() if base.get(key) == value], "as in config.yaml"
    whole = profiles.whole(name)
    assert whole["classloader.parent-first-patterns.additional"] == "pemja"
    assert "--add-opens=java.base/java.nio=ALL-UNNAMED" in whole["env.java.opts.all"]
    assert whole["execution.checkpointing.dir"]
    assert whole["python.execution-mode"] == "thread"
    assert "env.java.opts.all" not in own
    # Every block of settings has a comment above it or behind it.
    for block in re.split(r"\n\s*\n", (CONF / f"{name}.yaml").read_text()):
        assert "#" in block, block


@pytest.mark.parametrize("name", profiles.PROFILES)
def test_the_jobs_lines_are_settings_of_the_job(name: str, tmp_path: Path) -> None:
    file = tmp_path / "keepline.toml"
    file.write_text(profiles.job_settings(name))
    told = settings.load({}, environment={}, config=file)
    default = settings.RetentionSettings()
    assert told.checkpoint_interval != default.checkpoint_interval
    assert told.kafka


def test_conf_prints_one_file_that_flink_reads(keepline: Command) -> None:  # noqa: F811
    import yaml

    done = keepline("conf", "throughput")
    assert profiles.flat(yaml.safe_load(done.out)) == profiles.whole("throughput")
    assert tomllib.loads(keepline("conf", "throughput", "--job").out)["checkpoint_interval"] == "5s"
    together = profiles.flat(yaml.safe_load(keepline("conf", "throughput", "high-availability").out))
    assert together == profiles.whole("throughput") | profiles.settings_of("high-availability")
    wrong = keepline("conf", "fast")
    assert (wrong.code, wrong.out) == (2, "")
    assert "no profile 'fast'; there are low-latency" in wrong.err
    with pytest.raises(ClusterError):
        profiles.settings_of("../config")
