"""One set of names in four places: which wins, what is refused and how, what never shows."""

from __future__ import annotations

import inspect
import json
import typing
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs import settings
from keepline.jobs.cli import replay, run, run_next_app
from keepline.jobs.durations import parse_ms
from keepline.jobs.next_app_settings import PRETRAINED_NEXT_APP, NextAppSettings
from keepline.jobs.settings import PRETRAINED, PROPERTIES, JobSettings, RetentionSettings, SettingsError, load, load_as, mask_url
from keepline.models.contact.document import DEFAULT
from tests.cli.conftest import Command

NOT_FLAGS_OF_THE_JOB = {"config", "show"}
IN_HELP = {  # how a default is told, where it is not the value itself
    "redis_ttl": "0s", "model": "the committed one", "policy": "the committed one", "disorder": "1h", "idle_after": "60s",
    "checkpoint_interval": "1s", "checkpoint_dir": "the cluster's own", "topics": "telemetry", "unknown_id_ttl": "30s",
    "scores": "churn", "clv_model": "the committed one",
}  # fmt: skip
NEXT_APP_IN_HELP = {**IN_HELP, "checkpoint_interval": "5s", "answer_within": "60s"}
WITHOUT_DEFAULT_IN_HELP = {"currency", "restore", "bounded", "kafka", "registry_url", "registry", "writer_schemas", "flink"}
EVERY = {
    "bootstrap_servers": ("a:1,b:2", "a:1,b:2"), "topics": ("x, y", ("x", "y")), "output_prefix": ("out", "out"),
    "redis_url": ("rediss://h:1/2", "rediss://h:1/2"), "redis_ttl": ("2h", 7_200_000), "model": ("m", Path("m")), "job_name": ("j", "j"),
    "emit": ("every", "every"), "delta": ("0.5", 0.5), "policy": ("p.yaml", Path("p.yaml")), "disorder": ("5m", 300_000),
    "idle_after": ("0s", 0), "currency": ("EUR", "EUR"), "resident_states": ("5000", 5000), "parallelism": ("3", 3),
    "checkpoint_interval": ("500ms", 500), "checkpoint_dir": ("file:///c", "file:///c"),
    "state_backend": ("rocksdb", "rocksdb"), "restore": ("file:///s", "file:///s"), "bounded": ("true", True), "rest_port": ("0", 0),
    "kafka": ('{"a.b": "c"}', {"a.b": "c"}), "registry": ('{"a.b": "c"}', {"a.b": "c"}),
    "registry_url": ("https://h:1", "https://h:1"), "unknown_id_ttl": ("1m", 60_000), "writer_schemas": ("a, b", (Path("a"), Path("b"))),
    "scores": ("clv,churn", ("churn", "clv")), "clv_model": ("v", Path("v")), "clv_regression": ("r", Path("r")),
    "metrics_port": ("9249", 9249), "flink": ('{"a.b": "c"}', {"a.b": "c"}),
}  # fmt: skip


