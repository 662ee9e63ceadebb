"""What the engine costs an event, and decoding and encoding by hand against fastavro: `python -m tests.benchmarks.peers.plain.speed`."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from tests.benchmarks import events
from tests.benchmarks.peers.plain import avro, engine
from tests.benchmarks.peers.plain.state import State, load

ROOT = Path(__file__).parents[4]
EVENTS, OUTPUTS = ROOT / "schemas" / "events", ROOT / "schemas" / "outputs"


def timed(name: str, work: Callable[[], int]) -> None:
    """Prints the least CPU time an event of three rounds."""
    found = []
    for _ in range(3):
        begin = time.process_time()
        n = work()
        found.append((time.process_time() - begin) / n * 1e6)
    print(f"{min(found):6.2f} µs  {name}")


def main(customers: int, n: int) -> None:
    """Builds up states with half of the events, and times the other half."""
    folder = Path(tempfile.mkdtemp())
    settings = folder / "settings.json"
    model = ROOT / "models" / "pretrained" / "churn" / "1" / "manifest.json"
    settings.write_text(json.dumps({"manifest": str(model), "schemas": str(EVENTS), "score": str(OUTPUTS / "Score.avsc")}))
    step = engine.make(settings)
    made = events.make(events.Stream(customers), 0, 4 * n)
    raw, at = made.buffer.tobytes(), made.at.tolist()
    values = [raw[at[k] : at[k + 1]] for k in range(4 * n)]
    keys = [events.key(customer) for customer in made.customer.tolist()]
    states: dict[bytes, State] = {}
    scores: list[bytes] = []
    rounds = iter(range(4))

    def take() -> int:
        scores.clear()
        begin = next(rounds) * n
        for k in range(begin, begin + n):
            key = keys[k]
            states[key], score = step(states.get(key), values[k])
            scores.append(score or b"")
        return n

    take()
    timed("an event, state in memory", take)
    some = list(states.values())
    dumped = [state.dump() for state in some]
    timed("dump a state", lambda: sum(1 for state in some if state.dump()))
    timed("load a state", lambda: sum(1 for state in dumped if load(state)))
    print(f"{sum(map(len, dumped)) / len(dumped):6.0f} bytes  a state")
    schemas = {avro.mark(EVENTS / f"{name}.avsc"): parse_schema(json.loads((EVENTS / f"{name}.avsc").read_text())) for name in avro.TYPES}
    out = parse_schema(json.loads((OUTPUTS / "Score.avsc").read_text()))
    values = values[:n]

    def double(value: bytes) -> tuple[float]:
        return avro.read_double(value, len(value) - 8)

    timed("decode by hand, one double of the type's own fields included", lambda: sum(1 for v in values if avro.decode(v) and double(v)))
    timed("decode with fastavro", lambda: sum(1 for v in values if schemaless_reader(BytesIO(v[10:]), schemas[v[2:10]], None)))
    records = [schemaless_reader(BytesIO(score[10:]), out, None) for score in scores]

    def encode() -> int:
        for record in records:
            buffer = BytesIO(b"\xc3\x01        ")
            buffer.seek(10)
            schemaless_writer(buffer, out, record)
            buffer.getvalue()
        return n

    head = avro.score_writer(b" " * 8, "churn-mlc", 1, ["calls_30d", "last_bill_amount", "tenure_days"])
    given = (b"\x14c000000000", 0.5, 1, b"123456", b"\x20e000000000000000", 0, 1.0, 2.0, 1, 1.0, 2.0, 2, 1.0, 2.0)
    timed("encode by hand", lambda: sum(1 for _ in records if head(*given)))
    timed("encode with fastavro", encode)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=200_000)
    options = parser.parse_args()
    main(options.customers, options.events)
