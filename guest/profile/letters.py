"""Strings: their methods, what is put together from them, and what is not ASCII."""

TEMPLATE = "Dear {title} {name},\n\nyour order {order:05d} of {count} items costs {price:,.2f} EUR.\n"


def wrap(text, width):
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) + 1 > width and line:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return lines + [line]


def caesar(text, shift):
    out = []
    for letter in text:
        if "a" <= letter <= "z":
            letter = chr((ord(letter) - 97 + shift) % 26 + 97)
        out.append(letter)
    return "".join(out)


def slug(title):
    kept = "".join(c if c.isalnum() else "-" for c in title.lower().strip())
    return "-".join(part for part in kept.split("-") if part)


def is_palindrome(text):
    kept = [c for c in text.lower() if c.isalpha()]
    return kept == kept[::-1]


def main():
    sent = []
    for i in range(900):
        text = TEMPLATE.format(
            title="Ms" if i % 2 else "Mr", name=f"Name{i}".title(), order=i, count=i % 9, price=i * 3.75
        )
        text += "Yours, %s (%d%%)" % ("The Shop", i % 100)
        sent.append(text.replace("\n\n", "\n").upper() if i % 10 == 0 else text)
    whole = "\n".join(sent)
    lines = wrap(whole[:14_000], 60)
    secret = caesar(whole[:5_000].lower(), 3)
    assert caesar(secret, -3).startswith("dear")
    titles = [slug(f"  Größe: {i} / Übung & Maß!! ") for i in range(400)]
    found = sum(line.count("o") + line.find("items") for line in lines)
    ends = sum(1 for line in whole.splitlines() if line.endswith(")") and not line.startswith("Dear"))
    pairs = {line.partition(" ")[0]: line.rpartition(" ")[2] for line in lines}
    encoded = "".join(titles).encode().decode("utf-8")
    palindromes = [is_palindrome(t) for t in ("Never odd or even", "not one", "Otto") * 60]
    table = "\n".join(f"{k:<12}{v!r:>20}{len(v):^7}{i:3}" for i, (k, v) in enumerate(pairs.items()))
    return [found, ends, len(encoded), sum(palindromes), len(table), titles[7].isidentifier()]
