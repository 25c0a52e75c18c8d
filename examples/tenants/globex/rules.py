"""A rule of globex's, which needs nothing but its arguments. What it is not granted is refused:

    from roh import secret
    secret("WEATHER_KEY")
    # roh.NotGranted: tenant "globex" lacks the grant "secrets": add "WEATHER_KEY" to [tenant.grants.secrets]
"""


def discount(basket):
    """Percent off, for a basket of items with quantity and unit."""
    total = sum(item["quantity"] * item["unit"] for item in basket["items"])
    return {"percent": 5 if total > 100 else 0}
