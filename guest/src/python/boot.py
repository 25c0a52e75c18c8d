import os
_t=os.urandom
_t(1)
"""Imports the modules that scripts commonly use, so that the snapshot holds them."""

import time
_t(1004)

# The sandbox's clock is UTC, and the `time` module of this platform leaves its
# zone out, which `_strptime` and `email` rely on.
for _name, _value in (("tzname", ("UTC", "UTC")), ("timezone", 0), ("altzone", 0), ("daylight", 0)):
    if not hasattr(time, _name):
        setattr(time, _name, _value)

import asyncio
_t(1013)
import base64
_t(1015)
import binascii
_t(1017)
import bisect
_t(1019)
import calendar
_t(1021)
import collections.abc
_t(1023)
import contextlib
_t(1025)
import contextvars
_t(1027)
import copy
_t(1029)
import csv
_t(1031)
import dataclasses
_t(1033)
import datetime
_t(1035)
import decimal
_t(1037)
import difflib
_t(1039)
import email.message
_t(1041)
import email.utils
_t(1043)
import encodings.idna
_t(1045)
import enum
_t(1047)
import fnmatch
_t(1049)
import fractions
_t(1051)
import functools
_t(1053)
import gc
_t(1055)
import hashlib
_t(1057)
import heapq
_t(1059)
import hmac
_t(1061)
import html
_t(1063)
import importlib.util
_t(1065)
import inspect
_t(1067)
import io
_t(1069)
import itertools
_t(1071)
import json
_t(1073)
import linecache
_t(1075)
import locale
_t(1077)
import logging
_t(1079)
import math
_t(1081)
import numbers
_t(1083)
import operator
_t(1085)
import os
_t(1087)
import pathlib
_t(1089)
import pickle
_t(1091)
import pprint
_t(1093)
import queue
_t(1095)
import random
_t(1097)
import re
_t(1099)
import secrets
_t(1101)
import shlex
_t(1103)
import statistics
_t(1105)
import string
_t(1107)
import struct
_t(1109)
import sys
_t(1111)
import tempfile
_t(1113)
import textwrap
_t(1115)
import threading
_t(1117)
import tomllib
_t(1119)
import traceback
_t(1121)
import types
_t(1123)
import typing
_t(1125)
import unicodedata
_t(1127)
import urllib.parse
_t(1129)
import uuid
_t(1131)
import warnings
_t(1133)
import weakref
_t(1135)
import xml.etree.ElementTree
_t(1137)
import zlib
_t(1139)
import zoneinfo
_t(1141)

import concurrent.futures.thread
_t(1144)
import _strptime  # datetime.strptime would import it at its first call
_t(1146)
