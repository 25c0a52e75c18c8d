"""The lines of an invoice."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Line:
    article: str
    quantity: int
    price: Decimal

    @property
    def amount(self):
        return self.quantity * self.price


def read(rows):
    """Takes rows of [article, quantity, price], the price as text: no float is a price."""
    return [Line(article, int(quantity), Decimal(price)) for article, quantity, price in rows]
