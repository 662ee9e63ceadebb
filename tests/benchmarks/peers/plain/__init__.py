"""The churn job of one event in plain Python: what a good engineer writes without Keepline, and every Python peer runs.

    engine.step(state, value) → Score bytes:   avro.decode → duplicate, late → windows, bills → 36 features → model → avro encode

Written for speed as far as plain Python goes: windows are kept as running totals over rings of buckets, the feature row is the
state itself, and a state is two flat arrays and two byte strings, so that storing and loading one is a copy. Needs nothing
but the standard library and fastavro (which only takes the schemas' fingerprints): the peers' environments have no Keepline.

Decoding and encoding are by hand: `python -m tests.benchmarks.peers.plain.speed` printed 0.81 µs of CPU for an event by hand and 3.06
with fastavro, 0.40 for a score and 7.52 (on a busy machine: the ratios count), and 9.8 for all of an event with 20,000 customers.
Ticks of silent customers are left out: events as dense as the benchmark's never cause one.
"""
