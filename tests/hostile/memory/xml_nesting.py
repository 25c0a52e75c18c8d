# Elements in elements.
# expect: failed
# error: RecursionError
import xml.etree.ElementTree as ET


def main():
    depth = 2_000
    return len(ET.tostring(ET.fromstring("<a>" * depth + "</a>" * depth)))
