"""A rule that a customer wrote: what this customer pays for a basket.

The platform calls `price` for each basket; it need not trust what is written here.

    roh run examples/pricing.py --function price \
        --args '[{"items": [{"sku": "T1", "quantity": 12, "unit": 250}], "since": 2019}]'
"""

LOYAL_AFTER_YEARS = 5


def price(basket, year=2026):
    """Amounts are whole cents."""
    subtotal = sum(item["quantity"] * item["unit"] for item in basket["items"])
    rebates = {}
    dozens = sum(item["quantity"] // 12 * item["unit"] for item in basket["items"])
    if dozens:
        rebates["every twelfth free"] = dozens
    if year - basket.get("since", year) >= LOYAL_AFTER_YEARS:
        rebates["loyal customer, 3 %"] = (subtotal - dozens) * 3 // 100
    return {"subtotal": subtotal, "rebates": rebates, "total": subtotal - sum(rebates.values())}
