"""Publishes tasks to an exchange with a stock pika client, each confirmed by the broker.

    publish.py URL EXCHANGE COUNT [--reply-to QUEUE] [--prefix ID] [--body JSON]

Goes on after a broker that went away. Prints nothing; exits 0 once all are confirmed.
"""

import argparse
import time

import pika
from pika.exceptions import AMQPError


def connect(url):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    return connection, channel


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("exchange")
    parser.add_argument("count", type=int)
    parser.add_argument("--reply-to")
    parser.add_argument("--prefix", default="task")
    parser.add_argument("--body", default='{"script": "def main():\\n    return 42\\n"}')
    arguments = parser.parse_args()

    connection = channel = None
    sent = 0
    while sent < arguments.count:
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2,
            message_id=f"{arguments.prefix}-{sent}",
            reply_to=arguments.reply_to,
        )
        try:
            if channel is None:
                connection, channel = connect(arguments.url)
            channel.basic_publish(
                arguments.exchange, "", arguments.body, properties, mandatory=True
            )
            sent += 1
        except (AMQPError, OSError):
            # Unconfirmed: publish it again once the broker is back.
            channel = None
            time.sleep(0.2)
    connection.close()


main()
