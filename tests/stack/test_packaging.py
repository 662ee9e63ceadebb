"""Files that nothing else here runs agree with those that do: container files, poms, lock file, and the wheel's contents."""

import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from keepline.jobs.cluster.profiles import flat, whole
from keepline.jobs.settings import load
from keepline.jobs.stack.kafka import SETTINGS
from keepline.operators.jar import JarError, jar_path
from keepline.operators.spec import CHANNELS

ROOT = Path(__file__).resolve().parents[2]
POM = "{http://maven.apache.org/POM/4.0.0}"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.M))


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"])


def pom(path: str) -> dict[str, str]:
    properties = ElementTree.parse(ROOT / path).getroot().find(f"{POM}properties")
    assert properties is not None
    return {each.tag.removeprefix(POM): each.text or "" for each in properties}


def test_flink_has_one_version() -> None:
    (wanted,) = (each.split("==")[1] for each in PROJECT["dependencies"] if each.startswith("apache-flink=="))
    assert LOCKED["apache-flink"] == wanted == pom("operators/jvm/pom.xml")["flink.version"]


def test_kafka_has_one_version() -> None:
    assert compose()["kafka"]["image"] == f"apache/kafka:{pom('operators/jvm/broker/pom.xml')['kafka.broker.version']}"


def test_keepline_has_one_version() -> None:
    assert compose()["job"]["image"] == f"keepline:{PROJECT['version']}"
    for path in ("operators/jvm/pom.xml", "operators/jvm/broker/pom.xml", "docker/kubernetes/pom.xml"):
        assert ElementTree.parse(ROOT / path).getroot().findtext(f"{POM}version") == PROJECT["version"]


def test_the_lock_file_holds_every_requirement_with_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--index-url" not in text
    for requirement in PROJECT["dependencies"]:
        assert re.split(r"[<>=\[ ]", requirement)[0].replace(".", "-") in LOCKED  # the lock file spells names canonically
    for entry in re.split(r"\n(?=\S)", text):
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry


def test_the_build_tool_has_one_version() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert built == [f"hatchling=={LOCKED['hatchling']}"]


def test_the_image_is_built_as_setup_builds() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    makefile = (ROOT / "Makefile").read_text()
    (uv,) = re.findall(r"^UV_VERSION := (\S+)", makefile, re.M)
    assert f"uv=={uv}" in dockerfile
    assert re.findall(r"^FROM (\S+)", dockerfile, re.M) == [
        "maven:3.9-eclipse-temurin-17",
        "python:3.11-bookworm",
        "python:3.11-slim-bookworm",
    ]
    assert re.findall(r"^USER (\S+)", dockerfile, re.M) == ["10001"], "the job must not run as root"
    assert "--uid 10001 keepline" in dockerfile
    assert "uv pip install --no-cache --constraint requirements.lock" in dockerfile, "uv refuses what has another hash than the lock file"
    for source in re.findall(r"^COPY (?!--from)(?:--chmod=\d+ )?(.+) \S+$", dockerfile, re.M):
        for path in source.split():
            assert (ROOT / path).exists(), path


def test_compose_runs_the_whole_stack_with_the_embedded_brokers_promises() -> None:
    services = compose()
    assert set(services) == {"kafka", "redis", "topics", "jobmanager", "taskmanager", "job", "keepline", "prometheus", "grafana"}
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
    environment = services["kafka"]["environment"]
    for setting in ("log.retention.ms", "log.message.timestamp.after.max.ms", "transaction.state.log.min.isr"):
        assert str(environment["KAFKA_" + setting.upper().replace(".", "_")]) == SETTINGS[setting]


def test_compose_waits_for_what_is_ready_and_opens_nothing_to_others() -> None:
    services = compose()
    for name, service in services.items():
        for wanted, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends or (how["condition"] == "service_healthy" and "healthcheck" in services[wanted]), (name, wanted)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if service["image"].startswith("keepline:"):
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["cap_drop"] == ["ALL"]
            assert "user" not in service


