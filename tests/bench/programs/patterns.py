"""Regular expressions."""

import re


def main():
    line = '127.0.0.{} - - [26/Nov/2026:14:{:02}:00] "GET /page/{}?q={} HTTP/1.1" 200 {}'
    text = "\n".join(line.format(i % 250, i % 60, i, i * i, i * 37) for i in range(4_000))
    pattern = re.compile(r'^([\d.]+) .*?"(GET|POST) (/\w+/\d+)\?q=(\d+) [^"]*" (\d{3}) (\d+)$', re.M)
    found = pattern.findall(text)
    return [len(found), sum(int(size) for *_, size in found), len(re.sub(r"\d+", "#", text))]
