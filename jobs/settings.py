"""The settings of a job: one typed, frozen object from four places with one set of names.

A flag (`--redis-url`) wins over the environment (`KEEPLINE_REDIS_URL`), which wins over the file (`redis_url` in
`keepline.toml`, or the file that `KEEPLINE_CONFIG` names), which wins over the default. A name nobody knows is refused with
the nearest known one. A job beside the retention job has a table of its own (`[ingest]`, `KEEPLINE_INGEST_…`), and shares what leads to
servers. Kafka client properties pass through `kafka` (`--kafka security.protocol=SASL_SSL`, `[kafka]` in the file,
`KEEPLINE_KAFKA='{"security.protocol": "SASL_SSL"}'`), those of the schema registry's client through `registry`.
`${env:NAME}` and `${file:/path}` in these and in the URLs of Redis and the registry stand for secrets kept elsewhere (references.py).
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from keepline.jobs import references
from keepline.jobs.durations import parse_ms
from keepline.schemas.errors import KeeplineError
from keepline.schemas.topics import TOPIC

PREFIX = "KEEPLINE_"
NOT_SETTINGS = frozenset(
    {
        "KEEPLINE_BROKER_JARS", "KEEPLINE_CONFIG", "KEEPLINE_FLINK_URL", "KEEPLINE_JAR", "KEEPLINE_NUMBA_CACHE",
        "KEEPLINE_PSEUDONYM_KEY", "KEEPLINE_SHARED_DATA", "KEEPLINE_ZOOKEEPER_JARS",
    }
)  # fmt: skip
"""Variables of this prefix that say where things are, or that are tools' own, not what a job does."""
PRETRAINED = Path(__file__).resolve().parent.parent / "models" / "pretrained" / "churn" / "1"
PRETRAINED_CLV = PRETRAINED.parents[1] / "clv" / "1"
POLICY = PRETRAINED.parents[2] / "policies" / "retention.yaml"
POLICIES = {("clv",): POLICY.with_name("clv.yaml"), ("churn", "clv"): POLICY.with_name("retention-clv.yaml")}
"""The policy that is in force where none is given, by what is scored."""
SECRET = re.compile(r"password|secret|sasl\.jaas\.config|token|credential|user\.info|\.key$|\.pem$", re.IGNORECASE)
MASK = "******"
PROPERTIES = ("kafka", "registry", "flink")
"""Settings that pass a client's own properties through."""
URLS = ("redis_url", "registry_url")
GONE = {"cooldown": "policy"}
"""Settings of earlier versions, and what has taken their place."""
SERVER = re.compile(r"[^\s,]+:\d{1,5}", re.ASCII)


class SettingsError(KeeplineError):
    """A setting that is unknown or does not hold what it should; the message names it and where it came from."""


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _milliseconds(value: Any) -> int:
    return value if type(value) is int else parse_ms(value)


Duration = Annotated[int, BeforeValidator(_milliseconds)]


