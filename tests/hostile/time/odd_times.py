# Moments that no calendar has.
# expect: succeeded
# result: null
import datetime
import time


def main():
    for convert in (time.gmtime, time.localtime, time.ctime, datetime.datetime.fromtimestamp):
        for moment in (10**18, -(10**18), 2**63, 1e308, float("nan"), float("inf"), -1, 10**12):
            try:
                convert(moment)
            except Exception:
                pass
    for fields in ((0,) * 9, (-1,) * 9, (2**31 - 1,) * 9, (10**6, 99, 99, 99, 99, 99, 99, 999, 9)):
        for convert in (time.asctime, time.mktime, lambda t: time.strftime("%Y %j %U %Z %c", t)):
            try:
                convert(fields)
            except Exception:
                pass
