"""Finds orders that are unusual for their product.

The measure is the modified z-score, 0.6745 * (x - median) / MAD (Iglewicz and Hoaglin, 1993), which the unusual orders
themselves can't blur as they would blur a mean.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict

import orders


def main() -> None:
    """Write outliers.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", required=True)
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--pace", type=float, default=0)
    given = parser.parse_args()

    rows, _ = orders.read(given.csv)
    by_product: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_product[row.product].append(row.revenue)
    usual = {product: spread(values) for product, values in by_product.items()}
    found = []
    for row in orders.paced(rows, given.pace):
        median, deviation = usual[row.product]
        score = 0.6745 * (row.revenue - median) / deviation if deviation else 0.0
        if abs(score) >= given.threshold:
            found.append((score, row))
    found.sort(key=lambda pair: (-abs(pair[0]), pair[1].line))
    print(f"{len(found)} of {len(rows)} orders are unusual.")
    orders.metric("outliers", len(found), "orders")
    orders.save(
        "outliers.json",
        {
            "threshold": given.threshold,
            "orders": [
                {
                    "orderId": row.order_id,
                    "line": row.line,
                    "date": row.day.isoformat(),
                    "region": row.region,
                    "product": row.product,
                    "revenue": round(row.revenue, 2),
                    "usual": round(usual[row.product][0], 2),
                    "score": round(score, 1),
                }
                for score, row in found
            ],
        },
    )


def spread(values: list[float]) -> tuple[float, float]:
    """Return the median of values, and the median distance from it."""
    median = statistics.median(values)
    return median, statistics.median(abs(value - median) for value in values)


if __name__ == "__main__":
    main()
