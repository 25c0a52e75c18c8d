"""Classes: inheritance, properties, dataclasses, special methods, exceptions."""

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    PAYMENT = "payment"
    REFUND = "refund"


class Refused(Exception):
    def __init__(self, reason, amount):
        super().__init__(f"{reason}: {amount}")
        self.reason = reason
        self.amount = amount


@dataclass(order=True)
class Entry:
    when: int
    amount: int
    kind: Kind = field(default=Kind.PAYMENT, compare=False)


class Account:
    fee = 0
    __slots__ = ("owner", "_balance", "entries")

    def __init__(self, owner, balance=0):
        self.owner = owner
        self._balance = balance
        self.entries = []

    @property
    def balance(self):
        return self._balance

    def add(self, when, amount, *, kind=Kind.PAYMENT):
        if amount <= 0:
            raise Refused("not an amount", amount)
        self._balance += amount - self.fee
        self.entries.append(Entry(when, amount, kind))
        return self

    def take(self, when, amount):
        if amount > self.available():
            raise Refused("too much", amount)
        self._balance -= amount
        self.entries.append(Entry(when, -amount, Kind.REFUND))

    def available(self):
        return self._balance

    def __len__(self):
        return len(self.entries)

    def __iter__(self):
        return iter(self.entries)


class Credit(Account):
    fee = 1
    limit = 500

    def available(self):
        return super().available() + self.limit


class Money:
    def __init__(self, cents):
        self.cents = cents

    def __add__(self, other):
        return Money(self.cents + other.cents)

    def __eq__(self, other):
        return isinstance(other, Money) and self.cents == other.cents

    def __hash__(self):
        return hash(self.cents)

    def __repr__(self):
        return f"{self.cents // 100}.{self.cents % 100:02}"


def main():
    accounts = [Credit(f"c{i}") if i % 2 else Account(f"a{i}", balance=i) for i in range(40)]
    refused = {}
    for when in range(6_000):
        account = accounts[when * 7 % len(accounts)]
        try:
            if when % 3:
                account.add(when, when % 11 - 1)
            else:
                account.take(when, when % 90)
        except Refused as error:
            refused[error.reason] = refused.get(error.reason, 0) + 1
        finally:
            last = account.owner
    total = Money(0)
    for account in accounts:
        for entry in account:
            if entry.kind is Kind.PAYMENT:
                total = total + Money(entry.amount)
    first = sorted(entry for account in accounts for entry in account)[0]
    sizes = {Money(len(account)) for account in accounts}
    return [repr(total), refused, last, first.when, len(sizes), sum(a.balance for a in accounts)]
