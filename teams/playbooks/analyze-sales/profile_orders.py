"""Looks at a file of orders as a whole: how many, from when to when, and what can't be used."""

from __future__ import annotations

import argparse
import statistics
import sys

import orders


def main() -> None:
    """Write profile.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", required=True)
    parser.add_argument("--pace", type=float, default=0)
    given = parser.parse_args()

    rows, faults = orders.read(given.csv)
    print(f"{given.csv}: {len(rows)} orders, {len(faults)} rows that can't be used.")
    for fault in faults:
        print(f"Left out {fault}.", file=sys.stderr)
    revenue = 0.0
    for row in orders.paced(rows, given.pace):
        revenue += row.revenue
    days = [row.day for row in rows]
    orders.metric("rows", len(rows), "rows")
    orders.metric("rows_left_out", len(faults), "rows")
    orders.metric("revenue", round(revenue, 2), orders.CURRENCY)
    orders.save(
        "profile.json",
        {
            "file": given.csv,
            "orders": len(rows),
            "leftOut": faults,
            "from": min(days).isoformat(),
            "to": max(days).isoformat(),
            "regions": sorted({row.region for row in rows}),
            "products": sorted({row.product for row in rows}),
            "revenue": round(revenue, 2),
            "meanOrder": round(statistics.fmean(row.revenue for row in rows), 2),
            "medianOrder": round(statistics.median(row.revenue for row in rows), 2),
        },
    )


if __name__ == "__main__":
    main()
