"""Units of the canonical fields, and the factors from the units that foreign records use. Exact: a factor is a pair of whole numbers."""

from __future__ import annotations

from fractions import Fraction

SECONDS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
}
MEGABYTES = {
    "B": Fraction(1, 10**6),
    "bytes": Fraction(1, 10**6),
    "kB": Fraction(1, 1000),
    "KB": Fraction(1, 1000),
    "MB": Fraction(1),
    "GB": Fraction(1000),
    "TB": Fraction(10**6),
    "KiB": Fraction(2**10, 10**6),
    "MiB": Fraction(2**20, 10**6),
    "GiB": Fraction(2**30, 10**6),
    "TiB": Fraction(2**40, 10**6),
}
MONEY = {
    "major": Fraction(1),
    "cents": Fraction(1, 100),
    "minor": Fraction(1, 100),
    "mills": Fraction(1, 1000),
    "micros": Fraction(1, 10**6),
}
MONTHS = {"months": Fraction(1), "years": Fraction(12)}
MINUTES = {"s": Fraction(1, 60), "min": Fraction(1), "h": Fraction(60)}
PERCENT = {"percent": Fraction(1), "fraction": Fraction(100)}

_OF_FIELD = {
    "duration_s": SECONDS,
    "megabytes": MEGABYTES,
    "amount": MONEY,
    "monthly_charge": MONEY,
    "cost": MONEY,
    "contract_months": MONTHS,
    "utc_offset_minutes": MINUTES,
    "battery_percent": PERCENT,
}
"""By the canonical field's name; the unit with factor 1 is the field's own."""


def units(field: str) -> dict[str, Fraction]:
    """The units that a field's foreign value may be in; empty where the field has none."""
    return _OF_FIELD.get(field, {})
