"""Watches the weather in acme's cities, with all that `examples/tenants.toml` grants acme:
data files, a task for each city, a secret, HTTP, a store, events, progress and logs.

    roh submit --config examples/tenants.toml --task weather.watch --wait
"""

import json
import logging

import roh


def watch():
    """Submits a task for each city."""
    with open("/data/cities.json") as file:
        cities = json.load(file)
    ids = {}
    for done, (city, place) in enumerate(sorted(cities.items()), start=1):
        ids[city] = roh.submit("weather.look", city, place)
        roh.progress(done, len(cities))
    return ids


def look(city, place):
    """Asks how the weather is, and tells of a change."""
    latitude, longitude = place
    params = {"lat": latitude, "lon": longitude, "key": roh.secret("WEATHER_KEY")}
    try:
        answer = roh.http.get("https://api.example.com/now", params=params, timeout=3)
        answer.raise_for_status()
    except (roh.HostError, TimeoutError) as error:
        logging.warning("no weather for %s: %s", city, error)
        return None
    sky = answer.json()["sky"]
    before = roh.state.get(f"sky/{city}")
    if sky != before:
        roh.state[f"sky/{city}"] = sky
        change = {"city": city, "before": before, "sky": sky}
        roh.amqp.publish("acme.events", "weather.changed", change)
        roh.submit("hooks.notify", "weather", change)
    logging.info("%s has %s, %.1f s left", city, sky, roh.task.remaining())
    return sky
