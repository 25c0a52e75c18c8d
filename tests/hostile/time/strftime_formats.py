# Formats that no calendar has.
# expect: succeeded
# result: null
import datetime
import time


def main():
    for form in (
        "%",
        "%%%",
        "%Q",
        "%9999999d",
        "%-",
        "%E",
        "\0",
        "\ud800",
        "%" * 10_000,
        "é%Y",
        "%:z",
        "%+",
    ):
        for convert in (
            time.strftime,
            datetime.datetime(1, 1, 1).strftime,
            datetime.time().strftime,
        ):
            try:
                convert(form)
            except (ValueError, UnicodeError):
                pass
