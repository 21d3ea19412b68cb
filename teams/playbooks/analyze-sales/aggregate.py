"""Adds orders up by month and region."""

from __future__ import annotations

import argparse
from collections import defaultdict

import orders


def main() -> None:
    """Write totals.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", required=True)
    parser.add_argument("--pace", type=float, default=0)
    given = parser.parse_args()

    rows, _ = orders.read(given.csv)
    cells: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    regions: dict[str, float] = defaultdict(float)
    for row in orders.paced(rows, given.pace):
        cells[row.month][row.region] += row.revenue
        regions[row.region] += row.revenue
    ranked = sorted(regions, key=lambda region: (-regions[region], region))
    for region in ranked:
        print(f"{region}: {regions[region]:,.2f} {orders.CURRENCY}")
        orders.metric("region_revenue", round(regions[region], 2), orders.CURRENCY, region=region)
    orders.metric("months", len(cells), "months")
    orders.save(
        "totals.json",
        {
            "regions": {region: round(regions[region], 2) for region in ranked},
            "months": {
                month: {region: round(cells[month].get(region, 0.0), 2) for region in ranked} for month in sorted(cells)
            },
        },
    )


if __name__ == "__main__":
    main()
