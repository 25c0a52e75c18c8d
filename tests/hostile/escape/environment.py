# The environment of the host, and what a program knows of itself.
# expect: succeeded
# result: {"argv": [], "environ": {}, "getenv": null, "path": []}
import os
import sys


def main():
    return {
        "argv": sys.argv,
        "environ": dict(os.environ),
        "getenv": os.getenv("PATH"),
        "path": sys.path,
    }
