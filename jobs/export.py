"""`export`: everything that the job's stores hold of one customer, in one file: the right of access.

    Redis view, PREFIX.* topics (committed), exported outcomes ──► a section a store: where, how long it is kept there, what was found

A store that cannot be read ends the export, since a file that leaves one out without a word would pass for all there is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from confluent_kafka import KafkaException, Message
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from keepline.jobs import customer_view
from keepline.jobs.kafka_client import PATIENCE_SECONDS, client, properties
from keepline.jobs.outcome_tables import epoch_ms
from keepline.jobs.settings import RetentionSettings, mask_url
from keepline.jobs.tail import messages
from keepline.operators.spec import CHANNELS, NEXT_APP_CHANNELS
from keepline.schemas.durations import shown
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import DEAD_LETTERS, ERASURE_RECEIPTS, LATE_EVENTS, SCORES, peek
from keepline.schemas.records import RecordError, to_record
from keepline.schemas.times import to_rfc3339

Progress = Callable[[int, int], None]
Section = dict[str, Any]
UNKNOWN_TIME = "not known: this user may not ask (DescribeConfigs on the topic)"


class ExportError(KeeplineError):
    """A store that cannot be read, or a file that cannot be written; the message says what to do."""


def export(
    settings: RetentionSettings,
    customer: str,
    now_ms: int,
    outcomes: Path | None = None,
    given: Iterable[str] = (),
    progress: Progress | None = None,
    next_app_prefix: str = "",
) -> dict[str, Any]:
    """All that is found, with times as epoch ms; KeeplineError for a store that cannot be read.

    `next_app_prefix`: the output prefix of a next-app job, whose topics are then read too.
    """
    stores = [_redis(settings.redis_url, customer)] if settings.redis_url else []
    outputs = [(CHANNELS, settings.output_prefix), *([(NEXT_APP_CHANNELS, next_app_prefix)] if next_app_prefix else [])]
    topics = [(channel, f"{prefix}.{name}") for names, prefix in outputs for channel, name in enumerate(names) if name]
    topics = [(channel, topic) for channel, topic in topics if channel != ERASURE_RECEIPTS]
    stores += _topics(settings.bootstrap_servers, topics, customer, list(given), progress)
    stores += [_outcomes(outcomes, customer)] if outcomes is not None else []
    return {
        "customer_id": customer,
        "made_at": to_rfc3339(now_ms),
        "made_by": f"keepline {version('keepline')}",
        "found": sum(len(each["records"]) for each in stores),
        "stores": stores,
        "not_in_this_file": _elsewhere(settings, outcomes, next_app_prefix),
    }


def _redis(url: str, customer: str) -> Section:
    records = [
        {
            "key": each.key,
            "kept": "for ever" if each.ttl_ms is None else f"for {each.ttl_ms // 1000} s from now",
            "record": dict(each.record),
        }
        for each in customer_view.read(url, customer)
    ]
    kept = "the newest of each kind, until a newer one, an erasure, or the time to live of redis_ttl; see each key"
    return {"store": "Redis view", "where": mask_url(url), "kept": kept, "records": records}


def _topics(servers: str, topics: list[tuple[int, str]], customer: str, given: list[str], progress: Progress | None) -> Iterator[Section]:
    """A section for each output topic (channel, name) whose records tell whose they are."""
    kept = _retention(servers, [topic for _, topic in topics], given)
    read = 0
    for channel, topic in topics:
        records = []
        for message in messages(topic, servers, given):
            read += 1
            if progress and read % 10_000 == 0:
                progress(read, 0)
            if _theirs(channel, message, customer):
                records.append(_entry(channel, message))
        yield {"store": f"Kafka topic {topic}", "where": servers, "kept": kept[topic], "records": records}


def _theirs(channel: int, message: Message, customer: str) -> bool:
    """Whether a record is about the customer: by its key, and a dead letter also by the customer_id that its value begins with."""
    key, own = message.key() or b"", customer.encode()
    if channel == SCORES:
        return key.rpartition(b"|")[0].rpartition(b"|")[0] == own
    if key == own:
        return True
    if channel != DEAD_LETTERS or own not in (message.value() or b""):
        return False
    try:
        return peek(to_record(message.value() or b"")[1]["value"])[0] == own
    except RecordError:
        return False


def _entry(channel: int, message: Message) -> dict[str, Any]:
    value = message.value()
    where = {"partition": message.partition(), "offset": message.offset(), "timestamp": message.timestamp()[1]}
    if value is None:
        return {**where, "key": (message.key() or b"").decode(errors="replace"), "tombstone": True}
    try:
        record = to_record(value)[1]
    except RecordError as error:
        return {**where, "unreadable": str(error), "value": value}
    if channel in (DEAD_LETTERS, LATE_EVENTS):
        # What came, in words, where it can be read: bytes would be of no use to who asks.
        try:
            name, event = to_record(record["value"])
            where["event"] = {"type": name, **event}
        except RecordError:
            pass
    return {**where, "record": record}


def _retention(servers: str, topics: list[str], given: list[str]) -> dict[str, str]:
    """How long each topic keeps its records, in words."""
    asked = client(AdminClient, {"bootstrap.servers": servers, **properties(given)})
    resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    answers = asked.describe_configs(resources, request_timeout=PATIENCE_SECONDS)
    return {resource.name: _kept(answer) for resource, answer in answers.items()}


def _kept(answer: Any) -> str:
    try:
        found = answer.result(PATIENCE_SECONDS)
    except (KafkaException, TimeoutError):
        return UNKNOWN_TIME
    cleanup, limit = found["cleanup.policy"].value, int(found["retention.ms"].value)
    words = ["the newest record of a key without end, older ones until the topic is compacted"] if "compact" in cleanup else []
    if "delete" in cleanup:
        words.append("without end" if limit < 0 else f"for {shown(limit)} by Kafka's time")
    return "; ".join(words)


def _outcomes(path: Path, customer: str) -> Section:
    """Rows of every Parquet file there that has the customer."""
    if not path.exists():
        msg = f"{path}: no such folder or file; check --outcomes"
        raise ExportError(msg)
    records = []
    for file in [path] if path.is_file() else sorted(path.rglob("*.parquet")):
        try:
            found = pq.ParquetFile(file)
            if "customer_id" not in found.schema_arrow.names:
                continue
            # As text, since files of others may have whole numbers or categories for ids.
            theirs = pc.fill_null(pc.equal(found.read(["customer_id"])["customer_id"].cast(pa.string()), customer), fill_value=False)
            rows = found.read().filter(theirs).to_pylist() if pc.any(theirs).as_py() else []
        except (pa.ArrowException, OSError) as error:
            msg = f"{file}: cannot be read, so the customer may be in it ({error}); repair or remove the file, and run this again"
            raise ExportError(msg) from None
        records += [{"file": str(file), "row": row} for row in rows]
    kept = "until the files are deleted, or `keepline outcomes erase` has run"
    return {"store": "Exported outcomes", "where": str(path), "kept": kept, "records": records}


def _elsewhere(settings: RetentionSettings, outcomes: Path | None, next_app_prefix: str) -> list[dict[str, str]]:
    """What this file does not have, and where it is."""
    told = [
        (
            "Flink's state of the job, and its checkpoints and savepoints",
            "windowed sums and newest values of the customer's events; consents, time zone, contacts that count in caps, cool-downs, held "
            "offers, and decisions whose outcomes are waited for",
            "it cannot be asked for one customer. made_from in each decision shows what was known of the customer then, labelled outcomes "
            "have the features. It goes with an Erasure event; all but consents and time zone goes 400 days after the last event",
        ),
        (f"Kafka topics {', '.join(settings.topics)}", "the events as they came in", "they are the company's own; key is the customer_id"),
        (
            f"Kafka topic {settings.output_prefix}.erasure-receipts",
            "request_id, time and counts of erasures",
            "it names no customer: look for the request_id",
        ),
        ("those who read the outputs", "offers made and what came of them: CRM, campaign tools, a data warehouse", "ask them"),
    ]
    if not settings.redis_url:
        told.append(
            (
                "Redis",
                "the newest score, intervention, decision and prediction",
                'redis_url is "", so there is no view; else give --redis-url',
            )
        )
    if outcomes is None:
        told.append(("Exported outcomes", "Parquet files of `keepline outcomes export`", "give their folder: --outcomes DIR"))
    if not next_app_prefix:
        told.append(
            ("Kafka topics of a next-app job", "predictions of the next app", "where there is such a job: --next-app-prefix device")
        )
    return [{"store": store, "holds": holds, "how": how} for store, holds, how in told]


def write(path: Path, found: dict[str, Any]) -> None:
    """Writes the file in the place of an older one, whole or not at all, readable by this user alone (mode 0600)."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(found, file, ensure_ascii=False, indent=1, default=_plain)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror}; choose another --out"
        raise ExportError(msg) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """What JSON has no words for."""
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    return epoch_ms(value) if isinstance(value, datetime) and value.tzinfo else str(value)
