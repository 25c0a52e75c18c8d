"""Regular expressions that search, split and replace."""

import re

ADDRESS = re.compile(r"\b[\w.+-]+@([\w-]+\.)+[a-z]{2,}\b", re.IGNORECASE)
DATE = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:T(\d\d):(\d\d))?")
TOKEN = re.compile(r"""\s*(?:(\d+(?:\.\d*)?)|([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*")|(.))""")
MARKUP = re.compile(r"<(/?)(b|i|a)(?: href='([^']*)')?>")


def level(line):
    match = re.match(r"\[(\d+)\] (ERROR|WARN(?:ING)?|INFO|DEBUG)\s+(.*)", line)
    return (int(match[1]), match[2], match[3]) if match else None


def main():
    text = " ".join(
        f"user{i}@mail{i % 5}.example.org wrote on 2026-{i % 12 + 1:02}-{i % 28 + 1:02}T{i % 24:02}:30,"
        f" not at {i}@home; <a href='/p/{i}'>see <b>this</b></a>"
        for i in range(330)
    )
    addresses = [match.group() for match in ADDRESS.finditer(text)]
    months = [int(match["month"]) for match in DATE.finditer(text)]
    swapped = DATE.sub(lambda match: f"{match['day']}.{match['month']}.{match['year']}", text)
    plain = MARKUP.sub("", swapped)
    words = re.split(r"[\s,;]+", plain)
    program = 'let total_1 = price * 3.25 + f("a \\"b\\" c", x[0]) ; ' * 60
    kinds = [0, 0, 0, 0]
    for match in TOKEN.finditer(program):
        kinds[match.lastindex - 1] += 1
    lines = [f"[{i}] {('ERROR', 'WARN', 'INFO', 'none')[i % 4]} message {i}" for i in range(700)]
    levels = [found for found in map(level, lines) if found]
    doubled = re.findall(r"(\w)\1", plain[:6_000])
    return [len(addresses), sum(months), len(words), kinds, len(levels), len(doubled)]
