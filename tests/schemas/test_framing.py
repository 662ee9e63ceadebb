"""The two framings, and whole records behind the first."""

import pytest

from keepline.schemas.catalog import OUTPUT_NAMES, event_type
from keepline.schemas.framing import Confluent, FramingError, SingleObject, crc64, pack, pack_confluent, unpack
from keepline.schemas.records import RecordError, from_record, to_json, to_record

CALL = {
    "customer_id": "c",
    "event_id": "e",
    "event_time": 2**62,
    "direction": "INCOMING",
    "duration_s": 1.5,
    "outcome": "FAILED",
    "roaming": True,
}
REASONS = [{"feature": "calls_7d", "value": 3.0, "contribution": -0.5}]
OUTPUTS = {
    "Score": {
        "customer_id": "c", "score": "churn", "value": 0.25, "band": "LOW", "as_of": 1, "event_id": "", "model_id": "churn",
        "model_version": 1, "role": "CHAMPION", "reasons": REASONS,
    },
    "Intervention": {
        "intervention_id": "0" * 32, "customer_id": "c", "kind": "sms_discount", "channel": "SMS", "offer": "10", "score": "churn",
        "value": 0.9, "reasons": REASONS, "model_id": "churn", "model_version": 1, "policy_version": 1, "decided_at": 1, "not_before": 2,
        "expires_at": 3, "trigger": "at_risk", "escalation_of": None,
    },
    "Decision": {
        "decision_id": "d", "intervention_id": None, "customer_id": "c", "result": "HELD", "reason": "QUIET", "arm": "CONTROL",
        "kind": "sms_discount", "decided_at": 1, "hold_until": 2, "policy_version": 1, "model_version": 1,
        "trigger": "at_risk", "policy": "retention", "made_from": "{}",
    },
    "DeadLetter": {
        "topic": "telemetry", "partition": 0, "offset": 5, "timestamp": -1, "key": b"\xff", "value": b"\0", "value_length": 1,
        "value_sha256": b"\1" * 32, "reason": "KEY_MISMATCH", "message": "é",
    },
    "LateEvent": {
        "topic": "telemetry", "partition": 0, "offset": 5, "timestamp": 1, "key": b"c", "value": b"v", "customer_id": "c", "event_time": 1,
        "newest_time": 3, "behind_ms": 2,
    },
    "AppPrediction": {
        "customer_id": "c", "event_id": "e", "as_of": 1, "apps": [{"app": "a", "probability": 0.5}], "model_id": "m", "model_version": 1,
    },
    "ErasureReceipt": {"request_id": "r", "erased_at": 1, "counts": {"scores": 2}},
    "LabelledOutcome": {
        "customer_id": "c", "decision_id": "d", "intervention_id": None, "kind": "sms_discount", "channel": "SMS", "trigger": "at_risk",
        "arm": "CONTROL", "programme": "p", "escalation": False, "status": "LANDED", "decided_at": 1, "closed_at": 2,
        "outcomes": [{"outcome": "CHURNED", "event_time": 2}], "label": "CHURNED", "policy": "retention", "policy_version": 1,
        "score": "churn", "value": 0.9, "model_id": "churn", "model_version": 1, "features": {"calls_7d": 3.0},
    },
}  # fmt: skip


def test_crc64_of_the_specification():
    """ "null" and "int", from the Avro project's shared fingerprint cases (share/test/data/schema-tests.txt)."""
    assert crc64(b'"null"') == 7195948357588979594
    assert crc64(b'"int"') == 8247732601305521295


def test_single_object_and_confluent():
    key = event_type("Call").fingerprint
    assert pack(b"body", key) == b"\xc3\x01" + key + b"body"
    assert unpack(pack(b"body", key)) == SingleObject(key, b"body")
    assert pack_confluent(b"body", 258) == b"\0\0\0\1\2body"
    assert unpack(pack_confluent(b"body", 258)) == Confluent(258, b"body")


@pytest.mark.parametrize("value", [b"", b"\xc3", b"\xc3\x01" + b"x" * 7, b"\xc3\x00" + b"x" * 20, b"\0abc", b"{}", b"\1"])
def test_neither_is_refused_with_what_was_there(value):
    with pytest.raises(FramingError, match=rf"{len(value)} bytes\): expected"):
        unpack(value)


def test_records_keep_times_as_numbers():
    framed = from_record("Call", CALL)
    assert to_record(framed) == ("Call", CALL)


@pytest.mark.parametrize("name", OUTPUT_NAMES)
def test_outputs_round_trip(name):
    assert to_record(from_record(name, OUTPUTS[name])) == (name, OUTPUTS[name])
    assert to_json(OUTPUTS[name]).startswith("{")


def test_json_has_bytes_as_base64_and_text_as_it_is():
    line = to_json(OUTPUTS["DeadLetter"])
    assert '"key":"/w=="' in line
    assert '"message":"é"' in line
    with pytest.raises(TypeError):
        to_json({"x": object()})


@pytest.mark.parametrize(
    ("framed", "words"),
    [
        (b"{}", "expected Avro in single-object encoding"),
        (b"\0\0\0\0\1", "schema id 1"),
        (b"\xc3\x01" + b"x" * 8, "no schema has the fingerprint 7878"),
        (from_record("Call", CALL)[:-1], "not a Call"),
        (from_record("Call", CALL) + b"1", "1 bytes follow the Call"),
    ],
)
def test_bytes_that_are_no_record(framed, words):
    with pytest.raises(RecordError, match=words):
        to_record(framed)


@pytest.mark.parametrize(
    ("name", "record", "words"),
    [
        ("call", CALL, "unknown record"),
        ("Call", CALL | {"duration_s": "x"}, "do not make a Call"),
        ("Call", {"customer_id": "c"}, "do not make a Call"),
    ],
)
def test_fields_that_make_no_record(name, record, words):
    with pytest.raises(RecordError, match=words):
        from_record(name, record)
