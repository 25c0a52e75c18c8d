"""Times tasks from Python, one after the other, each from its publication until its result is
there. Prints the milliseconds of each as JSON, after some that warm up.

    round_trips.py CLIENT TRIPS

CLIENT is `celery`, for Celery's own that asks Celery, `pika`, for a stock client that asks ROH, or
`pika-celery`, for the same that asks Celery.
"""

import json
import os
import sys
import time
import uuid


BROKER, QUEUE = os.environ["BENCH_BROKER"], os.environ["BENCH_QUEUE"]


def celery_client():
    from celery_app import add

    return lambda x, y: add.delay(x, y).get(timeout=30)


def pika_client(publish):
    import pika

    channel = pika.BlockingConnection(pika.URLParameters(BROKER)).channel()
    reply_to = channel.queue_declare("", exclusive=True).method.queue
    replies = channel.consume(reply_to, auto_ack=True)

    def ask(x, y):
        task_id = str(uuid.uuid4())
        properties = pika.BasicProperties(
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            correlation_id=task_id,
            reply_to=reply_to,
        )
        publish(channel, task_id, properties, [x, y])
        for _, properties, body in replies:
            if properties.correlation_id == task_id:
                return json.loads(body)["result"]

    return ask


def to_roh(channel, task_id, properties, args):
    properties.message_id = task_id
    body = {"task": "bench.add", "args": args}
    channel.basic_publish("bench.exchange", "", json.dumps(body), properties)


def to_celery(channel, task_id, properties, args):
    properties.headers = {"lang": "py", "task": "bench.add", "id": task_id, "root_id": task_id}
    body = [args, {}, {}]
    channel.basic_publish("", QUEUE, json.dumps(body), properties)


def main():
    client, trips = sys.argv[1], int(sys.argv[2])
    if client == "celery":
        ask = celery_client()
    else:
        ask = pika_client({"pika": to_roh, "pika-celery": to_celery}[client])
    times = []
    for number in range(trips + trips // 10):
        began = time.perf_counter()
        result = ask(number, 1)
        times.append((time.perf_counter() - began) * 1e3)
        assert result == number + 1, result
    print(json.dumps(times[trips // 10 :]))


main()
