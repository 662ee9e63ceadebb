"""A CRM's end of Keepline: acts once on each intervention, and answers with outcomes.

    retention.interventions ──► journal (SQLite) ──► gateway: SMS, mail, … ──► outcomes ──► telemetry

    pip install confluent-kafka fastavro
    python consumer.py run --schemas SCHEMAS                    until it is stopped; one process at a time
    python consumer.py answer INTERVENTION_ID ACCEPTED          what the customer did: ACCEPTED, DECLINED, COMPLAINED, …
    python consumer.py forget CUSTOMER_ID                       the customer is erased

SCHEMAS is Keepline's folder `schemas`. The program needs nothing else of Keepline.

What makes it safe to kill at any moment:

1. An intervention is in the journal before its offset is committed, and its id is the key: read again, it is ignored.
2. The journal says SENDING before the gateway is asked. Whoever finds that after a crash asks the gateway whether it knows the id. So the
   gateway must remember ids; most take one as "idempotency key".
3. What came of it is in the journal together with the outcome, and the outcome stays there until Kafka has it. Sent twice it is the same
   record, with the same event_id and event_time, which Keepline takes once.

For more than one process take a database that all of them reach in the place of SQLite, and lock the rows that one works on.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaException, Message, Producer
from fastavro.schema import fingerprint, to_parsing_canonical_form

SINGLE_OBJECT = b"\xc3\x01"
TABLES = """
CREATE TABLE IF NOT EXISTS offers (
  id TEXT PRIMARY KEY, customer TEXT, offer TEXT, not_before INTEGER, expires_at INTEGER, state TEXT DEFAULT 'WAITING');
CREATE INDEX IF NOT EXISTS open ON offers (not_before) WHERE state IN ('WAITING', 'SENDING');
CREATE TABLE IF NOT EXISTS outcomes (
  event_id TEXT PRIMARY KEY, customer TEXT, id TEXT, outcome TEXT, at INTEGER, sent INTEGER DEFAULT 0);
