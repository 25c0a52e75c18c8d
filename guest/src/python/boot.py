"""Imports the modules that scripts commonly use, so that the snapshot holds them."""

import time

# The sandbox's clock is UTC, and the `time` module of this platform leaves its
# zone out, which `_strptime` and `email` rely on.
for _name, _value in (("tzname", ("UTC", "UTC")), ("timezone", 0), ("altzone", 0), ("daylight", 0)):
    if not hasattr(time, _name):
        setattr(time, _name, _value)

import asyncio
import base64
import binascii
import bisect
import calendar
import collections.abc
import contextlib
import contextvars
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import email.message
import email.utils
import encodings.idna
import enum
import fnmatch
import fractions
import functools
import gc
import hashlib
import heapq
import hmac
import html
import importlib.util
import inspect
import io
import itertools
import json
import linecache
import locale
import logging
import math
import numbers
import operator
import os
import pathlib
import pickle
import pprint
import queue
import random
import re
import secrets
import shlex
import statistics
import string
import struct
import sys
import tempfile
import textwrap
import threading
import tomllib
import traceback
import types
import typing
import unicodedata
import urllib.parse
import uuid
import warnings
import weakref
import xml.etree.ElementTree
import zlib
import zoneinfo

import concurrent.futures.thread
import _strptime  # datetime.strptime would import it at its first call
