"""Publishes one message with properties that a stock pika client lets through, though
other clients could not read them.

    odd.py URL EXCHANGE REPLY_TO
"""

import sys

import pika

url, exchange, reply_to = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()
deep = []
for _ in range(900):
    deep = [deep]
channel.basic_publish(
    exchange,
    b"\xfe",
    b'{"task": "a.b"}',
    pika.BasicProperties(
        message_id=b"\xff\xfe",
        correlation_id="question",
        reply_to=reply_to,
        headers={b"\xff": 1, "deep": deep},
    ),
    mandatory=True,
)
connection.close()
