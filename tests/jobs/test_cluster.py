"""The parts of `keepline submit` that need no cluster: settings written and read back, folders searched, addresses, causes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs.cluster import client, kinds, snapshots
from keepline.jobs.cluster.rest import ClusterError, FlinkRest
from keepline.jobs.cluster.submit import absolute, as_toml, reason
from keepline.jobs.ingest_settings import IngestSettings
from keepline.jobs.settings import RetentionSettings


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"topics": ("a", "b-c"), "redis_url": "", "bounded": True, "delta": 0.125, "checkpoint_interval": 250, "disorder": 86_400_000},
        {"policy": Path("/p.yaml"), "model": Path("/m")},
        {"kafka": {"sasl.jaas.config": 'x required password="p\\"ä\\n=#";', "a b": "${x"}, "flink": {"a.b": "2 ms"}},
        {"writer_schemas": (Path("/a/b.avsc"), Path("/c")), "registry": {"basic.auth.user.info": "u:p'\"\t"}, "currency": "€\u2028\x7f"},
    ],
)
def test_settings_survive_being_written(given: dict[str, Any], tmp_path: Path) -> None:
    settings = RetentionSettings(**given)
    file = tmp_path / "settings.toml"
    file.write_text(as_toml(settings), encoding="utf-8")
    assert kinds.settings_of("retention", file) == settings


def test_settings_of_a_job_with_its_own_table_survive(tmp_path: Path) -> None:
    settings = IngestSettings(mapping=Path("/m.yaml"), kafka={"a.b": "c"}, registry_url="http://r:1", checkpoint_interval=500)
    file = tmp_path / "settings.toml"
    file.write_text(as_toml(settings), encoding="utf-8")
    assert kinds.settings_of("ingest", file) == settings


def test_paths_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = absolute(RetentionSettings(model=Path("m"), writer_schemas=(Path("a"), Path("/b"))))
    assert settings.model == tmp_path / "m"
    assert settings.writer_schemas == (tmp_path / "a", Path("/b"))


def metadata(folder: Path, seconds: int) -> str:
    folder.mkdir(parents=True)
    (folder / "_metadata").write_bytes(b"x")
    os.utime(folder / "_metadata", (seconds, seconds))
    return folder.as_uri()


class Remembers(FlinkRest):
    """A JobManager that remembers these checkpoints of one job."""

    def __init__(self, *uris: tuple[str, int]) -> None:
        super().__init__("http://nowhere")
        self._uris = uris

    def overview(self) -> list[dict[str, Any]]:
        return [{"jid": str(place), "name": "j" if place else "other", "state": "FAILED"} for place in range(len(self._uris))]

    def checkpoints(self, job: str) -> dict[str, Any]:
        uri, moment = self._uris[int(job)]
        return {"latest": {"completed": {"external_path": uri, "latest_ack_timestamp": moment}, "savepoint": None}}


def test_the_newest_of_both_places_is_found(tmp_path: Path) -> None:
    base = tmp_path / "checkpoints" / "j"
    old = metadata(base / "id-1" / "chk-7", 1_000)
    new = metadata(base / "id-2" / "chk-3", 2_000)
    saved = metadata(tmp_path / "savepoints" / "j" / "savepoint-1", 1_500)
    metadata(base / "id-2" / "shared" / "chk-99", 9_000)
    metadata(tmp_path / "checkpoints" / "other" / "id" / "chk-1", 9_000)
    (base / "id-3" / "chk-9").mkdir(parents=True)  # begun, never completed
    folders = [snapshots.folder_of(base.parent.as_uri() + "/", "j"), snapshots.folder_of((tmp_path / "savepoints").as_uri(), "j")]
    nobody = ("file:/nowhere/chk-1", 1)
    found = snapshots.newest(Remembers(nobody), "j", folders)
    assert found == snapshots.Snapshot(2_000_000, new)
    assert snapshots.newest(Remembers(nobody), "j", folders[1:]) == snapshots.Snapshot(1_500_000, saved)
    # What the JobManager remembers counts while it is there, whatever it is called.
    told = snapshots.newest(Remembers(nobody, (old.replace("file:///", "file:/"), 3_000_000)), "j", folders)
    assert told == found, "one folder counts once, at the time of its own file"
    assert snapshots.newest(Remembers(nobody, ("file:/gone/chk-1", 9_000_000)), "j", folders) == found
    assert snapshots.newest(Remembers(nobody), "j", [(tmp_path / "absent").as_uri(), ""]) is None


def test_a_place_that_cannot_be_searched_is_told() -> None:
    with pytest.raises(ClusterError, match=r"cannot look for checkpoints in gopher://x/j: .*give --restore URI, or --fresh"):
        snapshots.newest(Remembers(("file:/n", 1)), "j", ["gopher://x/j"])


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://flink:8081", {"rest.address": "flink", "rest.port": "8081"}),
        ("https://flink/a/", {"rest.address": "flink", "rest.port": "443", "rest.path": "/a/", "security.ssl.rest.enabled": "true"}),
    ],
)
def test_addresses(url: str, wanted: dict[str, str]) -> None:
    assert client.address(url) == wanted


@pytest.mark.parametrize("url", ["flink:8081", "ftp://x", "", "http://"])
def test_no_addresses(url: str) -> None:
    with pytest.raises(ClusterError, match="expected the address of a JobManager"):
        client.address(url)


def test_an_unknown_job_is_named() -> None:
    with pytest.raises(ClusterError, match="no job 'retentoin'; there is retention"):
        kinds.settings_of("retentoin", Path("x"))


def test_causes_without_frames() -> None:
    trace = "A: first\n\tat x.y(Z.java:1)\n\t... 3 more\nCaused by: B: second\n\tat q\nCaused by: C: last"
    assert reason(trace).splitlines() == ["A: first", "Caused by: B: second", "Caused by: C: last"]


@pytest.mark.parametrize(("url", "words"), [("localhost", "is no address of Flink's REST"), ("http://127.0.0.1:1", "does not answer at")])
def test_a_cluster_that_is_none_is_told(url: str, words: str) -> None:
    with pytest.raises(ClusterError, match=words):
        FlinkRest(url).overview()
    assert not FlinkRest(url).answers()
