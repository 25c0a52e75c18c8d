"""Adds an invoice up."""

from decimal import ROUND_HALF_UP, Decimal

from . import lines, taxes

CENT = Decimal("0.01")


def total(rows, country):
    net = sum((line.amount for line in lines.read(rows)), Decimal(0))
    tax = (net * taxes.rate(country)).quantize(CENT, ROUND_HALF_UP)
    return {"net": str(net), "tax": str(tax), "gross": str(net + tax)}
