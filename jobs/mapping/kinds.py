"""From a foreign value to the value of a canonical field, by the field's kind: text, number, truth, symbol.

Foreign types are taken widely where nothing can be meant but one thing: a number may stand as text, an id as a number. What a field cannot
hold (its constraints in the schema) is refused here already, so that the dead letter holds the foreign record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from keepline.schemas.catalog import Field

Convert = Callable[[Any], Any]
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII).fullmatch
_WHOLE = re.compile(r"\s*[+-]?\d{1,30}\s*", re.ASCII).fullmatch
_BITS = {"int": 31, "long": 63}


class Wrong(ValueError):  # noqa: N818  never leaves this package
    """What was expected instead."""


def number(value: Any) -> int | float | Decimal:
    """A finite number, also from its text."""
    if type(value) is int:
        return value
    if type(value) is float:
        if math.isfinite(value):
            return value
    elif isinstance(value, Decimal):
        if value.is_finite():
            return value
    elif type(value) is str:
        if _WHOLE(value):
            return int(value)
        if _NUMBER(value) and math.isfinite(float(value)):
            return float(value)
    raise Wrong("a finite number, or its text with a decimal point")  # noqa: EM101, TRY003


def converter(field: Field, factor: Fraction) -> Convert:
    """From a foreign value to the field's (but times, see `times`); it raises Wrong. `factor` is that of a number's unit."""
    if field.kind == "enum":
        return _symbol(field.symbols)
    if field.kind == "boolean":
        return _truth
    if field.kind in {"double", "float"}:
        return _double(factor, field.constraints.get("minimum"))
    if field.kind in _BITS:
        return _whole(factor, _BITS[field.kind], field.constraints.get("minimum"))
    return _text(field.constraints.get("minBytes", 0), field.constraints.get("maxBytes", 256 * 1024))


def _symbol(symbols: tuple[str, ...]) -> Convert:
    known = frozenset(symbols)

    def convert(value: Any) -> str:
        if type(value) is str and value in known:
            return value
        raise Wrong(f"one of {', '.join(symbols)}; give values:, or otherwise:")  # noqa: EM102, TRY003

    return convert


_TRUTHS = {"true": True, "false": False}


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    found = _TRUTHS.get(value.lower()) if type(value) is str else None
    if found is None:
        raise Wrong('true or false; for other words give values:, such as {"1": true, "0": false}')  # noqa: EM101, TRY003
    return found


def _double(factor: Fraction, minimum: float | None) -> Convert:
    times, divided = factor.numerator, factor.denominator

    def convert(value: Any) -> float:
        found = float(number(value)) if type(value) is not float else value
        if factor != 1:
            found = found * times / divided
        if not math.isfinite(found):
            raise Wrong("a finite number")  # noqa: EM101, TRY003
        if minimum is not None and found < minimum:
            raise Wrong(f"a number >= {minimum}")  # noqa: EM102, TRY003
        return found

    return convert


def _whole(factor: Fraction, bits: int, minimum: float | None) -> Convert:
    def convert(value: Any) -> int:
        found = Fraction(number(value)) * factor
        if found.denominator != 1:
            raise Wrong("a whole number" if factor == 1 else "a whole number once its unit is converted")
        if not -(1 << bits) <= found < 1 << bits:
            raise Wrong(f"a whole number of at most {bits} bits")  # noqa: EM102, TRY003
        if minimum is not None and found < minimum:
            raise Wrong(f"a whole number >= {minimum}")  # noqa: EM102, TRY003
        return int(found)

    return convert


def _text(least: int, most: int) -> Convert:
    def convert(value: Any) -> str:
        if type(value) is not str:
            if type(value) is not int and not isinstance(value, UUID):
                raise Wrong("a text or a whole number")  # noqa: EM101, TRY003
            try:
                value = str(value)
            except ValueError:  # a number of thousands of digits
                raise Wrong(f"{least} to {most} bytes of text") from None  # noqa: EM102, TRY003
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise Wrong("text that UTF-8 can carry (no lone surrogates)") from None  # noqa: EM101, TRY003
        if not least <= size <= most or "\0" in value:
            raise Wrong(f"{least} to {most} bytes of UTF-8 without NUL")  # noqa: EM102, TRY003
        return str(value)

    return convert
