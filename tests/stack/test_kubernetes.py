"""The deployment for the Flink operator, checked without a cluster: against the operator's own definition, Flink's own options, and the
image's own paths.

The definition is the CRD in the operator's published jar (`make setup` unpacks it). A Kubernetes server drops fields it does not know, so
here the schema is closed first: a misspelt field is refused.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from keepline.jobs.cluster import profiles
from keepline.jobs.settings import RetentionSettings, load
from tests.stack.test_profiles import PLUGIN, told_by_flink

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "kubernetes"
CRD = FOLDER / "target" / "crd" / "META-INF" / "fabric8" / "flinkdeployments.flink.apache.org-v1.yml"
LOCAL = re.compile(
    r"(rest|jobmanager\.(bind-host|rpc)|taskmanager\.(bind-host|host))\b.*|parallelism\.default"
    r"|(job|task)manager\.memory\.process\.size|heartbeat\..*|.*\.(savepoint-)?dir|metrics\.reporter\.prom\.port"
)
"""Settings of config.yaml that the operator makes itself, or that are others on purpose where pods move."""


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A CRD's schema as a strict JSON schema: no field beyond those it names; `int or string` as Kubernetes means it."""
    found = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    if "properties" in schema:
        found["properties"] = {name: closed(each) for name, each in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), Mapping):
        found["additionalProperties"] = closed(schema["additionalProperties"])
    if "items" in schema:
        found["items"] = closed(schema["items"])
    return found


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    definition = yaml.load(CRD.read_text(), yaml.CSafeLoader)
    assert definition["spec"]["names"]["kind"] == "FlinkDeployment"
    (version,) = definition["spec"]["versions"]
    assert version["name"] == "v1beta1"
    found = closed(version["schema"]["openAPIV3Schema"])
    # Kubernetes' own fields are no part of a CRD.
    found["properties"] |= {"apiVersion": {"const": "flink.apache.org/v1beta1"}, "kind": {"const": "FlinkDeployment"}}
    found["properties"] |= {"metadata": {"type": "object"}}
    found["required"] = ["apiVersion", "kind", "metadata", "spec"]
    # The newest published definition ends with Flink 1.20; later operators add names of the same form.
    versions = found["properties"]["spec"]["properties"]["flinkVersion"]["enum"]
    assert versions[-1] == "v1_20", "a newer definition: hold flinkVersion to it here"
    found["properties"]["spec"]["properties"]["flinkVersion"] = {"pattern": r"^v\d+_\d+$"}
    return found


@pytest.fixture
def deployment() -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / "flinkdeployment.yaml").read_text()))


def problems(schema: dict[str, Any], deployment: dict[str, Any]) -> list[str]:
    found = Draft202012Validator(schema).iter_errors(deployment)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]


def container(deployment: dict[str, Any], *path: str) -> dict[str, Any]:
    at = deployment["spec"]
    for name in (*path, "podTemplate", "spec"):
        at = at[name]
    (found,) = at["containers"]
    assert found["name"] == "flink-main-container", "the name by which Flink knows its own container"
    return dict(found)


def test_the_operator_takes_it(schema: dict[str, Any], deployment: dict[str, Any]) -> None:
    assert problems(schema, deployment) == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("spec", "job", "upgradMode"), "savepoint", "'upgradMode' was unexpected"),
        (("spec", "job", "upgradeMode"), "savepiont", "is not one of"),
        (("spec", "job", "parallelism"), "two", "is not of type 'integer'"),
        (("spec", "taskManager", "resource", "memroy"), "1g", "'memroy' was unexpected"),
        (("spec", "podTemplate", "spec", "securityContext", "runAsNonRot"), True, "'runAsNonRot' was unexpected"),
        (("spec", "flinkConfiguration", "rest.port"), 8081, "is not of type 'string'"),
        (("spec", "mode"), "standaloan", "is not one of"),
    ],
    ids=lambda each: each[-1] if isinstance(each, tuple) else None,
)
def test_what_the_operator_would_not_take_is_seen(
    schema: dict[str, Any], deployment: dict[str, Any], path: tuple[str, ...], value: object, words: str
) -> None:
    wrong = copy.deepcopy(deployment)
    at = wrong
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    (told,) = problems(schema, wrong)
    assert words in told