def plain_name(value: str) -> str:
    """The name, if it can be part of a topic's; ValueError if not."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
        msg = "expected 1 to 100 letters, digits, dots, dashes or underscores"
        raise ValueError(msg)
    return value


class JobSettings(BaseModel):
    """What every job on Flink takes. Durations are in milliseconds once read ("1s", "30d" as written)."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    SECTION: ClassVar[str] = ""
    """The table of the settings file that is this job's own; "" for what stands before all tables."""

    bootstrap_servers: str = Field("localhost:9092", description="Kafka brokers, host:port,host:port")
    job_name: str = Field(description="names the job, its consumer group and its transactions")
    parallelism: int = Field(1, ge=1, le=1024, description="subtasks")
    checkpoint_interval: Duration = Field(1000, description="exactly-once output is visible this often")
    checkpoint_dir: str = Field("", description="file:// or other URL; the cluster's own where empty")
    state_backend: Literal["hashmap", "rocksdb"] = Field("hashmap", description="where keyed state is kept")
    restore: str = Field("", description="savepoint or checkpoint to start from")
    bounded: bool = Field(False, description="stop at the end of what is in the topics now")
    rest_port: int = Field(8081, ge=0, le=65535, description="Flink's page in a local run; 0 picks a free port")
    metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus metrics of a local run, on /metrics; 0 for none")
    kafka: dict[str, str] = Field(default_factory=dict, description="Kafka client properties, passed through")
    flink: dict[str, str] = Field(default_factory=dict, description="Flink settings of the job, over its own")
    registry_url: str = Field("", description='schema registry, for values with a schema id; "" for none')
    registry: dict[str, str] = Field(default_factory=dict, description="schema registry client properties, passed through")
    unknown_id_ttl: Duration = Field(30_000, description="a schema id that the registry does not know is asked again after this")

    @field_validator("bootstrap_servers")
    @classmethod
    def _some_servers(cls, value: str) -> str:
        if not all(SERVER.fullmatch(server.strip()) for server in value.split(",")):
            msg = "expected host:port, several separated by commas, such as localhost:9092"
            raise ValueError(msg)
        return value

    @field_validator("registry_url")
    @classmethod
    def _registry_place(cls, value: str) -> str:
        if value and not all(re.match(r"https?://[^/]", url.strip()) for url in value.split(",")):
            msg = 'expected https://host:port, several separated by commas, or "" for none'
            raise ValueError(msg)
        return value

    @field_validator("job_name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        return plain_name(value)

    @field_validator("checkpoint_interval")
    @classmethod
    def _some_interval(cls, value: int) -> int:
        if not 10 <= value <= 600_000:
            msg = "expected 10ms to 10m: exactly-once output commits at checkpoints, within the broker's transaction limit of 15 minutes"
            raise ValueError(msg)
        return value

    def reads(self) -> tuple[tuple[str, ...], str]:
        """The input topics, and where reading begins without a state: committed, earliest or latest."""
        raise NotImplementedError

    def shown(self) -> dict[str, Any]:
        """The settings for people and logs, secrets masked."""
        values = {name: mask_url(value) if isinstance(value, str) else value for name, value in self.model_dump(mode="json").items()}
        for name in PROPERTIES:
            values[name] = {key: MASK if SECRET.search(key) else mask_url(value) for key, value in getattr(self, name).items()}
        return values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.shown().items())})"

    __str__ = __repr__


class BatchedSettings(JobSettings):
    """What every job of a batched operator takes: telemetry in, outputs to topics of one prefix, and a live view."""

    topics: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(("telemetry",), description="input topics, comma-separated")
    output_prefix: str = Field(description="output topics are PREFIX.dead-letters and so on")
    redis_url: str = Field("redis://localhost:6379/0", description='the live view; "" for none')
    redis_ttl: Duration = Field(0, description="time to live of the view's keys; 0s for ever")
    disorder: Duration = Field(3_600_000, description="how far events of one key may be out of order")
    idle_after: Duration = Field(60_000, description="a partition silent this long follows the wall clock; 0s never")
    resident_states: int = Field(0, ge=0, description="states kept in memory, a subtask; 0: as many as its memory has room for")
    writer_schemas: Annotated[tuple[Path, ...], BeforeValidator(_split)] = Field(
        (), description="Avro schemas (.avsc, or folders of them) of other producers, comma-separated"
    )

    @field_validator("output_prefix")
    @classmethod
    def _plain_prefix(cls, value: str) -> str:
        return plain_name(value)

    @field_validator("topics")
    @classmethod
    def _some_topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(value) > 255 or len(set(value)) != len(value) or not all(map(TOPIC.fullmatch, value)):
            msg = "expected 1 to 255 different topic names of letters, digits, dots, dashes or underscores"
            raise ValueError(msg)
        return value

    @field_validator("resident_states")
    @classmethod
    def _more_than_a_batch(cls, value: int) -> int:
        if 0 < value < LEAST_RESIDENT:
            msg = f"expected at least {LEAST_RESIDENT:,}, or 0 for as many as there is room for"
            raise ValueError(msg)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_place(cls, value: str) -> str:
        if value and not re.match(r"rediss?://[^/]", value):
            msg = 'expected redis://user:password@host:port/db (rediss:// with TLS), or "" for none'
            raise ValueError(msg)
        return value

    def reads(self) -> tuple[tuple[str, ...], str]:
        """The topics, from their beginning."""
        return self.topics, "earliest"


