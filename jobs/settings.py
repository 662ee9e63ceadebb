"""The settings of a job: one typed, frozen object from four places with one set of names.

A flag (`--redis-url`) wins over the environment (`KEEPLINE_REDIS_URL`), which wins over the file (`redis_url` in
`keepline.toml`, or the file that `KEEPLINE_CONFIG` names), which wins over the default. A name nobody knows is refused with
the nearest known one. Kafka client properties pass through `kafka` (`--kafka security.protocol=SASL_SSL`, `[kafka]` in the
file, `KEEPLINE_KAFKA='{"security.protocol": "SASL_SSL"}'`).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from keepline.jobs.durations import parse_ms
from keepline.schemas.errors import KeeplineError

PREFIX = "KEEPLINE_"
NOT_SETTINGS = frozenset({"KEEPLINE_CONFIG", "KEEPLINE_JAR", "KEEPLINE_NUMBA_CACHE", "KEEPLINE_SHARED_DATA"})
"""Variables of this prefix that say where things are, not what a job does."""
PRETRAINED = Path(__file__).resolve().parent.parent / "models" / "pretrained" / "churn" / "1"
SECRET = re.compile(r"password|secret|sasl\.jaas\.config|token|\.key$", re.IGNORECASE)

Duration = Annotated[int, BeforeValidator(lambda v: v if isinstance(v, int) else parse_ms(v))]


class SettingsError(KeeplineError):
    """A setting that is unknown or does not hold what it should; the message names it and where it came from."""


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class RetentionSettings(BaseSettings):
    """What `keepline run retention` takes. Durations are in milliseconds once read ("1s", "30d" as written)."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, protected_namespaces=())

    bootstrap_servers: str = Field("localhost:9092", description="Kafka brokers, host:port,host:port")
    topics: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(("telemetry",), description="input topics, comma-separated")
    output_prefix: str = Field("retention", description="output topics are PREFIX.scores, PREFIX.interventions, …")
    redis_url: str = Field("redis://localhost:6379/0", description='the live view; "" for none')
    redis_ttl: Duration = Field(0, description="time to live of the view's keys; 0s for ever")
    model: Path = Field(PRETRAINED, description="folder or manifest.json of a trained model")
    job_name: str = Field("keepline-retention", description="names the job, its consumer group and its transactions")
    emit: Literal["band", "delta", "every"] = Field("delta", description="when a score is put out")
    delta: float = Field(0.01, ge=0, description="with --emit delta: the least change of a score")
    cooldown: Duration = Field(30 * 86_400_000, description="least time between two interventions for a customer")
    disorder: Duration = Field(3_600_000, description="how far events of one customer may be out of order")
    idle_after: Duration = Field(60_000, description="a partition silent this long follows the wall clock; 0s never")
    currency: str = Field("", description="the currency that amounts are in")
    parallelism: int = Field(1, ge=1, le=1024, description="subtasks")
    checkpoint_interval: Duration = Field(1000, description="exactly-once output is visible this often")
    checkpoint_dir: str = Field("", description="file:// or other URL; the cluster's own where empty")
    state_backend: Literal["hashmap", "rocksdb"] = Field("hashmap", description="where keyed state is kept")
    restore: str = Field("", description="savepoint or checkpoint to start from")
    bounded: bool = Field(False, description="stop at the end of what is in the topics now")
    rest_port: int = Field(8081, ge=0, le=65535, description="Flink's page in a local run; 0 picks a free port")
    kafka: dict[str, str] = Field(default_factory=dict, description="Kafka client properties, passed through")

    @field_validator("topics")
    @classmethod
    def _some_topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(value) > 256 or len(set(value)) != len(value):
            msg = "expected 1 to 256 different topic names"
            raise ValueError(msg)
        return value

    @field_validator("job_name", "output_prefix")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
            msg = "expected 1 to 100 letters, digits, dots, dashes or underscores"
            raise ValueError(msg)
        return value

    @field_validator("checkpoint_interval")
    @classmethod
    def _some_interval(cls, value: int) -> int:
        if not 10 <= value <= 600_000:  # noqa: PLR2004 — a transaction must end within the broker's 15 minutes
            msg = "expected 10ms to 10m: exactly-once output commits at checkpoints, within the broker's transaction limit of 15 minutes"
            raise ValueError(msg)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """All places are merged by `load`, which knows where each value came from."""
        return (init_settings,)

    def shown(self) -> dict[str, Any]:
        """The settings for people and logs, secrets masked."""
        values = self.model_dump(mode="json")
        values["redis_url"] = mask_url(self.redis_url)
        values["kafka"] = {k: "******" if SECRET.search(k) else v for k, v in self.kafka.items()}
        return values


