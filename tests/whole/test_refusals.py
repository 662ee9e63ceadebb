"""What is wrong with a job's configuration is said at submit, in one line, within seconds, with what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.operators.spec import CHANNELS
from tests.whole.support import KEEPLINE, command, topics

BROKEN = [
    (["--model", "nowhere"], "No model at nowhere"),
    (["--emit", "sometimes"], "emit"),
    (["--kafka", "nonsense"], "nonsense"),
    (["--topics", ""], "topics"),
    (["--checkpoint-interval", "1h"], "--checkpoint-interval = '1h': expected 10ms to 10m"),
]


@pytest.mark.parametrize(("flags", "words"), BROKEN, ids=[flags[0] for flags, _ in BROKEN])
def test_a_wrong_setting(flags: list[str], words: str) -> None:
    done = command("run", "retention", *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("error: "), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_names_the_nearest(tmp_path: Path) -> None:
    done = command("run", "retention", KEEPLINE_REDIS_ULR="redis://localhost")
    assert done.returncode == 2
    assert "KEEPLINE_REDIS_URL" in done.stderr
    file = tmp_path / "job.toml"
    file.write_text('bootstrap_server = "a:1"\n')
    done = command("run", "retention", "--config", str(file))
    assert done.returncode == 2
    assert "bootstrap_servers" in done.stderr
    assert str(file) in done.stderr


def test_an_altered_model(model: Path, tmp_path: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["intercept"] += 1e-9
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    done = command("run", "retention", "--model", str(tmp_path))
    assert done.returncode == 2
    assert "sha256" in done.stderr or "checksum" in done.stderr, done.stderr
    (tmp_path / "manifest.json").write_text("{")
    done = command("run", "retention", "--model", str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr


def test_missing_topics_are_named(kafka: EmbeddedKafka, name: str) -> None:
    topics(kafka, name)
    wanted = ["--bootstrap-servers", kafka.bootstrap_servers, "--topics", f"{name}.in,nobodys", "--output-prefix", "mine"]
    done = command("run", "retention", *wanted)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: Kafka at {kafka.bootstrap_servers} has no topic "), done.stderr
    assert f"{', '.join(sorted(f'mine.{channel}' for channel in CHANNELS))}, nobodys: create" in done.stderr
    assert "kafka-topics.sh --create" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_broker() -> None:
    (port,) = free_ports(1)
    start = time.monotonic()
    done = command("run", "retention", "--bootstrap-servers", f"127.0.0.1:{port}")
    assert time.monotonic() - start < 40
    assert done.returncode == 2, f"{KEEPLINE}: {done.stderr}"
    assert done.stderr.startswith(f"error: Kafka at 127.0.0.1:{port} does not say within 10 s"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
