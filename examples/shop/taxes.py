"""What each country takes."""

from decimal import Decimal

RATES = {"DE": Decimal("0.19"), "FR": Decimal("0.20"), "CH": Decimal("0.081")}


def rate(country):
    try:
        return RATES[country]
    except KeyError:
        raise ValueError(f"no tax rate for {country!r}") from None
