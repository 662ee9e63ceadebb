"""The whole job over TLS, passwords and access lists: Kafka, Redis and Flink's own network, with the settings of docs/security.md alone.

`keepline produce` → job → `keepline tail`, as the document's users. Outputs are equal to a replay, Redis to the outputs, and no
password is to be seen where people look.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from redis import Redis

from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT, java
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from tests.secure.authority import Authority
from tests.secure.conftest import ADMIN_PASSWORD, REDIS_PASSWORD, SECRETS, TOOL_PASSWORD, Job, redis_client
from tests.secure.document import block
from tests.whole.history import START, whole_history
from tests.whole.support import assert_equal, assert_view_soon, command, drained, flat, live, replayed, send, wait

RETENTION = ROOT / "jobs" / "retention.py"
FLINK_PASSWORD = "flink-password-5"


@pytest.fixture
def flink(tmp_path: Path) -> Iterator[FlinkCluster]:
    """Two TaskManagers, so that records cross Flink's network, which is encrypted as the document says."""
    store = tmp_path / "internal.p12"
    keytool = Path(java()).resolve().with_name("keytool")
    made = ["-genkeypair", "-alias", "flink.internal", "-keystore", store, "-storetype", "PKCS12", "-storepass", FLINK_PASSWORD]
    names = ["-ext", "SAN=dns:localhost,ip:127.0.0.1"]
    subprocess.run([keytool, *made, "-dname", "CN=flink.internal", "-keyalg", "RSA", *names], check=True, capture_output=True)
    shown = yaml.safe_load(block("flink.yaml", {"/etc/flink/internal.p12": str(store), "FLINK-PASSWORD": FLINK_PASSWORD}))
    settings = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in shown.items()}
    with FlinkCluster(taskmanagers=2, settings=settings) as cluster:
        yield cluster


def tool_settings(job: Job, user: str) -> Path:
    """A file as one has who uses the tools alone: servers and `[kafka]`, with this user."""
    shown = job.file.read_text(encoding="utf-8")
    servers = next(line for line in shown.splitlines() if line.startswith("bootstrap_servers"))
    table = shown[shown.index("[kafka]") :].replace('username="keepline"', f'username="{user}"')
    secret = job.file.with_name("kafka-password")
    path = job.file.with_name(f"{user}.toml")
    path.write_text(f"{servers}\n{table.replace(f'${{file:{secret}}}', '${env:TOOL_PASSWORD}')}", encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_documents_settings(
    flink: FlinkCluster, secure_job: Job, secure_kafka: EmbeddedKafka, secure_redis: EmbeddedRedis, authority: Authority, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    records = whole_history(seed=21, customers=30, partitions=2, per_day=200, silence=10)
    send(secure_kafka, "telemetry", records)
    view = f"{as_admin(secure_redis)}?ssl_ca_certs={authority.file}"
    Redis.from_url(view).flushdb()  # where a user may not let keys expire, the check at submit leaves its own
    for name, value in secure_job.environment.items():
        monkeypatch.setenv(name, value)
    job = flink.submit(RETENTION, "--config", str(secure_job.file), "--parallelism", "2", parallelism=2)
    try:
        flink.rest.wait_running(job)
        drained(secure_kafka, flink.rest, job, "telemetry", "keepline-retention")
        found = live(secure_kafka, "retention")
        assert_equal(found, replayed(RetentionSettings(model=secure_job.file.parent, emit="every"), records, tmp_path))
        assert_view_soon(view, found, records)
        assert len(flat(found["scores"])) > 2000
        the_tools(secure_job, tmp_path)
        the_reader_of_the_view(secure_redis, authority)
        assert flink.rest.restarts(job) == 0
        no_secret_shows(flink, job)
    except BaseException:
        print(flink.logs(), flink.rest.cause(job))
        raise
    finally:
        flink.rest.cancel(job)


def as_admin(redis: EmbeddedRedis) -> str:
    return redis.url.replace("//", f"//admin:{ADMIN_PASSWORD}@")


def the_tools(job: Job, folder: Path) -> None:
    """`produce` and `tail` take the same `[kafka]` table, each with its user's rights."""
    event = {"type": "Subscription", "customer_id": "by-tool", "event_id": "e-1", "event_time": START, "plan": "basic"}
    events = folder / "events.jsonl"
    events.write_text(json.dumps(event | {"started_time": START, "monthly_charge": 9.5}) + "\n", encoding="utf-8")
    writer, reader = tool_settings(job, "telemetry-writer"), tool_settings(job, "outputs-reader")
    password = {"TOOL_PASSWORD": TOOL_PASSWORD}
    sent = command("produce", "--events", str(events), "--config", str(writer), **password)
    assert (sent.returncode, sent.stdout) == (0, "telemetry: 1 events sent, 0 lines rejected\n"), sent.stderr
    told: list[str] = []

    def arrived() -> bool:
        done = command("tail", "retention.scores", "--no-follow", "--config", str(reader), **password)
        assert done.returncode == 0, done.stderr
        told[:] = [line for line in done.stdout.splitlines() if '"by-tool"' in line]
        return bool(told)

    wait("the score of what `keepline produce` sent", arrived)
    assert json.loads(told[0])["score"] == "churn"
    refused = command("tail", "retention.scores", "--no-follow", "--config", str(writer), **password)
    assert refused.returncode == 2
    assert "authorization failed; give this user the right (docs/security.md" in refused.stderr, refused.stderr


def the_reader_of_the_view(redis: EmbeddedRedis, authority: Authority) -> None:
    with redis_client(redis, authority, "crm", TOOL_PASSWORD) as crm:
        assert crm.hget("keepline:score:c001:churn", "customer_id") == "c001"


def no_secret_shows(flink: FlinkCluster, job: str) -> None:
    """Not in what REST and page show, nor in any log, nor in the arguments of any process."""
    paths = [f"/jobs/{job}{part}" for part in ("", "/config", "/plan", "/exceptions", "/checkpoints/config")]
    seen = {path: json.dumps(flink.rest.call(path)) for path in [*paths, "/jobmanager/config"]}
    seen |= {path.name: path.read_text(errors="replace") for path in (flink.folder / "log").rglob("*") if path.is_file()}
    assert len([name for name in seen if name.endswith(".log")]) >= 4
    for process in psutil.process_iter(["cmdline"]):
        seen[f"process {process.pid}"] = " ".join(process.info["cmdline"] or ())
    for secret in SECRETS:
        spellings = {secret, json.dumps(secret)[1:-1], secret.replace("\\", "\\\\").replace('"', '\\"')}
        assert not [place for place, text in seen.items() if any(each in text for each in spellings)]
    assert "Kafka" in "".join(seen.values())
    assert REDIS_PASSWORD not in seen[f"/jobs/{job}/config"]
