"""CSV, dates, decimals and JSON: what is sold is summed up."""

import csv
import io
import json
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal


def table():
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["day", "region", "product", "count", "price"])
    day = date(2026, 1, 1)
    for row in range(700):
        when = day + timedelta(days=row % 90)
        region = ["north", "south", "east, far", 'the "west"'][row % 4]
        writer.writerow([when.isoformat(), region, f"p{row % 13}", row % 17, f"{row % 50}.{row % 100:02}"])
    return out.getvalue()


def summed(text):
    regions = {}
    for row in csv.DictReader(io.StringIO(text)):
        when = datetime.strptime(row["day"], "%Y-%m-%d") if len(regions) < 2 else date.fromisoformat(row["day"])
        key = (row["region"], when.month)
        price = Decimal(row["price"]) * int(row["count"])
        entry = regions.setdefault(key, {"sum": Decimal(0), "rows": 0, "products": set()})
        entry["sum"] += price
        entry["rows"] += 1
        entry["products"].add(row["product"])
    return regions


def main():
    regions = summed(table())
    report = []
    for (region, month), entry in sorted(regions.items()):
        tax = (entry["sum"] * Decimal("0.19")).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
        report.append({
            "region": region,
            "month": month,
            "sum": str(entry["sum"]),
            "tax": float(tax),
            "rows": entry["rows"],
            "products": sorted(entry["products"]),
            "note": None if tax > 100 else "small \u2014 pr\u00fcfen",
            "final": bool(month % 2),
        })
    text = ""
    for _ in range(12):
        text = json.dumps(report, sort_keys=True, indent=2)
        report = json.loads(text)
        text = json.dumps(report, ensure_ascii=False, separators=(",", ":"))
        report = json.loads(text)
    moment = datetime(2026, 3, 29, 0, 30, tzinfo=timezone.utc)
    stamps = [(moment + timedelta(minutes=i * 7)).isoformat() for i in range(300)]
    parsed = [datetime.fromisoformat(stamp).strftime("%d.%m.%Y %H:%M") for stamp in stamps]
    return [len(text), len(report), parsed[-1], len(set(parsed))]
