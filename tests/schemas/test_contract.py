"""The committed schemas say what the contract says, and have the fingerprints other Avro libraries give them."""

import json
from pathlib import Path

import avro.schema
import fastavro.schema
import pytest

from keepline.schemas import catalog
from keepline.schemas.catalog import EVENT_TYPES, MISSING, NREG, OUTPUT_NAMES, event_type, output_fingerprint, output_schema, reg
from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import canonical_form, fingerprint
from keepline.schemas.records import without_logical_types
from keepline.schemas.status import Reason

HEAD = "customer_id:string event_id:string event_time:time"
DEVICE = (
    "battery_percent:int?=null charging:boolean=false "
    "network:UNKNOWN|WIFI|G2|G3|G4|G5=UNKNOWN city_hash:string?=null utc_offset_minutes:int=0"
)
# name, topic, fields after the head. name:type[?][=default]; ? is a union with null first.
CONTRACT = [
    (
        "Call",
        "telemetry.calls",
        "direction:OUTGOING|INCOMING=OUTGOING duration_s:double outcome:COMPLETED|DROPPED|FAILED=COMPLETED roaming:boolean=false",
    ),
    ("DataSession", "telemetry.data-sessions", "megabytes:double duration_s:double=0 network:UNKNOWN|WIFI|G2|G3|G4|G5=UNKNOWN"),
    ("Message", "telemetry.messages", "direction:OUTGOING|INCOMING=OUTGOING"),
    (
        "SupportContact",
        "telemetry.support-contacts",
        "channel:PHONE|CHAT|EMAIL|STORE=PHONE topic:QUESTION|COMPLAINT|CANCELLATION|OTHER=OTHER resolved:boolean?=null",
    ),
    ("Bill", "telemetry.bills", "bill_id:string amount:double due_time:time currency:string="),
    ("Payment", "telemetry.payments", "bill_id:string?=null amount:double currency:string="),
    (
        "Subscription",
        "telemetry.subscriptions",
        "plan:string started_time:time contract_months:int=1 monthly_charge:double internet:NONE|DSL|FIBER|MOBILE=NONE "
        "autopay:boolean=false paperless:boolean=false ended:boolean=false time_zone:string?=null",
    ),
    ("Purchase", "commerce.purchases", "order_id:string amount:double quantity:int=1 cost:double?=null currency:string="),
    ("PageView", "commerce.page-views", "page:string category:string="),
    ("PromotionResponse", "commerce.promotion-responses", "promotion_id:string response:SENT|OPENED|CLICKED|REDEEMED|DECLINED"),
    ("Unlock", "device.unlocks", DEVICE),
    ("AppOpen", "device.app-opens", "app:string " + DEVICE),
    (
        "Consent",
        "control.consents",
        "purpose:MARKETING|PROFILING channel:SMS|EMAIL|PUSH|CALL|ALL=ALL status:GRANTED|DENIED|REVOKED time_zone:string?=null",
    ),
    ("Erasure", "control.erasures", "request_id:string"),
    ("Outcome", "feedback.outcomes", "intervention_id:string outcome:DELIVERED|FAILED|ACCEPTED|DECLINED|COMPLAINED|CHURNED|RETAINED"),
]
OUTPUTS = {
    "Score": "customer_id score value band as_of event_id model_id model_version role reasons",
    "Intervention": "intervention_id customer_id kind channel offer score value reasons model_id model_version policy_version decided_at "
    "not_before expires_at trigger escalation_of",
    "Decision": "decision_id intervention_id customer_id result reason arm kind decided_at hold_until policy_version model_version "
    "trigger policy made_from",
    "DeadLetter": "topic partition offset timestamp key value value_length value_sha256 reason message",
    "LateEvent": "topic partition offset timestamp key value customer_id event_time newest_time behind_ms",
    "AppPrediction": "customer_id event_id as_of apps model_id model_version",
    "ErasureReceipt": "request_id erased_at counts",
    "LabelledOutcome": "customer_id decision_id intervention_id kind channel trigger arm programme escalation status decided_at closed_at "
    "outcomes label policy policy_version score value model_id model_version features",
}


def spell(field: catalog.Field) -> str:
    kind = "|".join(field.symbols) or ("time" if field.time else field.kind)
    text = f"{field.name}:{kind}{'?' if field.nullable else ''}"
    if field.default is MISSING:
        return text
    default = field.default if isinstance(field.default, str) else json.dumps(field.default)
    return f"{text}={default.removesuffix('.0')}"


