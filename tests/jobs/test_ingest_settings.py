"""Settings of a job with a table of its own: what it shares with the retention job, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepline.jobs.ingest_settings import IngestSettings
from keepline.jobs.settings import SettingsError, load, load_as

FILE = """
bootstrap_servers = "shared:9092"
job_name = "eu"
parallelism = 7
registry_url = "https://registry:8081"
[kafka]
security.protocol = "SSL"
[ingest]
mapping = "cdr.yaml"
parallelism = 2
checkpoint_interval = "5s"
[ingest.kafka]
fetch.max.bytes = 9
"""


def ingest(flags: dict[str, object] | None = None, env: dict[str, str] | None = None, config: Path | None = None) -> IngestSettings:
    return load_as(IngestSettings, flags or {}, env or {}, config)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keepline.toml"
    path.write_text(FILE)
    return path


def test_servers_are_shared_and_the_rest_is_not(file: Path) -> None:
    mine, other = ingest(config=file), load({}, {}, file)
    assert (
        (mine.bootstrap_servers, mine.registry_url)
        == (other.bootstrap_servers, other.registry_url)
        == ("shared:9092", "https://registry:8081")
    )
    assert (mine.job_name, mine.parallelism, mine.checkpoint_interval, mine.mapping) == ("keepline-ingest", 2, 5000, Path("cdr.yaml"))
    assert (other.job_name, other.parallelism, other.kafka) == ("eu", 7, {"security.protocol": "SSL"})
    assert mine.kafka == {"security.protocol": "SSL", "fetch.max.bytes": "9"}


def test_flags_over_environment_over_file(file: Path) -> None:
    env = {
        "KEEPLINE_INGEST_PARALLELISM": "3",
        "KEEPLINE_PARALLELISM": "9",
        "KEEPLINE_BOOTSTRAP_SERVERS": "env:1",
        "KEEPLINE_INGEST_TOPIC": "t",
    }
    mine = ingest({"topic": "flag"}, env, file)
    assert (mine.parallelism, mine.bootstrap_servers, mine.topic) == (3, "env:1", "flag")
    assert load({}, env, file).parallelism == 9


@pytest.mark.parametrize(
    ("content", "env", "words"),
    [
        ("[ingest]\nmaping = 'x'\n", {}, "[ingest]: unknown setting maping; did you mean mapping?"),
        ("bootstrap_server = 'x'\n", {}, "unknown setting bootstrap_server; did you mean bootstrap_servers?"),
        ("ingest = 3\n", {}, "[ingest] is 3: expected a table of settings"),
        ("[ingest]\nmapping = 'm'\ncheckpoint_interval = 5\n", {}, "checkpoint_interval = 5: expected a text with a unit"),
        ("", {"KEEPLINE_INGEST_MAPPIN": "x"}, "unknown setting KEEPLINE_INGEST_MAPPIN; did you mean KEEPLINE_INGEST_MAPPING?"),
        ("", {}, "--mapping is missing: give it (the mapping file)"),
        ("", {"KEEPLINE_INGEST_MAPPING": "m", "KEEPLINE_INGEST_TOPIC": "a b"}, "KEEPLINE_INGEST_TOPIC = 'a b': expected a topic name"),
        ("", {"KEEPLINE_INGEST_MAPPING": "m", "KEEPLINE_INGEST_START": "now"}, "KEEPLINE_INGEST_START = 'now'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, env: dict[str, str], words: str) -> None:
    path = tmp_path / "k.toml"
    path.write_text(content)
    with pytest.raises(SettingsError) as error:
        ingest({}, env, path)
    assert words in str(error.value)


def test_the_other_job_does_not_mind(tmp_path: Path) -> None:
    path = tmp_path / "k.toml"
    path.write_text("[ingest]\nwhatever = 1\n")
    assert load({}, {"KEEPLINE_INGEST_WHATEVER": "1"}, path).job_name == "keepline-retention"