"""


def now_ms() -> int:
    """The time, epoch ms."""
    return time.time_ns() // 1_000_000


class Schemas:
    """Avro schemas by the fingerprint that stands in front of each value: those in force, and all that were ever released."""

    def __init__(self, folder: Path) -> None:
        self.newest = {
            name: json.loads((folder / place / f"{name}.avsc").read_bytes())
            for name, place in (("Intervention", "outputs"), ("Outcome", "events"))
        }
        released = [json.loads(path.read_bytes()) for path in (folder / "history" / "Intervention").glob("*.avsc")]
        self.writers = {self.mark(schema): schema for schema in (*released, self.newest["Intervention"])}

    @staticmethod
    def mark(schema: Any) -> bytes:
        """The ten bytes that say "single-object encoding, of this schema"."""
        return SINGLE_OBJECT + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))

    def intervention(self, value: bytes) -> dict[str, Any]:
        """A record, whichever version wrote it, with the fields of the newest; SystemExit for one that these schemas do not have."""
        if value[:10] not in self.writers:
            sys.exit(
                f"no schema of this record: {value[:10].hex()}; take the folder of schemas of the Keepline that wrote it, and start again"
            )
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), self.writers[value[:10]], self.newest["Intervention"])
        return {name: round(field.timestamp() * 1000) if isinstance(field, datetime) else field for name, field in record.items()}

    def outcome(self, record: dict[str, Any]) -> bytes:
        """An Outcome event, ready to be sent."""
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self.newest["Outcome"], record)
        return self.mark(self.newest["Outcome"]) + body.getvalue()


class Journal:
    """What is to be done and what was done. Each method is one transaction, which is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, timeout=30)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten
        self.db.executescript(TABLES)

    def take(self, offers: list[dict[str, Any]]) -> None:
        """New interventions; those that are known change nothing."""
        rows = [(o["intervention_id"], o["customer_id"], json.dumps(o), int(o["not_before"]), int(o["expires_at"])) for o in offers]
        with self.db:
            self.db.executemany("INSERT OR IGNORE INTO offers (id, customer, offer, not_before, expires_at) VALUES (?, ?, ?, ?, ?)", rows)

    def due(self, now: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(id, state, offer) of what may be acted on: begun before a crash, or waiting and not before its time."""
        found = self.db.execute(
            "SELECT id, state, offer FROM offers WHERE state IN ('WAITING', 'SENDING') AND not_before <= ? ORDER BY not_before LIMIT 100",
            (now,),
        ).fetchall()
        return ((key, state, json.loads(offer)) for key, state, offer in found)

    def begin(self, key: str) -> bool:
        """The gateway is about to be asked; False where the customer was forgotten a moment ago."""
        with self.db:
            return self.db.execute("UPDATE offers SET state = 'SENDING' WHERE id = ? AND state != 'FORGOTTEN'", (key,)).rowcount > 0

    def finish(self, key: str, state: str, outcome: str, now: int) -> None:
        """It was acted on, and this came of it."""
        with self.db:
            self.db.execute("UPDATE offers SET state = ? WHERE id = ? AND state != 'FORGOTTEN'", (state, key))
            self._answer(key, outcome, now)

    def answer(self, key: str, outcome: str, now: int) -> bool:
        """What the customer did later; False for an id that was never here."""
        with self.db:
            return self._answer(key, outcome, now)

    def _answer(self, key: str, outcome: str, now: int) -> bool:
        done = self.db.execute(
            "INSERT OR IGNORE INTO outcomes (event_id, customer, id, outcome, at) "
            "SELECT ?, customer, id, ?, ? FROM offers WHERE id = ? AND state != 'FORGOTTEN'",
            (f"{key}-{outcome}", outcome, now, key),
        )
        return done.rowcount > 0

    def unsent(self) -> list[dict[str, Any]]:
        """Outcome events that Kafka does not have yet."""
        rows = self.db.execute(
            "SELECT customer, event_id, at, id, outcome FROM outcomes WHERE sent = 0 ORDER BY rowid LIMIT 1000"
        ).fetchall()
        return [dict(zip(("customer_id", "event_id", "event_time", "intervention_id", "outcome"), row, strict=True)) for row in rows]

    def sent(self, event_ids: list[str]) -> None:
        """Kafka has them."""
        with self.db:
            self.db.executemany("UPDATE outcomes SET sent = 1 WHERE event_id = ?", [(each,) for each in event_ids])

    def forget(self, customer: str) -> int:
        """Erases a customer. Bare ids stay, or an offer that is read again would be made to who has gone."""
        with self.db:
            self.db.execute("DELETE FROM outcomes WHERE customer = ?", (customer,))
            gone = self.db.execute("UPDATE offers SET customer = '', offer = '{}', state = 'FORGOTTEN' WHERE customer = ?", (customer,))
        return gone.rowcount


class Gateway:
    """Stands for what reaches customers, and is yours to replace. This one appends lines to a file, and knows its lines."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("ab", buffering=0)
        self.known = {json.loads(line)["intervention_id"] for line in path.read_bytes().splitlines()}

    def knows(self, key: str) -> bool:
        """Whether this id was sent, before a crash."""
        return key in self.known

    def send(self, offer: dict[str, Any]) -> bool:
        """Delivers an offer; False where the customer cannot be reached. Your own record of consents has the last word here."""
        line = {name: offer[name] for name in ("intervention_id", "customer_id", "channel", "kind", "offer")} | {"at": now_ms()}
        self.file.write(json.dumps(line).encode() + b"\n")
        os.fsync(self.file.fileno())
        self.known.add(offer["intervention_id"])
        return True


def act(journal: Journal, gateway: Gateway) -> None:
    """Makes the offers whose time has come."""
    for key, state, offer in journal.due(now_ms()):
        if state == "SENDING" and gateway.knows(key):
            journal.finish(key, "DONE", "DELIVERED", now_ms())
        elif offer["expires_at"] <= now_ms():
            journal.finish(key, "EXPIRED", "FAILED", now_ms())  # not delivered, so it shall not count in the caps
        elif journal.begin(key):
            reached = gateway.send(offer)
            journal.finish(key, "DONE", "DELIVERED" if reached else "FAILED", now_ms())


class Reports:
    """Sends outcomes, and notes those that Kafka has."""

    def __init__(self, journal: Journal, schemas: Schemas, producer: Producer, topic: str) -> None:
        self.journal, self.schemas, self.producer, self.topic = journal, schemas, producer, topic
        self.under_way: set[str] = set()
        self.arrived: list[str] = []

    def send(self) -> None:
        """Those that wait; returns soon, also while Kafka is away."""
        for event in self.journal.unsent():
            key = event["event_id"]
            if key not in self.under_way:
                self.under_way.add(key)
                value, at = self.schemas.outcome(event), event["event_time"]
                self.producer.produce(self.topic, value, event["customer_id"], timestamp=at, on_delivery=partial(self._told, key))
        self.producer.flush(1)
        self.journal.sent(self.arrived)
        self.arrived.clear()

    def _told(self, key: str, error: Any, _: Message) -> None:
        self.under_way.discard(key)
        if error is None:
            self.arrived.append(key)


def records(messages: list[Message], schemas: Schemas) -> Iterator[dict[str, Any]]:
    """The interventions among what was read. A null value says that its key was erased; there is nothing to act on."""
    for message in messages:
        if message.error():
            raise KafkaException(message.error())  # what keeps this program running starts it again
        value = message.value()
        if value is not None:
            yield schemas.intervention(value)


def run(options: argparse.Namespace) -> None:
    """Until SIGTERM or Ctrl-C."""
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.append(number))
    lock = options.journal.with_suffix(".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # waits for a process before this one
    schemas, journal, gateway = Schemas(options.schemas), Journal(options.journal), Gateway(options.sent)
    servers = dict(pair.split("=", 1) for pair in options.kafka) | {"bootstrap.servers": options.bootstrap_servers}
    # Java's partitioner: a customer's outcomes go to the partition that has the customer's other events.
    producer = Producer({**servers, "enable.idempotence": True, "partitioner": "murmur2_random"})
    # Records of a transaction that was not committed are never seen; offsets are committed by hand, after the journal has the records.
    # With a name of its own in the group, a process that comes back takes its old place at once.
    group = {"group.id": options.group, "group.instance.id": f"{options.group}-1"}
    wanted = {"isolation.level": "read_committed", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**servers, **group, **wanted})
    consumer.subscribe([options.interventions])
    reports = Reports(journal, schemas, producer, options.outcomes)
    try:
        while not stopped:
            messages = consumer.consume(500, 0.2)
            if messages:
                journal.take(list(records(messages, schemas)))
                try:
                    consumer.commit(asynchronous=False)
                except KafkaException as error:
                    print(f"offsets are not committed ({error}): read again later, and ignored", file=sys.stderr)
            act(journal, gateway)
            reports.send()
    finally:
        consumer.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--journal", type=Path, default=Path("crm.sqlite"))
    commands = parser.add_subparsers(required=True, dest="command")
    running = commands.add_parser("run")
    running.add_argument("--bootstrap-servers", default="localhost:9092")
    running.add_argument("--schemas", type=Path, default=Path("schemas"))
    running.add_argument("--interventions", default="retention.interventions", help="topic")
    running.add_argument("--outcomes", default="telemetry", help="topic")
    running.add_argument("--group", default="crm")
    running.add_argument("--sent", type=Path, default=Path("sent.jsonl"), help="the gateway's file")
    running.add_argument("--kafka", action="append", default=[], metavar="name=value", help="a property of librdkafka")
    answering = commands.add_parser("answer")
    answering.add_argument("intervention_id")
    answering.add_argument("outcome", choices=("DELIVERED", "FAILED", "ACCEPTED", "DECLINED", "COMPLAINED", "CHURNED", "RETAINED"))
    commands.add_parser("forget").add_argument("customer_id")
    options = parser.parse_args()
    if options.command == "run":
        run(options)
    elif options.command == "answer":
        if not Journal(options.journal).answer(options.intervention_id, options.outcome, now_ms()):
            parser.error(f"{options.intervention_id}: no such intervention, or this was answered already")
    else:
        print(f"{Journal(options.journal).forget(options.customer_id)} offers forgotten")


if __name__ == "__main__":
    main()
