# Attributes of modules that every script imports.
# expect: succeeded
# result: []
import asyncio
import json
import os
import random
import re
import sys

MODULES = (asyncio, json, os, random, re, sys)


def plant():
    for module in MODULES:
        module.canary = "tweet"
    json.dumps = json.loads = lambda *a, **k: "tweet"
    sys.path.append("/canary")
    sys.argv.append("canary")


def look():
    return [m.__name__ for m in MODULES if hasattr(m, "canary")] + [
        text for text in (json.dumps(1), *sys.path, *sys.argv) if text != "1"
    ]
