"""`keepline pseudonym`: what a customer or a city is called in pseudonymised topics."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def pseudonym(
    customers: Annotated[list[str] | None, typer.Argument(help="Customer ids; - reads them from standard input, one a line.")] = None,
    city: Annotated[list[str] | None, typer.Option(help="A city's name, for city_hash; may be repeated.")] = None,
) -> None:
    """Print the pseudonyms of customers, then those of cities, one a line, in the order they are given.

    As `keepline produce --pseudonymise` makes them, with the key of the variable KEEPLINE_PSEUDONYM_KEY (at least 16 bytes, or
    ${file:/path} of them). Event, bill and order ids are replaced in the same way as customer ids.

    Example: keepline pseudonym c-1 c-2
    """
    from keepline.jobs.pseudonyms import load

    if not customers and not city:
        msg = "whose pseudonym? Name customers, - for standard input, or cities with --city"
        raise typer.BadParameter(msg)
    known = load()
    for customer in customers or ():
        for one in (line.rstrip("\r\n") for line in sys.stdin) if customer == "-" else (customer,):
            typer.echo(known.customer(one))
    for name in city or ():
        typer.echo(known.city(name))