class RetentionSettings(BatchedSettings):
    """What `keepline run retention` takes. Durations are in milliseconds once read ("1s", "30d" as written)."""

    output_prefix: str = Field("retention", description="output topics are PREFIX.scores, PREFIX.interventions, …")
    job_name: str = Field("keepline-retention", description="names the job, its consumer group and its transactions")
    scores: Annotated[tuple[Literal["churn", "clv"], ...], BeforeValidator(_split)] = Field(
        ("churn",), description="what is scored: churn, clv, or both, comma-separated"
    )
    model: Path = Field(PRETRAINED, description="folder or manifest.json of a trained churn model")
    clv_model: Path = Field(PRETRAINED_CLV, description="folder or manifest.json of `keepline clv fit`")
    clv_regression: Literal["none"] | Path = Field(
        "none", description="folder or manifest.json of `keepline train clv`; none: no such score"
    )
    emit: Literal["band", "delta", "every"] = Field("delta", description="when a score is put out")
    delta: float = Field(0.01, ge=0, allow_inf_nan=False, description="with --emit delta: the least change of a score")
    policy: Literal["none"] | Path = Field(
        POLICY, description="the contact policy, a YAML file; none: scores only; else one for the scores"
    )
    currency: str = Field("", description="the currency that amounts are in")

    @model_validator(mode="before")
    @classmethod
    def _policy_of_the_scores(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "policy" in values:
            return values
        scores = _split(values.get("scores", "churn"))
        given = tuple(sorted(scores)) if isinstance(scores, list | tuple) and all(isinstance(each, str) for each in scores) else ()
        return {**values, "policy": POLICIES.get(given, POLICY)}

    @field_validator("scores")
    @classmethod
    def _in_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            msg = "expected churn, clv, or both, each once, such as churn,clv"
            raise ValueError(msg)
        return tuple(sorted(value))


LEAST_RESIDENT = 1000
"""A batch's states must be resident at once, and batches of few customers are slow."""
SECTIONS = ("ingest", "next_app")
"""Jobs that have a table of their own."""
SHARED = frozenset({"bootstrap_servers", *PROPERTIES, "redis_url", "registry_url", "unknown_id_ttl"})
"""What stands before all tables and is every job's: the way to the servers."""
Spell = Callable[[str], str]
S = TypeVar("S", bound=JobSettings)


class _Place(NamedTuple):
    """Where settings come from, what it holds, and how it spells a name."""

    where: str
    values: dict[str, Any]
    spell: Spell


def mask_url(url: str) -> str:
    """The URL without its password, be it before the host or a parameter.

    >>> mask_url("rediss://app:s3c@ret@cache:6380/0")
    'rediss://app:******@cache:6380/0'
    """
    url = re.sub(r"(//[^:@/]*:).*(?=@)", rf"\1{MASK}", url)
    return re.sub(r"([?&]password=)[^&]*", rf"\1{MASK}", url)


def _as_flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _as_variable(name: str) -> str:
    return PREFIX + name.upper()


def _refuse_unknown(place: _Place, kind: type[JobSettings]) -> None:
    known = sorted(kind.model_fields)
    for name in place.values:
        if name not in known:
            near = GONE.get(name) or difflib.get_close_matches(name, known, 1, 0.0)[0]
            msg = f"{place.where}: unknown setting {place.spell(name)}; did you mean {place.spell(near)}?"
            raise SettingsError(msg)


def durations(kind: type[JobSettings]) -> frozenset[str]:
    """The settings that are written with a unit of time."""
    return frozenset(
        name
        for name, info in kind.model_fields.items()
        if any(isinstance(item, BeforeValidator) and item.func is _milliseconds for item in info.metadata)
    )


def _from_file(path: Path, kind: type[JobSettings]) -> _Place:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as TOML: {error}"
        raise SettingsError(msg) from error
    for table in (values, *(values[name] for name in SECTIONS if isinstance(values.get(name), dict))):
        for name in (durations(RetentionSettings) | durations(kind)) & table.keys():
            if not isinstance(table[name], str):
                msg = f'{path}: {name} = {table[name]!r}: expected a text with a unit, such as {name} = "30s"'
                raise SettingsError(msg)
    return _Place(str(path), values, str)


def _from_environment(environment: Mapping[str, str]) -> _Place:
    values: dict[str, Any] = {
        name[len(PREFIX) :].lower(): value for name, value in environment.items() if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }
    return _Place("environment", values, _as_variable)


def _properties(value: Any, where: str) -> dict[str, str]:
    """Client properties from a table, a JSON object or a list of name=value."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            msg = f'{where}: expected a JSON object such as {{"security.protocol": "SASL_SSL"}}'
            raise SettingsError(msg)
    if isinstance(value, dict):
        return _flatten(value, where)
    if not isinstance(value, list | tuple):
        msg = f'{where}: expected a table of client properties, such as security.protocol = "SASL_SSL"'
        raise SettingsError(msg)
    pairs = [str(item).partition("=") for item in value]
    for key, sign, _ in pairs:
        if not (key and sign):
            msg = f"{where}: {key!r} is not a property: expected name=value, such as security.protocol=SASL_SSL"
            raise SettingsError(msg)
    return {key.strip(): text for key, _, text in pairs}


def _flatten(value: Mapping[str, Any], where: str, prefix: str = "") -> dict[str, str]:
    """TOML reads `security.protocol = …` as nested tables; Kafka wants the dotted name back."""
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flatten(item, where, f"{prefix}{key}.")
        elif isinstance(item, bool):
            flat[prefix + key] = str(item).lower()
        elif isinstance(item, str | int | float):
            flat[prefix + key] = str(item)
        else:
            msg = f"{where}: the property {prefix}{key} is a {type(item).__name__}: expected a text, a number, true or false"
            raise SettingsError(msg)
    return flat


def _places(flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None, kind: type[JobSettings]) -> Iterator[_Place]:
    """Every place that has settings of this kind of job, the weakest first."""
    named = environment.get("KEEPLINE_CONFIG")
    path = config or (Path(named) if named else Path("keepline.toml"))
    if config or named or path.exists():
        file = _from_file(path, kind)
        tables = {name: file.values.pop(name) for name in SECTIONS if name in file.values}
        yield from _own(file, _Place(f"{path}: [{kind.SECTION}]", tables.get(kind.SECTION, {}), str), kind)
    place = _from_environment(environment)
    starts = tuple(f"{name}_" for name in SECTIONS)
    apart = {name: place.values.pop(name) for name in list(place.values) if name.startswith(starts)}
    start = f"{kind.SECTION}_"
    own = {name.removeprefix(start): value for name, value in apart.items() if name.startswith(start)}
    yield from _own(place, _Place("environment", own, lambda name: _as_variable(start + name)), kind)
    flag = _Place("command line", {name: value for name, value in flags.items() if value is not None}, _as_flag)
    _refuse_unknown(flag, kind)
    yield flag


def _own(common: _Place, table: _Place, kind: type[JobSettings]) -> Iterator[_Place]:
    """What stands before all tables, as far as it is this kind's, and this kind's own table."""
    _refuse_unknown(common, RetentionSettings)
    if not kind.SECTION:
        yield common
        return
    yield common._replace(values={name: value for name, value in common.values.items() if name in SHARED & kind.model_fields.keys()})
    values: Any = table.values
    if not isinstance(values, dict):
        msg = f"{table.where} is {table.values!r}: expected a table of settings"
        raise SettingsError(msg)
    _refuse_unknown(table, kind)
    yield table


def load(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None, config: Path | None = None) -> RetentionSettings:
    """The retention job's settings of flags over environment over file; SettingsError says which is wrong, where, and what was expected."""
    return load_as(RetentionSettings, flags, environment, config)


def load_as(kind: type[S], flags: Mapping[str, Any], environment: Mapping[str, str] | None = None, config: Path | None = None) -> S:
    """As `load`, for a job of this kind."""
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    variables = os.environ if environment is None else environment
    for place in _places(flags, variables, config, kind):
        for name, value in place.values.items():
            origin[name] = f"{place.where}: {place.spell(name)}"
            if name in PROPERTIES:
                found = references.in_properties(_properties(value, origin[name]), variables, origin[name])
                merged[name] = merged.get(name, {}) | found
            elif name in URLS and isinstance(value, str):
                merged[name] = references.in_url(value, variables, origin[name])
            else:
                merged[name] = value
    try:
        return kind(**merged)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            if problem["type"] == "missing":
                problems.append(f"{_as_flag(name)} is missing: give it ({kind.model_fields[name].description})")
                continue
            shown = MASK if name in {*PROPERTIES, "redis_url", "registry_url"} else repr(merged.get(name))
            problems.append(f"{origin.get(name, name)} = {shown}: {problem['msg'].removeprefix('Value error, ')}")
        raise SettingsError("\n".join(problems)) from None  # pydantic's own error shows the values
