"""The topics as an AsyncAPI 3.0 document, made from the Avro schemas: what the job receives, what it sends, keys and headers.

The payload of a message is the Avro schema itself, since that is what the value holds behind its framing; `x-json-schema` names the JSON
Schema of the same record as `tail` prints it (jsonschemas.py). `documents` makes all the files of `keepline schemas export`.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from keepline.schemas import jsonschemas
from keepline.schemas.catalog import EVENT_TYPES, OUTPUT_NAMES, EventType, output_schema

VERSION = "1.0.0"
"""Of the document. Which fields a record has, its schema says."""
AVRO = "application/vnd.apache.avro;version=1.9.0"
CONTENT = "avro/binary"
KAFKA = "0.5.0"
"""Of AsyncAPI's Kafka bindings."""
ONE_TOPIC = "telemetry"
PREFIX = "retention"
OUTPUT_TOPICS = {
    "Score": "scores",
    "Intervention": "interventions",
    "Decision": "decisions",
    "DeadLetter": "dead-letters",
    "LateEvent": "late-events",
    "LabelledOutcome": "labelled-outcomes",
    "ErasureReceipt": "erasure-receipts",
}
"""What stands behind the prefix, for each record that the retention job sends, by channel."""
NEXT_APP_PREFIX = "device"
NEXT_APP_TOPICS = {"AppPrediction": "app-predictions"}
"""The next-app job's own; its dead letters, late events and receipts are like the retention job's, behind its own prefix."""
KEYS = {
    "Score": "customer_id, score and role, as `c-1001|churn|CHAMPION`, in UTF-8",
    "DeadLetter": "the key of the record that could not be used, as received",
    "ErasureReceipt": "request_id in UTF-8",
}
CUSTOMER = "customer_id in UTF-8"
COMPACTED = {"Score", "AppPrediction"}
FRAMING = "Avro binary in single-object encoding: C3 01, the 8 bytes of the schema's CRC-64-AVRO fingerprint (little-endian), the record."
ABOUT = f"""\
Keepline scores every customer of a telecom company while their events arrive, and says whom to contact, with what, and why. Its next-app
job tells which apps come next at each unlock of a phone; that job's dead letters, late events and receipts are like the retention job's,
behind its own prefix.

Values are {FRAMING}
Input may also have the header of Confluent's serialisers, 00 and a 4-byte schema id. Read the outputs with isolation.level=read_committed.
"""

Json = dict[str, Any]


def documents() -> dict[str, str]:
    """The text of every file, by its path in the folder."""
    found = {"asyncapi.yaml": _yaml(document())}
    found |= {_json_file("events", event.name): _json(jsonschemas.of_event(event)) for event in EVENT_TYPES}
    return found | {_json_file("outputs", name): _json(jsonschemas.of_output(name)) for name in OUTPUT_NAMES}


def document() -> Json:
    """The AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Keepline",
            "version": VERSION,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": CONTENT,
        "channels": _input_channels() | _output_channels(),
        "operations": _operations(),
        "components": {
            "messages": {event.name: _event_message(event) for event in EVENT_TYPES}
            | {name: _message(output_schema(name), "outputs", KEYS.get(name, CUSTOMER)) for name in (*OUTPUT_TOPICS, *NEXT_APP_TOPICS)}
        },
    }


def _input_channels() -> Json:
    every = {event.name: _ref("messages", event.name) for event in EVENT_TYPES}
    about = "The default: every type in one topic, so that a customer's records keep one order, and live run and replay give the same."
    found: Json = {ONE_TOPIC: {"address": ONE_TOPIC, "description": about, "messages": every}}
    for event in EVENT_TYPES:
        about = f"Where a company has a topic a type: {event.schema['doc']} Order across topics is the order of arrival."
        found[event.topic] = {"address": event.topic, "description": about, "messages": {event.name: every[event.name]}}
    return found


def _output_channels() -> Json:
    found = {topic: _output_channel(name, topic, PREFIX) for name, topic in OUTPUT_TOPICS.items()}
    return found | {topic: _output_channel(name, topic, NEXT_APP_PREFIX) for name, topic in NEXT_APP_TOPICS.items()}


def _output_channel(name: str, topic: str, prefix: str) -> Json:
    found = {
        "address": f"{{prefix}}.{topic}",
        "description": output_schema(name)["doc"],
        "parameters": {"prefix": {"default": prefix, "description": "The job's setting output_prefix."}},
        "messages": {name: _ref("messages", name)},
    }
    if name in COMPACTED:
        found["bindings"] = {"kafka": {"topicConfiguration": {"cleanup.policy": ["compact"]}, "bindingVersion": KAFKA}}
    return found


def _operations() -> Json:
    received = [ONE_TOPIC, *(event.topic for event in EVENT_TYPES)]
    found = {f"receive-{topic}": {"action": "receive", "channel": {"$ref": f"#/channels/{topic}"}} for topic in received}
    return found | {f"send-{topic}": {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}} for topic in _output_channels()}


def _event_message(event: EventType) -> Json:
    return _message(event.schema, "events", f"{CUSTOMER}; a record without a key is keyed by its customer_id, another key is an error")


def _message(avro: Json, folder: str, key: str) -> Json:
    name = avro["name"]
    created = "When the event was sent by `keepline produce` or another producer, epoch ms as text; outputs carry that of their event."
    return {
        "name": f"{avro['namespace']}.{name}",
        "title": name,
        "summary": avro["doc"],
        "description": FRAMING,
        "contentType": CONTENT,
        "headers": {"type": "object", "properties": {"created_ms": {"type": "string", "pattern": "^[0-9]+$", "description": created}}},
        "payload": {"schemaFormat": AVRO, "schema": avro},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": KAFKA}},
        "x-json-schema": _json_file(folder, name),
    }


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _json_file(folder: str, name: str) -> str:
    return f"{folder}/{name}.schema.json"


def _json(schema: Json) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class _Plain(yaml.SafeDumper):
    """Without anchors: what is the same twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the dumper's own interface
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Text of several lines keeps them."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Plain.add_representer(str, _Plain.represent_str)


def _yaml(document: Json) -> str:
    head = "# Made by `keepline schemas export` from schemas/events and schemas/outputs. Do not edit.\n"
    return head + str(yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=140))