def mask_url(url: str) -> str:
    """The URL without its password.

    >>> mask_url("rediss://app:s3cret@cache:6380/0")
    'rediss://app:******@cache:6380/0'
    """
    return re.sub(r"(//[^:@/]*:)[^@]*(?=@)", r"\1******", url)


def _refuse_unknown(names: Iterable[str], known: Iterable[str], where: str, spell: Any) -> None:
    known = sorted(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.0)
            msg = f"{where}: unknown setting {spell(name)}; did you mean {spell(near[0])}?"
            raise SettingsError(msg)


def _from_file(path: Path, model: type[BaseModel]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: cannot be read as TOML: {error}"
        raise SettingsError(msg) from error
    _refuse_unknown(values, model.model_fields, str(path), str)
    return values


def _from_environment(environment: Mapping[str, str], model: type[BaseModel]) -> dict[str, Any]:
    values: dict[str, Any] = {
        name[len(PREFIX) :].lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }
    _refuse_unknown(values, model.model_fields, "environment", lambda name: PREFIX + name.upper())
    return values


def _properties(value: Any, where: str) -> dict[str, str]:
    if isinstance(value, str):
        import json  # noqa: PLC0415

        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            msg = f'{where}: expected a JSON object such as {{"security.protocol": "SASL_SSL"}}: {error}'
            raise SettingsError(msg) from error
    if isinstance(value, dict):
        return {str(k): str(v) for k, v in _flatten(value).items()}
    pairs = [str(item).partition("=") for item in value]
    for key, sign, _ in pairs:
        if not (key and sign):
            msg = f"{where}: {key!r} is not a property: expected name=value, such as security.protocol=SASL_SSL"
            raise SettingsError(msg)
    return {key: text for key, _, text in pairs}


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """TOML reads `security.protocol = …` as nested tables; Kafka wants the dotted name back."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flatten(item, f"{prefix}{key}.") if isinstance(item, dict) else {prefix + key: item}
    return flat


def load(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None, config: Path | None = None) -> RetentionSettings:
    """The settings of flags over environment over file; SettingsError says which is wrong, where, and what was expected."""
    environment = os.environ if environment is None else environment
    named = environment.get("KEEPLINE_CONFIG")
    path = config or (Path(named) if named else Path("keepline.toml"))
    model = RetentionSettings
    places: list[tuple[str, dict[str, Any]]] = []
    if path.exists() or config or named:
        places.append((str(path), _from_file(path, model)))
    places.append(("environment", _from_environment(environment, model)))
    given = {name: value for name, value in flags.items() if value is not None}
    _refuse_unknown(given, model.model_fields, "command line", lambda name: "--" + name.replace("_", "-"))
    places.append(("command line", given))
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for where, values in places:
        for name, value in values.items():
            if name == "kafka":
                merged["kafka"] = merged.get("kafka", {}) | _properties(value, where)
            else:
                merged[name] = value
            origin[name] = where
    try:
        return model(**merged)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            shown = "******" if name in {"kafka", "redis_url"} else repr(problem.get("input"))
            lines.append(f"{origin.get(name, 'default')}: {name} = {shown}: {problem['msg'].removeprefix('Value error, ')}")
        raise SettingsError("\n".join(lines)) from error