def toml(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refused(flags: dict[str, Any] | None = None, environment: dict[str, str] | None = None, config: Path | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        load(flags or {}, environment or {}, config)
    return str(error.value)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_environment_over_file_over_default(tmp_path: Path) -> None:
    toml(tmp_path / "keepline.toml", 'job_name = "file"\ncurrency = "FIL"\ndelta = 0.3\nparallelism = 3\n')
    found = load({"job_name": "flag", "delta": None}, {"KEEPLINE_JOB_NAME": "env", "KEEPLINE_CURRENCY": "ENV"})
    assert (found.job_name, found.currency, found.delta, found.parallelism, found.emit) == ("flag", "ENV", 0.3, 3, "delta")


def test_the_file_is_the_one_that_is_named(tmp_path: Path) -> None:
    toml(tmp_path / "keepline.toml", 'currency = "HERE"')
    other, third = toml(tmp_path / "o.toml", 'currency = "ENV"'), toml(tmp_path / "t.toml", 'currency = "FLAG"')
    assert load({}, {}).currency == "HERE"
    assert load({}, {"KEEPLINE_CONFIG": str(other)}).currency == "ENV"
    assert load({}, {"KEEPLINE_CONFIG": str(other)}, third).currency == "FLAG"
    assert refused(environment={"KEEPLINE_CONFIG": "absent.toml"}).startswith("absent.toml: cannot be read as TOML")
    assert refused(config=tmp_path).startswith(f"{tmp_path}: cannot be read")
    (tmp_path / "latin.toml").write_bytes(b'currency = "\xe9"')
    assert "cannot be read as TOML" in refused(config=tmp_path / "latin.toml")
    assert "cannot be read as TOML" in refused(config=toml(tmp_path / "bad.toml", "currency ="))


def test_every_setting_can_be_given_in_every_place(tmp_path: Path) -> None:
    assert EVERY.keys() == RetentionSettings.model_fields.keys()
    by_environment = load({}, {"KEEPLINE_" + name.upper(): text for name, (text, _) in EVERY.items()})
    by_flag = load({name: ["a.b=c"] if name in PROPERTIES else text for name, (text, _) in EVERY.items()}, {})
    written = "".join(f"{name} = {json.dumps(text)}\n" for name, (text, _) in EVERY.items() if name not in PROPERTIES)
    tables = "".join(f'[{name}]\na.b = "c"\n' for name in PROPERTIES)
    by_file = load({}, {}, toml(tmp_path / "all.toml", written + tables))
    expected = {name: value for name, (_, value) in EVERY.items()}
    assert by_environment.model_dump() == by_flag.model_dump() == by_file.model_dump() == expected


@pytest.mark.parametrize(("scores", "policy"), [("churn", "retention"), ("clv", "clv"), (["clv", "churn"], "retention-clv")])
def test_what_is_scored_chooses_the_policy(scores: Any, policy: str) -> None:
    found = load({"scores": scores}, {})
    assert found.policy == DEFAULT.with_name(f"{policy}.yaml")
    assert Path(found.policy).is_file()
    assert load({"scores": scores, "policy": "none"}, {}).policy == "none"


@pytest.mark.parametrize("scores", ["", "churn,churn", "value", "churn,value"])
def test_scores_are_known_ones(scores: str) -> None:
    assert "--scores" in refused({"scores": scores})


@pytest.mark.parametrize(("command", "kind"), [(run.retention, RetentionSettings), (run_next_app.next_app, NextAppSettings)])
def test_flags_of_the_command_are_the_settings(command: Any, kind: type[JobSettings]) -> None:
    assert set(inspect.signature(command).parameters) - NOT_FLAGS_OF_THE_JOB == set(kind.model_fields)


def test_flags_of_a_replay_are_the_jobs() -> None:
    shared = set(inspect.signature(replay.retention).parameters)
    assert {"scores", "model", "clv_model", "clv_regression", "emit", "delta", "policy", "disorder", "currency"} <= shared


@pytest.mark.parametrize(
    ("command", "kind", "in_help"),
    [
        (run.retention, RetentionSettings, IN_HELP),
        (replay.retention, RetentionSettings, IN_HELP),
        (run_next_app.next_app, NextAppSettings, NEXT_APP_IN_HELP),
        (replay.next_app, NextAppSettings, NEXT_APP_IN_HELP),
    ],
)
def test_help_tells_the_real_defaults(command: Any, kind: type[JobSettings], in_help: dict[str, str]) -> None:
    hints = typing.get_type_hints(command, include_extras=True)
    for name, info in kind.model_fields.items():
        if name not in hints:
            continue
        text = typing.get_args(hints[name])[-1].help
        if name in WITHOUT_DEFAULT_IN_HELP:
            assert "[default" not in text
            assert not info.get_default(call_default_factory=True)
            continue
        told = text.rpartition("[default: ")[2].removesuffix("]")
        assert told == in_help.get(name, str(info.default)), name
        if name in settings.durations(kind):
            assert parse_ms(told) == info.default


def test_what_is_committed_is_the_default() -> None:
    assert NextAppSettings.model_fields["model"].default == PRETRAINED_NEXT_APP
    assert RetentionSettings.model_fields["model"].default == PRETRAINED
    assert RetentionSettings.model_fields["policy"].default == DEFAULT
    assert RetentionSettings.model_fields["topics"].default == ("telemetry",)


@pytest.mark.parametrize(("command", "kind"), [(run.retention, RetentionSettings), (run_next_app.next_app, NextAppSettings)])
def test_the_types_of_flags_take_what_the_settings_take(command: Any, kind: type[JobSettings]) -> None:
    """Typer converts before we validate: numbers there are numbers here."""
    hints = typing.get_type_hints(command)
    for name, info in kind.model_fields.items():
        kinds = {int: int, float: float, bool: bool, Path: Path}
        wanted = str if name in settings.durations(kind) else kinds.get(typing.cast(type, info.annotation), str)
        assert hints[name] == (list[str] | None if name in PROPERTIES else wanted | None), name


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    path = toml(tmp_path / "k.toml", 'redis_ulr = "redis://x"')
    assert refused(config=path) == f"{path}: unknown setting redis_ulr; did you mean redis_url?"
    assert refused(environment={"KEEPLINE_PARALELISM": "2"}) == (
        "environment: unknown setting KEEPLINE_PARALELISM; did you mean KEEPLINE_PARALLELISM?"
    )
    assert refused({}, {"KEEPLINE_COOLDOWN": "1d"}) == "environment: unknown setting KEEPLINE_COOLDOWN; did you mean KEEPLINE_POLICY?"
    assert refused({"topic": "x"}) == "command line: unknown setting --topic; did you mean --topics?"
    assert "did you mean" in refused({"zzz": "x"})
    load({}, dict.fromkeys(settings.NOT_SETTINGS - {"KEEPLINE_CONFIG"}, "/somewhere") | {"OTHER": "x"})


def test_the_programs_own_variables_are_no_settings() -> None:
    import re

    root = Path(__file__).resolve().parents[2]
    read = set()
    for path in (path for folder in ("jobs", "operators", "schemas", "features", "models") for path in (root / folder).rglob("*.py")):
        read |= set(re.findall(r"(?:environ\.get|environ|getenv)[\[(]\"(KEEPLINE_\w+)\"", path.read_text(encoding="utf-8")))
        read |= set(re.findall(r"^[A-Z_]+ = \"(KEEPLINE_\w+)\"$", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"KEEPLINE_JAR", "KEEPLINE_BROKER_JARS"} <= read
    assert read <= settings.NOT_SETTINGS


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("emit", "often", "'band', 'delta' or 'every'"),
        ("delta", "much", "valid number"),
        ("delta", "-0.1", "greater than or equal to 0"),
        ("delta", "nan", "number"),
        ("delta", "inf", "finite number"),
        ("disorder", "30", "'30' is not a duration: expected a whole number and a unit"),
        ("disorder", "-1d", "is not a duration"),
        ("disorder", "1.5d", "is not a duration"),
        ("disorder", "99999999999999999999d", "too long"),
        ("disorder", "", "is not a duration"),
        ("redis_ttl", "1 week", "is not a duration"),
        ("idle_after", "1H", "is not a duration"),
        ("checkpoint_interval", "1ms", "expected 10ms to 10m"),
        ("checkpoint_interval", "20m", "expected 10ms to 10m"),
        ("parallelism", "0", "greater than or equal to 1"),
        ("parallelism", "2.5", "valid integer"),
        ("rest_port", "70000", "less than or equal to 65535"),
        ("bounded", "perhaps", "valid boolean"),
        ("state_backend", "disk", "'hashmap' or 'rocksdb'"),
        ("topics", " , ", "expected 1 to 255 different topic names"),
        ("topics", "a,a", "expected 1 to 255 different topic names"),
        ("topics", "a b", "letters, digits"),
        ("job_name", "my job", "letters, digits, dots"),
        ("output_prefix", "", "letters, digits, dots"),
        ("bootstrap_servers", "", "expected host:port"),
        ("bootstrap_servers", "a:1,b", "expected host:port"),
        ("redis_url", "cache:6379", "expected redis://user:password@host:port/db"),
    ],
)
def test_wrong_values_say_place_name_and_what_was_expected(tmp_path: Path, name: str, value: str, expected: str) -> None:
    flag = "--" + name.replace("_", "-")
    path = toml(tmp_path / "k.toml", f"{name} = {json.dumps(value)}")
    for message, where in (
        (refused({name: value}), f"command line: {flag} = "),
        (refused(environment={"KEEPLINE_" + name.upper(): value}), f"environment: KEEPLINE_{name.upper()} = "),
        (refused(config=path), f"{path}: {name} = "),
    ):
        assert message.startswith(where)
        assert expected in message
        assert ("******" if name == "redis_url" else repr(value)) in message


def test_numbers_without_a_unit_are_no_durations_in_the_file(tmp_path: Path) -> None:
    for value in ("30", "true", "1.5"):
        path = toml(tmp_path / "k.toml", f"disorder = {value}")
        assert "expected a text with a unit" in refused(config=path)


def test_all_wrong_values_are_told_at_once() -> None:
    assert refused({"emit": "x"}, {"KEEPLINE_DELTA": "y"}).count("\n") == 1


def test_kafka_properties_come_from_all_places(tmp_path: Path) -> None:
    path = toml(tmp_path / "k.toml", '[kafka]\nsecurity.protocol = "SASL_SSL"\n"client.id" = "file"\nssl.x = {y = true, z = 5}\n')
    found = load({"kafka": ["client.id=flag", "a.b=x=y"]}, {"KEEPLINE_KAFKA": '{"client.id": "env", "from": "env"}'}, path)
    assert found.kafka == {
        "security.protocol": "SASL_SSL", "client.id": "flag", "ssl.x.y": "true", "ssl.x.z": "5", "a.b": "x=y", "from": "env",
    }  # fmt: skip
    assert refused({"kafka": ["novalue"]}).startswith("command line: --kafka: 'novalue' is not a property: expected name=value")
    assert refused(environment={"KEEPLINE_KAFKA": "a=b"}).startswith("environment: KEEPLINE_KAFKA: expected a JSON object")
    assert refused(environment={"KEEPLINE_KAFKA": "[1]"}).startswith("environment: KEEPLINE_KAFKA: expected a JSON object")
    assert "expected a table" in refused(config=toml(tmp_path / "n.toml", "kafka = 5"))
    assert "a.b is a list" in refused(config=toml(tmp_path / "l.toml", "[kafka]\na.b = [1]"))


def test_secrets_never_show() -> None:
    secret = "s3cret"
    found = load(
        {
            "redis_url": f"redis://app:{secret}@{secret}@cache:1/0?password={secret}",
            "checkpoint_dir": f"s3://key:{secret}@bucket/c",
            "kafka": [
                f"sasl.jaas.config=x {secret}", f"ssl.truststore.password={secret}", f"sasl.oauthbearer.client.secret={secret}",
                f"ssl.keystore.key={secret}", f"ssl.key.pem={secret}", f"basic.auth.user.info=u:{secret}", "client.id=me",
            ],
            "registry_url": f"https://app:{secret}@r:1", "registry": [f"basic.auth.user.info=u:{secret}", f"proxy=http://u:{secret}@p:1"],
        },
        {},
    )  # fmt: skip
    for shown in (repr(found), str(found), json.dumps(found.shown())):
        assert secret not in shown
        assert "client.id" in shown
        assert "cache:1/0" in shown
    assert secret not in refused({"redis_url": f"{secret}@x", "kafka": [f"a={secret}"], "emit": "x"})
    assert secret not in refused({"kafka": [f"={secret}"]})
    assert secret not in refused({"registry_url": f"{secret}@x"})
    assert secret not in refused(environment={"KEEPLINE_KAFKA": f'{{"password": "{secret}"'})


def test_masked_urls() -> None:
    assert mask_url("redis://localhost:6379/0") == "redis://localhost:6379/0"
    assert mask_url("redis://:pw@h:1") == "redis://:******@h:1"
    assert mask_url("redis://u:a/b@h:1") == "redis://u:******@h:1"


def test_show_prints_what_the_job_would_take(keepline: Command) -> None:
    result = keepline(
        "run", "retention", "--show", "--redis-url", "redis://u:pw@h:1/0", "--kafka", "ssl.key.password=pw", "--disorder", "2d"
    )
    assert result.code == 0
    shown = result.json
    assert shown.keys() == RetentionSettings.model_fields.keys()
    assert (shown["redis_url"], shown["kafka"]) == ("redis://u:******@h:1/0", {"ssl.key.password": "******"})
    assert shown["disorder"] == 172_800_000


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}, {}).emit = "band"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "ms"), [("0s", 0), ("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), (" 30 d ", 2_592_000_000)]
)
def test_durations(text: str, ms: int) -> None:
    assert parse_ms(text) == ms


@pytest.mark.parametrize("text", ["", "s", "10", "10 S", "1.5s", "-1s", "1s1s", "١s", 10, None, True, "36501d"])
def test_no_durations(text: Any) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        parse_ms(text)


def next_app(flags: dict[str, Any] | None = None, environment: dict[str, str] | None = None, config: Path | None = None) -> NextAppSettings:
    return load_as(NextAppSettings, flags or {}, environment or {}, config)


def test_the_next_app_job_has_a_table_and_shares_the_way_to_the_servers(tmp_path: Path) -> None:
    text = (
        'redis_url = "redis://shared:1"\njob_name = "retention"\ncheckpoint_interval = "1s"\n[next_app]\napps = 3\nanswer_within = "2m"\n'
    )
    file = toml(tmp_path / "k.toml", text)
    found = next_app({}, {"KEEPLINE_NEXT_APP_TOPICS": "phones", "KEEPLINE_TOPICS": "telemetry-2"}, file)
    assert (found.redis_url, found.job_name, found.checkpoint_interval) == ("redis://shared:1", "keepline-next-app", 5000)
    assert (found.apps, found.answer_within, found.topics) == (3, 120_000, ("phones",))
    assert load({}, {}, file).job_name == "retention"
    assert next_app({"apps": 4}, {"KEEPLINE_NEXT_APP_APPS": "3"}, file).apps == 4


@pytest.mark.parametrize(
    ("flags", "text", "says"),
    [
        ({"apps": 6}, "", "--apps = 6: Input should be less than or equal to 5"),
        ({"apps": 2}, "", "--apps = 2: Input should be greater than or equal to 3"),
        ({"answer_within": "91d"}, "", "expected 0s to 90d"),
        ({}, "[next_app]\nscores = 'churn'\n", "[next_app]: unknown setting scores"),
        ({}, "[next_app]\nanswer_within = 5\n", "answer_within = 5: expected a text with a unit"),
    ],
)
def test_what_the_next_app_job_refuses(flags: dict[str, Any], text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        next_app(flags, {}, toml(tmp_path / "k.toml", text))
    assert says in str(error.value)