def test_event_types_are_the_table_of_the_contract_in_its_order():
    assert [(e.name, e.topic, " ".join(map(spell, e.fields))) for e in EVENT_TYPES] == [
        (name, topic, f"{HEAD} {rest}") for name, topic, rest in CONTRACT
    ]
    assert [e.id for e in EVENT_TYPES] == list(range(15))
    assert [e.name for e in EVENT_TYPES if e.control] == ["Consent", "Erasure", "Outcome"]
    assert all(e.schema["namespace"] == "keepline.events" for e in EVENT_TYPES)
    assert all(field.null_branch in {-1, 0} for e in EVENT_TYPES for field in e.fields)


def test_constraints():
    found = {(e.name, f.name): dict(f.constraints) for e in EVENT_TYPES for f in e.fields if f.constraints and f.register}
    assert found == {
        ("Call", "duration_s"): {"minimum": 0},
        ("DataSession", "megabytes"): {"minimum": 0},
        ("Bill", "currency"): {"currency": True},
        ("Payment", "currency"): {"currency": True},
        ("Purchase", "currency"): {"currency": True},
    }
    assert all(dict(e.fields[0].constraints) == {"minBytes": 1, "maxBytes": 128} for e in EVENT_TYPES)


def test_registers_are_places_in_the_schema():
    assert reg("Call", "customer_id") == 0
    assert reg("Call", "event_time") == 2
    assert reg("Subscription", "monthly_charge") == 6
    assert all(field.register == i < NREG for e in EVENT_TYPES for i, field in enumerate(e.fields))


def test_outputs_have_the_fields_of_the_contract():
    assert set(OUTPUT_NAMES) == set(OUTPUTS)
    for name, fields in OUTPUTS.items():
        schema = output_schema(name)
        assert schema["namespace"] == "keepline.outputs"
        assert [field["name"] for field in schema["fields"]] == fields.split()
    reasons = [next(f["type"] for f in output_schema(name)["fields"] if f["name"] == "reasons") for name in ("Score", "Intervention")]
    assert reasons[0] == reasons[1]
    symbols = next(f["type"]["symbols"] for f in output_schema("DeadLetter")["fields"] if f["name"] == "reason")
    assert symbols == [reason.name for reason in Reason if 1 <= reason <= 7]


def test_every_schema_file_is_in_the_catalog():
    folder = Path(catalog.__file__).parent
    assert {p.stem for p in (folder / "events").glob("*.avsc")} == {e.name for e in EVENT_TYPES}
    assert {p.stem for p in (folder / "outputs").glob("*.avsc")} == set(OUTPUT_NAMES)


@pytest.mark.parametrize("name", [e.name for e in EVENT_TYPES] + list(OUTPUT_NAMES))
def test_fingerprints_equal_those_of_other_libraries(name):
    is_event = name not in OUTPUT_NAMES
    schema = event_type(name).schema if is_event else output_schema(name)
    ours = event_type(name).fingerprint if is_event else output_fingerprint(name)
    assert canonical_form(schema) == fastavro.schema.to_parsing_canonical_form(schema)
    # fastavro prints the number as its little-endian bytes.
    assert ours.hex() == fastavro.schema.fingerprint(canonical_form(schema), "CRC-64-AVRO")
    # The avro package leaves {"type": "long"} in the canonical form of a logical type, against the specification's [PRIMITIVES]
    # rule, so it is asked about the schema without logical types, whose canonical form is the same.
    theirs = avro.schema.parse(json.dumps(without_logical_types(schema)))
    assert canonical_form(schema) == theirs.canonical_form
    assert ours == theirs.fingerprint("CRC-64-AVRO")


def test_fingerprints_ignore_what_is_not_the_shape():
    schema = json.loads(json.dumps(event_type("Call").schema))
    schema["fields"][4]["minimum"] = 7
    schema["doc"] = "else"
    assert fingerprint(schema) == event_type("Call").fingerprint
    schema["fields"][4]["name"] = "seconds"
    assert fingerprint(schema) != event_type("Call").fingerprint


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"type": "array", "items": "long"}, "array"),
        (["null", "long", "string"], "union"),
        ({"type": "record", "name": "R", "fields": []}, "record"),
        (["null", "null"], "union"),
    ],
)
def test_unknown_constructs_are_refused_by_name(kind, words):
    schema = {"type": "record", "name": "X", "fields": [{"name": "odd", "type": kind}]}
    with pytest.raises(SchemaError, match=rf"X\.odd .*{words}"):
        catalog.parse_fields(schema)


def test_a_wrong_name_is_answered_with_the_known_ones():
    with pytest.raises(KeyError, match="Call, DataSession"):
        event_type("Calls")
    with pytest.raises(KeyError, match="Score"):
        output_schema("score")
