#!/usr/bin/env python3
"""Publishes tasks to ROH and waits for their replies.

    publisher.py [--url URL] [--exchange NAME] [--timeout SECONDS] [TASK ...]

A TASK is the message itself, in JSON:

    publisher.py '{"task": "reports.daily", "args": [2026], "kwargs": {"region": "eu"}}'

Without any, it publishes a few that need no script folder. Needs pika:
`python3 -m pip install pika`.
"""

import argparse
import json
import time
import uuid

import pika

DEFAULT_TASKS = [
    {"script": "def main(name):\n    return f'Hello, {name}!'\n", "args": ["ROH"]},
    {"script": "import math\n\ndef main(n):\n    return math.comb(n, n // 2)\n", "args": [40]},
    {"script": "def main():\n    raise ValueError('as it should be')\n"},
    {"script": "def main():\n    while True:\n        pass\n", "timeout": "1s"},
]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="amqp://guest:guest@localhost:5672/%2F")
    parser.add_argument("--exchange", default="roh.tasks")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="a task message in JSON")
    arguments = parser.parse_args()
    tasks = [json.loads(task) for task in arguments.tasks] or DEFAULT_TASKS

    connection = pika.BlockingConnection(pika.URLParameters(arguments.url))
    channel = connection.channel()
    # With it, a publish returns once the broker has the task, or raises an exception.
    channel.confirm_delivery()
    # The broker names the queue, and removes it when we leave.
    replies = channel.queue_declare("", exclusive=True).method.queue

    waiting = set()
    for task in tasks:
        task_id = str(uuid.uuid4())
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2,  # survives a restart of the broker
            message_id=task_id,
            correlation_id=task_id,
            reply_to=replies,
        )
        channel.basic_publish(
            arguments.exchange, "", json.dumps(task), properties, mandatory=True
        )
        waiting.add(task_id)

    print(f"{'ID':8}  {'STATUS':13}  {'WALL MS':>8}  {'NODE':12}  RESULT")
    deadline = time.monotonic() + arguments.timeout
    for method, properties, body in channel.consume(replies, inactivity_timeout=0.5):
        if method is not None:
            channel.basic_ack(method.delivery_tag)
            # At least once: a reply can come twice.
            if properties.correlation_id in waiting:
                waiting.remove(properties.correlation_id)
                show(json.loads(body))
        if not waiting or time.monotonic() > deadline:
            break
    connection.close()
    if waiting:
        raise SystemExit(f"{len(waiting)} of {len(tasks)} tasks were not replied to in time")


def show(reply):
    if reply["status"] == "succeeded":
        result = json.dumps(reply["result"])
    else:
        result = f"{reply['error']['type']}: {reply['error']['message']}"
    wall = reply["usage"]["wall_ms"]
    print(f"{reply['id'][:8]}  {reply['status']:13}  {wall:8.1f}  {reply['node']:12}  {result}")


if __name__ == "__main__":
    main()
