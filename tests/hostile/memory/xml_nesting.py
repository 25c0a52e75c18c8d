# Elements in elements.
# expect: succeeded|failed|out-of-memory|timeout
# error: RecursionError|MemoryError|TimeoutError|xml.etree.ElementTree.ParseError
import xml.etree.ElementTree as ET


def main():
    depth = 20_000
    return len(ET.tostring(ET.fromstring("<a>" * depth + "</a>" * depth)))