def test_compose_watches_its_own_containers_with_the_files_of_monitoring() -> None:
    services = compose()
    folder = ROOT / "docker"
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["monitoring"]
        for volume in services[name]["volumes"]:
            assert (folder / volume.split(":")[0]).is_file(), volume
    ours = yaml.safe_load((folder / "monitoring" / "prometheus.yml").read_text())
    theirs = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())
    assert ours["rule_files"] == theirs["rule_files"] == ["alerts.yml"]
    (job,), (example,) = ours["scrape_configs"], theirs["scrape_configs"]
    assert job["job_name"] == example["job_name"]
    for target in job["static_configs"][0]["targets"]:
        service, port = target.split(":")
        assert f"-Dmetrics.reporter.prom.port={port}" in services[service]["command"]
    (source,) = yaml.safe_load((folder / "monitoring" / "datasource.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"].split("//")[1].split(":")[0] in services


def test_compose_creates_the_jobs_topics_and_submits_with_its_settings() -> None:
    services = compose()
    settings = load({}, environment={name: str(value) for name, value in services["job"]["environment"].items()})
    script = services["topics"]["command"][0].replace("$$", "$")
    subprocess.run(["bash", "-n", "-c", script], check=True)
    (each,) = re.findall(r"for each in (.*?);", script)
    made = {"telemetry", "retention.scores", *(f"retention.{name}" for name in each.split())}
    assert made == {*settings.topics, *(f"{settings.output_prefix}.{channel}" for channel in CHANNELS)}
    assert services["job"]["environment"]["KEEPLINE_FLINK_URL"] == "http://jobmanager:8081"
    asked = [*services["keepline"]["entrypoint"][1:], *services["keepline"]["command"]]
    for words in (asked, ["keepline", "submit", "retention", "--help"]):
        done = subprocess.run([Path(sys.executable).with_name(words[0]), *words[1:]], capture_output=True, text=True, check=False)
        assert (done.returncode, "Usage" in done.stdout) == (0, True), done.stderr


def test_the_images_entrypoint_runs_what_it_is_given(tmp_path: Path) -> None:
    """The script itself, with folders of its own in place of the image's."""
    script = (ROOT / "docker" / "entrypoint.sh").read_text().replace("/opt/flink/numba", str(tmp_path / "compiled"))
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled" / "kernel").write_text("k")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tini").write_text('#!/bin/bash\nshift\nexec "$@"\n')
    (tmp_path / "bin" / "tini").chmod(0o755)
    (tmp_path / "conf").mkdir()
    env = {
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin", "KEEPLINE_NUMBA_CACHE": str(tmp_path / "cache"),
        "KEEPLINE_PROFILE": "throughput", "FLINK_CONF_DIR": str(tmp_path / "conf"),
    }  # fmt: skip
    done = subprocess.run(["bash", "-c", script, "entrypoint", "bash", "-c", "echo $0 ${KEEPLINE_PROFILE:-none}", "a b"], env=env,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "a b none\n"
    assert (tmp_path / "cache" / "kernel").read_text() == "k"
    assert flat(yaml.safe_load((tmp_path / "conf" / "config.yaml").read_text())) == whole("throughput")


def test_flinks_settings_keep_what_the_interpreter_needs() -> None:
    ours = yaml.safe_load((ROOT / "flink-conf" / "config.yaml").read_text())
    import importlib.util

    spec = importlib.util.find_spec("pyflink")
    assert spec is not None
    assert spec.origin is not None
    theirs = yaml.safe_load((Path(spec.origin).parent / "conf" / "config.yaml").read_text())
    assert set(theirs["env"]["java"]["opts"]["all"].split()) <= set(ours["env"]["java"]["opts"]["all"].split())
    assert ours["classloader"]["parent-first-patterns"]["additional"] == "pemja"


def test_the_wheel_holds_the_packages_and_the_jar_but_no_sources_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert [name for name in names if "/jvm/" in name] == ["keepline/operators/jvm/keepline-operators.jar"]
    for wanted in ("schemas/catalog.py", "schemas/events/Call.avsc", "features/churn.py", "models/scorer.py", "jobs/stack/guard.py"):
        assert f"keepline/{wanted}" in names
    assert "keepline/flink-conf/config.yaml" in names
    assert {name.split("/")[0] for name in names} == {"keepline", f"keepline-{PROJECT['version']}.dist-info"}
    assert not [name for name in names if name.endswith((".java", ".class", ".pyc")) or "test" in name]


def test_the_jar_is_found_or_its_absence_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert jar_path().name == "keepline-operators.jar"
    monkeypatch.setenv("KEEPLINE_JAR", str(tmp_path / "absent.jar"))
    with pytest.raises(JarError, match=r"KEEPLINE_JAR names .*absent\.jar, which is no file"):
        jar_path()
    (tmp_path / "own.jar").touch()
    monkeypatch.setenv("KEEPLINE_JAR", str(tmp_path / "own.jar"))
    assert jar_path() == (tmp_path / "own.jar").resolve()
    monkeypatch.delenv("KEEPLINE_JAR")
    monkeypatch.setattr("keepline.operators.jar.JVM", tmp_path)
    with pytest.raises(JarError, match="make setup"):
        jar_path()
