"""A telecom's own records of the same events: JSON of calls, messages and contacts, Avro of data, bills and payments.

`quantised` rounds a canonical event to what the foreign records hold (milliseconds, bytes, cents); `foreign` writes it as its topic's
record; `MAPPING` says how to read them back.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import fastavro

Event = dict[str, Any]

SCHEMA: dict[str, Any] = {
    "type": "record", "name": "Usage", "namespace": "net.telco", "fields": [
        {"name": "sub", "type": {"type": "record", "name": "Sub", "fields": [{"name": "msisdn", "type": "string"}]}},
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["DATA", "BILL", "PAY", "PROBE"]}},
        {"name": "volume", "type": ["null", "long"], "default": None},
        {"name": "rat", "type": ["null", "int"], "default": None},
        {"name": "bill", "type": ["null", "string"], "default": None},
        {"name": "cents", "type": ["null", "long"], "default": None},
        {"name": "due", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
    ],
}  # fmt: skip
PARSED = fastavro.parse_schema(SCHEMA)
RATS = {"WIFI": 3, "G4": 6, "G5": 10}

MAPPING = """\
version: 1
sources:
  - topics: [{json}]
    format: json
    fields:
      customer_id: subscriber.msisdn
      event_id: id
      event_time: {{path: start, format: "%Y-%m-%d %H:%M:%S.%f", time_zone: Europe/Berlin}}
    events:
      - type: Call
        when: {{kind: [MOC, MTC]}}
        direction: {{path: kind, values: {{MOC: OUTGOING, MTC: INCOMING}}}}
        duration_s: {{path: "legs[0].dur_ms", unit: ms}}
        outcome: {{path: cause, values: {{16: COMPLETED, 31: DROPPED}}, otherwise: FAILED}}
      - type: Message
        when: {{kind: SMS}}
      - type: SupportContact
        when: {{kind: CARE}}
        topic: {{path: reason, values: {{info: QUESTION, angry: COMPLAINT, leave: CANCELLATION}}, otherwise: OTHER}}
        resolved: {{path: done, values: {{J: true, N: false}}}}
  - topics: [{avro}]
    {format}
    fields:
      customer_id: sub.msisdn
      event_id: id
      event_time: at
    events:
      - type: DataSession
        when: {{kind: DATA}}
        megabytes: {{path: volume, unit: bytes}}
        network: {{path: rat, values: {{3: WIFI, 6: G4, 10: G5}}, otherwise: UNKNOWN}}
      - type: Bill
        when: {{kind: BILL}}
        bill_id: bill
        amount: {{path: cents, unit: cents}}
        due_time: due
      - type: Payment
        when: {{kind: PAY}}
        bill_id: bill
        amount: {{path: cents, unit: cents}}
"""
JSON_TYPES = {"Call", "Message", "SupportContact"}
TYPES = JSON_TYPES | {"DataSession", "Bill", "Payment"}


def quantised(event: Event) -> Event:
    """The event as far as the foreign records can say it."""
    rounded = dict(event)
    for name, parts in (("duration_s", 1000), ("megabytes", 10**6), ("amount", 100)):
        if name in rounded:
            rounded[name] = round(rounded[name] * parts) / parts
    return rounded


def foreign(event: Event) -> bytes:
    """A quantised event as the foreign record of its topic."""
    return _json(event) if event["type"] in JSON_TYPES else _avro(event)


def _json(event: Event) -> bytes:
    start = datetime.fromtimestamp(event["event_time"] / 1000, UTC).astimezone(ZoneInfo("Europe/Berlin"))
    record: dict[str, Any] = {
        "subscriber": {"msisdn": event["customer_id"]},
        "id": event["event_id"],
        "start": start.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    if event["type"] == "Call":
        record["kind"] = "MOC" if event.get("direction", "OUTGOING") == "OUTGOING" else "MTC"
        record["legs"] = [{"dur_ms": round(event["duration_s"] * 1000)}]
        record["cause"] = {"COMPLETED": "16", "DROPPED": 31, "FAILED": "?"}[event.get("outcome", "COMPLETED")]
    elif event["type"] == "Message":
        record["kind"] = "SMS"
    else:
        record["kind"] = "CARE"
        record["reason"] = {"QUESTION": "info", "COMPLAINT": "angry", "CANCELLATION": "leave"}[event["topic"]]
        record["done"] = {True: "J", False: "N", None: None}[event.get("resolved")]
    return json.dumps(record).encode()


def _avro(event: Event) -> bytes:
    kind = {"DataSession": "DATA", "Bill": "BILL", "Payment": "PAY"}[event["type"]]
    record: dict[str, Any] = {"sub": {"msisdn": event["customer_id"]}, "id": event["event_id"], "at": event["event_time"], "kind": kind}
    if kind == "DATA":
        record |= {"volume": round(event["megabytes"] * 10**6), "rat": RATS.get(event.get("network", ""), 99)}
    else:
        record |= {"bill": event.get("bill_id"), "cents": round(event["amount"] * 100), "due": event.get("due_time")}
    return avro_bytes(record)


def avro_bytes(record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, record)
    return out.getvalue()
