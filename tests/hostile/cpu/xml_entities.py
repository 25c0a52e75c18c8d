# A billion laughs.
# expect: succeeded
# result: null
import xml.etree.ElementTree as ET


def main():
    names = [f"l{n}" for n in range(12)]
    rules = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip(names, names[1:]))
    text = f'<!DOCTYPE x [<!ENTITY l0 "ha">{rules}]><x>&l11;</x>'
    return ET.fromstring(text).text
