"""JSON, to text and back."""

import json


def main():
    orders = [
        {"id": i, "name": f"order {i}", "lines": [{"sku": j, "price": j / 4} for j in range(5)]}
        for i in range(400)
    ]
    for _ in range(5):
        orders = json.loads(json.dumps(orders))
    return sum(line["price"] for order in orders for line in order["lines"])
