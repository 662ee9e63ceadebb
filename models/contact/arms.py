"""Names and groups that come from a hash of what they stand for: the same after a restart, in replay and on every machine."""

from __future__ import annotations

from hashlib import blake2b

from keepline.models.contact.rules import Holdout

TREATMENT, CONTROL = "TREATMENT", "CONTROL"


def identifier(*parts: object) -> str:
    """32 hex digits of a hash of the parts as text, each behind its length.

    >>> identifier("c1", "sms_discount", "e9", 1) == identifier("c1", "sms_discount", "e9", 1)
    True
    """
    said = [str(part).encode("utf-8", "surrogatepass") for part in parts]
    return blake2b(b"".join([len(raw).to_bytes(4, "little") + raw for raw in said]), digest_size=16).hexdigest()


def number(*parts: object) -> int:
    """The first 8 bytes of that hash, from 0 to 2^64 − 1."""
    return int(identifier(*parts)[:16], 16)


def arm_of(customer_id: str, holdout: Holdout | None) -> str:
    """CONTROL for the holdout's share of customers, else TREATMENT.

    The programme's name is part of the hash: two programmes draw their groups independently, and a customer stays in a group as long as
    the programme has its name. A greater share keeps everyone who was in the group of a smaller one.
    """
    if holdout is None:
        return TREATMENT
    return CONTROL if number("arm", holdout.programme, customer_id) < holdout.share * 2.0**64 else TREATMENT


def shard_of(customer_id: str, shards: int) -> int:
    """Which of the parts of a budget counts this customer."""
    return number("shard", customer_id) % shards