def test_flink_takes_its_settings_and_they_are_config_yamls(deployment: dict[str, Any], tmp_path: Path) -> None:
    values = deployment["spec"]["flinkConfiguration"]
    own = {key: value for key, value in values.items() if not PLUGIN.fullmatch(key) and not key.startswith("kubernetes.operator.")}
    assert told_by_flink(own, tmp_path) == []
    base = {key: value for key, value in profiles.settings_of(profiles.BASE).items() if not LOCAL.fullmatch(key)}
    assert {key: values.get(key) for key in base} == base
    for key in ("high-availability.type", "high-availability.storageDir", "execution.checkpointing.savepoint-dir"):
        assert values[key]


def test_it_upgrades_by_savepoint_and_survives_a_jobmanager(deployment: dict[str, Any]) -> None:
    spec = deployment["spec"]
    assert (spec["job"]["upgradeMode"], spec["job"]["state"], spec["job"]["allowNonRestoredState"]) == ("savepoint", "running", False)
    assert spec["flinkConfiguration"]["high-availability.type"] == "kubernetes"
    assert spec["jobManager"]["replicas"] >= 2
    for key in ("high-availability.storageDir", "execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"):
        assert spec["flinkConfiguration"][key].startswith("s3://"), "object storage, which every pod sees"
    assert "s3-fs-hadoop" in (ROOT / "docker" / "Dockerfile").read_text()


def test_it_runs_without_root_and_tells_whether_it_lives(deployment: dict[str, Any]) -> None:
    security = deployment["spec"]["podTemplate"]["spec"]["securityContext"]
    (user,) = re.findall(r"^USER (\d+)", (ROOT / "docker" / "Dockerfile").read_text(), re.M)
    assert (security["runAsNonRoot"], str(security["runAsUser"])) == (True, user)
    assert container(deployment)["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container(deployment, "jobManager"))
    assert "livenessProbe" in container(deployment, "taskManager")


def test_the_jobs_settings_are_settings_and_no_secret_stands_here(deployment: dict[str, Any]) -> None:
    variables = {each["name"]: each for each in container(deployment)["env"]}
    plain = {name: each["value"] for name, each in variables.items() if "value" in each and name.startswith("KEEPLINE_")}
    wanted = load({}, environment=plain | {"KEEPLINE_KAFKA": "{}", "KEEPLINE_REDIS_URL": "rediss://u:p@h:1/0"})
    for name in ("KEEPLINE_KAFKA", "KEEPLINE_REDIS_URL", "AWS_SECRET_ACCESS_KEY"):
        assert "secretKeyRef" in variables[name]["valueFrom"], name
    spec = deployment["spec"]
    assert wanted.parallelism == spec["job"]["parallelism"]
    assert wanted.checkpoint_dir == spec["flinkConfiguration"]["execution.checkpointing.dir"]
    assert wanted.job_name == RetentionSettings().job_name == deployment["metadata"]["name"]


def test_its_paths_are_the_images(deployment: dict[str, Any]) -> None:
    spec, dockerfile = deployment["spec"], (ROOT / "docker" / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (flink,) = (each.split("==")[1] for each in project["dependencies"] if each.startswith("apache-flink=="))
    assert spec["image"] == f"keepline:{project['version']}"
    assert spec["flinkVersion"] == "v" + "_".join(flink.split(".")[:2])
    assert spec["job"]["jarURI"] == f"local:///opt/flink/lib/flink-python-{flink}.jar"
    assert f"flink-s3-fs-hadoop:{flink} " in dockerfile
    site = spec["flinkConfiguration"]["python.pythonpath"]
    assert f"PYTHONPATH={site} " in dockerfile
    python = spec["flinkConfiguration"]["python.executable"]
    assert f"PATH={Path(python).parent}:" in dockerfile
    assert spec["job"]["args"] == ["-pyclientexec", python, "-py", f"{site}/keepline/jobs/retention.py"]
    assert (ROOT / "jobs" / "retention.py").is_file()
