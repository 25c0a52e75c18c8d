"""Calls what acme's own customers have registered, for `weather.py`."""

import roh


def notify(topic, event):
    """Posts the event to the topic's hook."""
    # Any host that is not below hooks.example.com is refused: roh.NotGranted.
    answer = roh.http.post(f"https://{topic}.hooks.example.com/", json=event)
    # Two tasks at once may both read the same count: the store has no transactions.
    roh.state["notified"] = roh.state.get("notified", 0) + 1
    return answer.status
