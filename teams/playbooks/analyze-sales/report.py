"""Writes what the other steps found as a report for people."""

from __future__ import annotations

import argparse
from pathlib import Path

import orders


def main() -> None:
    """Write report.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--top", type=int, required=True)
    parser.add_argument("--pace", type=float, default=0)
    given = parser.parse_args()

    profile, totals, outliers = (orders.load(f"{name}.json") for name in ("profile", "totals", "outliers"))
    parts = [overview(profile, totals), regions(totals, given.top), months(totals), unusual(outliers, given.top)]
    if profile["leftOut"]:
        parts.append(left_out(profile["leftOut"], given.top))
    text = "\n".join("\n".join(part) + "\n" for part in orders.paced(parts, given.pace))
    Path("report.md").write_text(text, encoding="utf-8")
    print(f"Wrote report.md, {len(text.splitlines())} lines.")


def overview(profile: orders.Found, totals: orders.Found) -> list[str]:
    """Return what stands at the top."""
    best = max(totals["months"], key=lambda month: sum(totals["months"][month].values()))
    leader = next(iter(totals["regions"]))
    amounts = f"{money(profile['medianOrder'])} in the median and {money(profile['meanOrder'])} on average"
    return [
        f"# Sales from {profile['from']} to {profile['to']}",
        "",
        f"{profile['orders']:,} orders brought **{money(profile['revenue'])}**, {amounts}.",
        f"The best month was **{best}**, the strongest region **{cell(leader)}**.",
        "",
        "The chart revenue.svg shows every month by region.",
    ]


def regions(totals: orders.Found, top: int) -> list[str]:
    """Return the strongest regions."""
    whole = sum(totals["regions"].values()) or 1.0
    ranked = list(totals["regions"].items())[:top]
    lines = ["## Regions", "", "| Region | Revenue | Share |", "|---|---:|---:|"]
    lines += [f"| {cell(name)} | {money(value)} | {value / whole:.1%} |" for name, value in ranked]
    return lines


def months(totals: orders.Found) -> list[str]:
    """Return the months, each with its change."""
    lines = ["## Months", "", "| Month | Revenue | Change |", "|---|---:|---:|"]
    before = 0.0
    for month, by_region in totals["months"].items():
        value = sum(by_region.values())
        lines.append(f"| {month} | {money(value)} | {f'{value / before - 1:+.1%}' if before else '-'} |")
        before = value
    return lines


def unusual(outliers: orders.Found, top: int) -> list[str]:
    """Return the most unusual orders."""
    found = outliers["orders"]
    lines = ["## Unusual orders", ""]
    if not found:
        return [*lines, f"None is {outliers['threshold']:g} robust standard deviations from its product's usual order."]
    distance = f"{outliers['threshold']:g} or more robust standard deviations"
    lines += [
        f"{len(found)} orders are {distance} from their product's usual order; the first {min(top, len(found))}:",
        "",
        "| Order | Date | Region | Product | Revenue | Usual | Score |",
        "|---|---|---|---|---:|---:|---:|",
    ]
    lines += [
        f"| {cell(order['orderId'])} | {order['date']} | {cell(order['region'])} | {cell(order['product'])} "
        f"| {money(order['revenue'])} | {money(order['usual'])} | {order['score']:+.1f} |"
        for order in found[:top]
    ]
    return lines


def left_out(faults: list[str], top: int) -> list[str]:
    """Return which rows were not counted."""
    shown = [f"- {cell(fault)}" for fault in faults[:top]]
    more = len(faults) - len(shown)
    return ["## Rows left out", "", *shown, *([f"- and {more} more"] if more else [])]


def money(value: float) -> str:
    """Return an amount as people write it."""
    return f"{value:,.2f} {orders.CURRENCY}"


def cell(text: str) -> str:
    """Return a text from the data so that it stays within its cell and is no markup."""
    flat = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]()<>#|!" else sign for sign in flat)


if __name__ == "__main__":
    main()
