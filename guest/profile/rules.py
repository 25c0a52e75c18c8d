"""What is likely run most: rules of a shop, small functions over dictionaries."""

RATES = {"de": 0.19, "fr": 0.2, "us": 0.0}
DEFAULTS = {"country": "de", "customer": "guest", "coupon": None}


def is_bulk(line):
    return line["count"] >= 10


def price(line, *, discount=0.0):
    amount = line["count"] * line["price"]
    if is_bulk(line):
        discount += 0.05
    return amount * (1 - discount)


def validate(order):
    errors = []
    for key in ("id", "lines", "country"):
        if key not in order:
            errors.append(f"{key} is missing")
    if not isinstance(order.get("lines"), list):
        errors.append("lines is no list")
    elif any(line["count"] < 1 for line in order["lines"]):
        errors.append("a line has no count")
    return errors


def handle(order, **options):
    order = {**DEFAULTS, **order}
    errors = validate(order)
    if errors:
        return {"ok": False, "errors": errors}
    discount = 0.1 if order["coupon"] == "SPRING" else options.get("discount", 0.0)
    net = sum(price(line, discount=discount) for line in order["lines"])
    tax = net * RATES.get(order["country"], 0.25)
    labels = [line["sku"].lower() + "-" + str(line["count"]) for line in order["lines"]]
    return {"ok": True, "net": round(net, 2), "gross": round(net + tax, 2), "labels": labels}


def main():
    results = []
    for number in range(1_300):
        lines = [{"sku": f"S{i}", "count": (number + i) % 14, "price": 1.5 * i + 1} for i in range(4)]
        order = {"id": number, "lines": lines if number % 50 else None}
        if number % 3 == 0:
            order["coupon"] = "SPRING"
        if number % 4 == 0:
            order["country"] = "fr"
        results.append(handle(order, discount=0.02))
    good = [result for result in results if result["ok"]]
    best = max(good, key=lambda result: result["gross"])
    by_count = {}
    for result in good:
        by_count.setdefault(len(result["labels"][0]), []).append(result["net"])
    return [len(good), best["gross"], {key: round(sum(nets), 2) for key, nets in by_count.items()}]
