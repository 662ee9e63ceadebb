"""Schema ids that the job meets: asked once, in front of their records; while the registry is away, these and all behind them wait."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from keepline.jobs.stack.registry import EmbeddedRegistry
from keepline.operators import layout as at
from keepline.operators import schema_ids
from keepline.operators.customer import CustomerKernel
from keepline.operators.host import HostOperator
from keepline.operators.schema_ids import LONGEST_PAUSE, SchemaIds
from keepline.operators.spec import OperatorSpec
from keepline.schemas import packed
from keepline.schemas.catalog import event_type
from keepline.schemas.encode import Ok, encode, varint
from keepline.schemas.framing import fingerprint, pack, pack_confluent
from keepline.schemas.programs import Programs
from keepline.schemas.records import to_record
from keepline.schemas.registry import Registry
from tests.jobs.models_for_tests import manifest

CALL = event_type("Call").schema
OLDER = CALL | {"fields": [field for field in CALL["fields"] if field["name"] != "roaming"]}
FOREIGN = copy.deepcopy(CALL) | {"fields": [*CALL["fields"], {"name": "tags", "type": {"type": "map", "values": "string"}}]}
UNREADABLE = copy.deepcopy(CALL)
UNREADABLE["fields"][4]["type"] = "string"
DAY = 86_400_000
START = 1_750_000_000_000
SUBJECT = "keepline.events.Call"


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry() as registry:
        registry.store.answer("PUT", ["config"], {"compatibility": "NONE"}, {})
        yield registry


class Shell:
    """The JVM's part: one kernel over arrays, and what came out."""

    def __init__(self, url: str, **more: Any) -> None:
        self.kernel = CustomerKernel(OperatorSpec(manifest(), emit="every", registry_url=url, **more), ask=True)
        self.io = np.zeros(at.io_layout(64, 1 << 20, 1 << 20).total, np.uint8)
        self.kernel.bind(np.zeros(64 * self.kernel.state_size, np.uint8), self.io, 64, 1 << 20, 1 << 20)
        self.frames: list[packed.Frame] = []

    def load(self, values: list[bytes]) -> None:
        place = 0
        for entry, value in enumerate(values):
            record = packed.pack_record(packed.Record(b"c", value, offset=entry))
            self.kernel.events[place : place + len(record)] = np.frombuffer(record, np.uint8)
            self.kernel.slots[entry], self.kernel.offs[entry], self.kernel.lens[entry] = 0, place, len(record)
            place += len(record)
        self.size, self.first = len(values), 0

    def run(self) -> bool:
        """Runs until all is consumed (True) or it waits."""
        while self.first < self.size:
            self.kernel.hdr[at.FIRST] = self.first
            self.first += self.kernel.run(self.size, -(1 << 62), 0)
            self.frames += packed.frames(self.kernel.out[: int(self.kernel.hdr[at.OUT_BYTES])].tobytes())
            if self.kernel.hdr[at.WAITING]:
                return False
        return True

    def records(self, channel: int) -> list[dict[str, Any]]:
        return [to_record(frame.value)[1] for frame in self.frames if frame.channel == channel]

    def scored(self) -> list[str]:
        return [record["event_id"] for record in self.records(packed.SCORES)]

    def messages(self) -> list[str]:
        return [record["message"] for record in self.records(packed.DEAD_LETTERS)]


_numbers = itertools.count()


def call(name: str, head: bytes = b"") -> bytes:
    """The body of a Call, or in a schema's framing where `head` is one."""
    framed = encode({"type": "Call", "customer_id": "c", "event_id": name, "event_time": START + next(_numbers) * 1000, "duration_s": 5.0})
    assert isinstance(framed, Ok)
    return head + framed.value[10:]


def confluent(name: str, number: int, rest: bytes = b"", cut: int = 0) -> bytes:
    body = call(name)
    return pack_confluent(body[: len(body) - cut] + rest, number)


def test_ids_of_two_versions_are_asked_once_each_and_run_in_their_place(server: EmbeddedRegistry) -> None:
    one, two, three = (server.register(SUBJECT, schema) for schema in (CALL, OLDER, FOREIGN))
    shell = Shell(server.url)
    plain = pack(call("d"), event_type("Call").fingerprint)
    shell.load([confluent("a", one), confluent("b", two, cut=1), confluent("c", three, b"\2\2k\2v\0"), plain, confluent("e", one)])
    assert shell.run()
    assert shell.scored() == ["a", "b", "c", "d", "e"]
    assert server.requests == [f"GET /schemas/ids/{number}" for number in (one, two, three)]
    server.stop()
    shell.load([confluent("f", one), confluent("g", two, cut=1)])
    assert shell.run()
    assert shell.scored()[5:] == ["f", "g"]


