# Every table of Unicode, again and again.
# expect: timeout
import sys
import unicodedata


def main():
    text = "".join(map(chr, range(0x20, 0xD800)))
    while True:
        unicodedata.normalize("NFKD", text.upper().casefold().title())
