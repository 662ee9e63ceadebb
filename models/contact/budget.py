"""A campaign's budget: at most so many interventions in a UTC day, over all customers.

    contact policy ── claim, by campaign | UTC day | shard ──► on_claim: Intervention + Decision EMITTED, or Decision SUPPRESSED BUDGET

A claim carries both records ready made. Shards count apart, each up to its part of the limit, so that no sum of theirs exceeds it; claims
of a shard are taken in the order of their arrival. The customer's contact counts the offer from the claim on, in caps and cool-downs, and
waits for its outcomes, also if the budget refuses it: it never hears of that. The refusing decision has the offer's intervention_id.

The state is a count of 13 bytes, and ends 400 days after its UTC day, for a claim may be of a day long past: of a customer whose records
come that late. One of a day yet longer past would begin the day's count anew.
"""

from __future__ import annotations

import io
import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import orjson

from keepline.models.contact import records
from keepline.models.contact.arms import shard_of
from keepline.models.contact.compiled import compiled
from keepline.models.contact.records import Output
from keepline.models.contact.rules import DAY_MS, Budget, Policy
from keepline.schemas.errors import KeeplineError
from keepline.schemas.records import from_record, to_record

KEPT_DAYS = 400
BUDGET = "BUDGET"
_STATE = struct.Struct("<Biq")  # version, UTC day, claims granted
_STATE_VERSION = 1
_CLAIM_VERSION = 1


class BudgetStateError(KeeplineError):
    """Bytes of a budget or a claim that this version does not read."""


def shard_limit(budget: Budget, shard: int) -> int:
    """How many of a day's interventions this shard may grant; those of all shards sum to `per_day`."""
    whole, more = divmod(budget.per_day, budget.shards)
    return whole + (shard < more)


def claim(budget: Budget, intervention: dict[str, Any], decision: dict[str, Any]) -> dict[str, Any]:
    """The claim of an intervention, with the decision that emits it."""
    customer, at = intervention["customer_id"], intervention["decided_at"]
    return {
        "campaign": budget.campaign,
        "day": at // DAY_MS,
        "shard": shard_of(customer, budget.shards),
        "intervention": intervention,
        "decision": decision,
    }


def claim_key(campaign: str, day: int, shard: int) -> str:
    """What claims on one count have in common; `day` in days since 1970-01-01 UTC."""
    return f"{campaign}|{day}|{shard}"


def on_claim(state: bytes | None, claim: dict[str, Any], policy: Policy) -> tuple[bytes, tuple[Output, ...], int]:
    """(state, outputs, wake) after a claim: it is granted as long as the shard has room. A campaign without a budget grants all."""
    intervention, decision = claim["intervention"], claim["decision"]
    granted = _read(state) if state else 0
    budget = compiled(policy).budgets.get(claim["campaign"])
    customer, at = decision["customer_id"], decision["decided_at"]
    if budget is None or granted < shard_limit(budget, claim["shard"]):
        granted += 1
        made: tuple[Output, ...] = (
            Output(records.INTERVENTION, intervention, customer, at),
            Output(records.DECISION, decision, customer, at),
        )
    else:
        stood = {"campaign": claim["campaign"], "day": claim["day"], "shard": claim["shard"], "granted": granted}
        made_from = orjson.loads(decision["made_from"] or "{}") | {"budget": stood}
        refused = decision | {"result": records.SUPPRESSED, "reason": BUDGET, "made_from": orjson.dumps(made_from).decode()}
        made = (Output(records.DECISION, refused, customer, at),)
    return _STATE.pack(_STATE_VERSION, claim["day"], granted), made, (claim["day"] + 1 + KEPT_DAYS) * DAY_MS


def on_budget_time() -> tuple[None, tuple[Output, ...], int]:
    """(state, outputs, wake) when a budget's timer fires: its day is long over."""
    return None, (), 0


def _read(state: bytes) -> int:
    if state[0] != _STATE_VERSION or len(state) != _STATE.size:
        message = (
            f"the count of a budget is of version {state[0]} and {len(state)} bytes: this build reads version {_STATE_VERSION} "
            f"of {_STATE.size} bytes; run the build that wrote it, or a newer one"
        )
        raise BudgetStateError(message)
    granted: int = _STATE.unpack(state)[2]
    return granted


@cache
def _schema() -> Any:
    return fastavro.parse_schema(json.loads(Path(__file__).with_name(f"claim-{_CLAIM_VERSION}.avsc").read_bytes()))


def pack_claim(claim: dict[str, Any]) -> bytes:
    """A claim as it travels between operators: a version byte, then Avro by claim-1.avsc."""
    stream = io.BytesIO()
    stream.write(bytes((_CLAIM_VERSION,)))
    framed = {
        "intervention": from_record("Intervention", claim["intervention"]),
        "decision": from_record("Decision", claim["decision"]),
    }
    fastavro.schemaless_writer(stream, _schema(), claim | framed)
    return stream.getvalue()


def read_claim(packed: bytes) -> dict[str, Any]:
    """The claim that was packed. BudgetStateError for another version; RecordError for damaged records."""
    if not packed or packed[0] != _CLAIM_VERSION:
        message = (
            f"a claim on a budget is of version {packed[0] if packed else 'none'}: this build reads {_CLAIM_VERSION}; "
            "stop the job with a savepoint, after which no claim is on its way, and start this build from it"
        )
        raise BudgetStateError(message)
    found: Any = fastavro.schemaless_reader(io.BytesIO(packed[1:]), _schema(), None)
    found["intervention"], found["decision"] = to_record(found["intervention"])[1], to_record(found["decision"])[1]
    claim: dict[str, Any] = found
    return claim
