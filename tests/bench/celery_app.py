"""What ROH is measured against: one task, on Celery, with late acks."""

import os

from celery import Celery
from kombu import Queue

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend="rpc://")
app.conf.update(
    task_acks_late=True,
    task_default_queue=os.environ["BENCH_QUEUE"],
    # The queue is there already.
    task_queues=[Queue(os.environ["BENCH_QUEUE"], no_declare=True)],
    broker_connection_retry_on_startup=True,
)


@app.task(name="bench.add")
def add(x, y):
    return x + y
