"""Collects replies from a durable queue with a stock pika client.

    collect.py URL QUEUE COUNT SECONDS

Declares the queue and says "ready" on standard output. Goes on after a broker that went
away, and prints the number of tasks replied to when it has grown by a hundred. Stops
once COUNT different tasks were replied to and the queue has been quiet for a second, or
after SECONDS. Prints one JSON object: a task's id -> its replies.
"""

import json
import sys
import time

import pika
from pika.exceptions import AMQPError

QUIET_SECONDS = 1.0


def collect(url, queue, count, seconds):
    replies = {}
    deadline = time.monotonic() + seconds
    last = time.monotonic()
    channel = None
    announced = False
    told = 0
    while time.monotonic() < deadline:
        if len(replies) >= count and time.monotonic() - last > QUIET_SECONDS:
            break
        try:
            if channel is None:
                channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
                channel.queue_declare(queue, durable=True)
                channel.basic_qos(prefetch_count=500)
            if not announced:
                print("ready", flush=True)
                announced = True
            for method, properties, body in channel.consume(queue, inactivity_timeout=0.2):
                if method is None:
                    break
                reply = json.loads(body)
                assert properties.correlation_id == reply["id"], (properties, reply)
                replies.setdefault(reply["id"], []).append(reply)
                if len(replies) >= told + 100:
                    told = len(replies)
                    print(told, flush=True)
                channel.basic_ack(method.delivery_tag)
                last = time.monotonic()
        except (AMQPError, OSError):
            channel = None
            time.sleep(0.2)
    return replies


def main():
    url, queue, count, seconds = sys.argv[1:]
    json.dump(collect(url, queue, int(count), float(seconds)), sys.stdout)
    print()


main()