def test_a_registry_that_is_away_holds_up_and_loses_nothing(server: EmbeddedRegistry) -> None:
    number = server.register(SUBJECT, CALL)
    shell = Shell(server.url)
    shell.load([pack(call("a"), event_type("Call").fingerprint), confluent("b", number), pack(call("c"), event_type("Call").fingerprint)])
    server.stop()
    assert not shell.run()
    assert shell.scored() == ["a"]
    assert "no answer from the schema registry" in shell.kernel.waiting_for()
    ids = shell.kernel.ids
    assert ids is not None
    clock = ids._clock = Clock()
    ids._next = 0.0
    for _ in range(10):
        assert not shell.run()  # one attempt, then its pause
    asked = ids._next
    clock.now = asked - 0.001
    assert not shell.run()
    assert ids._next == asked
    for failing, needs in ((True, "HTTP 500"), (False, "")):
        server.failing = failing
        if failing:
            server.start()
        clock.now = ids._next
        assert shell.run() is not failing
        assert needs in shell.kernel.waiting_for()
    assert shell.scored() == ["a", "b", "c"]
    assert shell.messages() == []


def test_pauses_grow_to_a_bound(server: EmbeddedRegistry) -> None:
    server.stop()
    clock = Clock()
    ids = SchemaIds(Programs(), Registry(server.url), 30, clock)
    pauses = []
    for _ in range(8):
        assert not ids.settle(1)
        pauses.append(ids._next - clock.now)
        clock.now = ids._next
    assert pauses[:3] == pytest.approx([0.2, 0.4, 0.8])
    assert pauses[-1] == LONGEST_PAUSE


def test_an_id_the_registry_does_not_know_is_a_dead_letter_for_a_while(server: EmbeddedRegistry) -> None:
    shell = Shell(server.url)
    ids = shell.kernel.ids
    assert ids is not None
    clock = ids._clock = Clock()
    shell.load([confluent("a", 1), confluent("b", 1)])
    assert shell.run()
    assert len(server.requests) == 1
    told = f"schema id 1 is unknown: the schema registry at {server.url} does not know it; register the schema before its records are sent"
    assert shell.messages() == [told, told]
    assert {record["reason"] for record in shell.records(packed.DEAD_LETTERS)} == {"UNKNOWN_SCHEMA"}
    assert server.register(SUBJECT, CALL) == 1
    shell.load([confluent("c", 1)])
    assert shell.run()
    assert shell.scored() == []
    clock.now += 30
    shell.load([confluent("d", 1)])
    assert shell.run()
    assert shell.scored() == ["d"]


def test_an_id_whose_schema_cannot_be_read_says_which_field_and_why(server: EmbeddedRegistry) -> None:
    numbers = [
        server.register(SUBJECT, UNREADABLE),
        server.register("text", "string"),
        server.register("other", CALL | {"name": "Invoice"}),
    ]
    shell = Shell(server.url)
    shell.load([confluent(f"e{number}", number) for number in numbers * 2])
    assert shell.run()
    assert len(server.requests) == 3
    first, second, third = shell.messages()[:3]
    assert first.startswith(
        "schema id 1 is unknown: keepline.events.Call cannot be read as Call: Call.duration_s is string: expected double"
    )
    assert 'is "string": expected a record' in second
    assert "the record Invoice is no event type" in third
    assert shell.messages()[3:] == [first, second, third]


def test_unknown_ids_do_not_pile_up(server: EmbeddedRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_ids, "MAX_UNKNOWN", 40)
    programs = Programs()
    ids = SchemaIds(programs, Registry(server.url), 30, Clock())
    for number in range(1, 43):
        assert ids.settle(number)
    assert len(ids._refused) == len(programs._ids) == 40
    assert (ids.why(1), ids.why(42) != "") == ("", True)


def test_without_a_registry_an_id_is_a_dead_letter_at_once(server: EmbeddedRegistry) -> None:
    for url in ("", server.url):  # files have no schema ids: replay asks nobody
        host = HostOperator(OperatorSpec(manifest(), registry_url=url))
        frames = [*host.add(b"c", packed.pack_record(packed.Record(b"c", confluent("a", 7)))), *host.flush()]
        assert [frame.channel for frame in frames] == [packed.DEAD_LETTERS]
        assert "no schema registry is configured: name it in registry_url" in to_record(frames[0].value)[1]["message"]
    assert server.requests == []


def test_writer_schemas_of_the_spec_are_read_by_fingerprint() -> None:
    spec = OperatorSpec.loads(OperatorSpec(manifest(), emit="every", writer_schemas=(FOREIGN,)).dumps())
    host = HostOperator(spec)
    value = pack(call("a") + varint(1) + b"\2k\2v\0", fingerprint(FOREIGN))
    frames = [*host.add(b"c", packed.pack_record(packed.Record(b"c", value))), *host.flush()]
    assert [to_record(frame.value)[1]["event_id"] for frame in frames if frame.channel == packed.SCORES] == ["a"]
