#!/bin/sh
# Makes a virtual environment with Celery and pika, below the folder given, and prints its python.
# Does nothing, fast, where it is there.
set -eu

CELERY=5.7.0
# As in tests/setup.sh.
PIKA=1.3.2
venv=$1/celery-$CELERY

if ! "$venv/bin/python" -c 'import celery, pika' 2>/dev/null; then
    echo "bench: installing celery $CELERY and pika $PIKA into $venv (a minute)" >&2
    # What it says if it fails is for people; our output is not.
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        "celery==$CELERY" "pika==$PIKA" >&2
fi
echo "$venv/bin/python"
