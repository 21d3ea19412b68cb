"""Draws revenue by month, stacked by region, as an SVG that also reads well aloud.

Colours are those of Okabe and Ito, which people with a colour vision deficiency can tell apart; every number is in the
drawing's text too.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from html import escape
from pathlib import Path

import orders

WIDTH, HEIGHT = 960, 540
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 112, 56
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#555555")
INK, SOFT, RULE = "#1b1f24", "#57606a", "#d8dee4"
FONT = 'font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif"'


def main() -> None:
    """Write revenue.svg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--totals", required=True)
    parser.add_argument("--pace", type=float, default=0)
    given = parser.parse_args()

    totals = folded(orders.load(given.totals))
    months = list(orders.paced(list(totals["months"].items()), given.pace))
    drawing = draw(list(totals["regions"]), months)
    Path("revenue.svg").write_text(drawing, encoding="utf-8")
    print(f"Wrote revenue.svg, {len(months)} months.")


def folded(totals: orders.Found) -> orders.Found:
    """Return totals with at most as many regions as there are colours, the smallest together as Others."""
    names = list(totals["regions"])
    shown, rest = names[: len(COLOURS) - 1], names[len(COLOURS) - 1 :]
    if len(rest) <= 1:
        return totals

    def fold(values: dict[str, float]) -> dict[str, float]:
        return {**{name: values[name] for name in shown}, "Others": sum(values[name] for name in rest)}

    return {
        "regions": fold(totals["regions"]),
        "months": {month: fold(values) for month, values in totals["months"].items()},
    }


def draw(regions: list[str], months: list[tuple[str, dict[str, float]]]) -> str:
    """Return the whole drawing."""
    sums = [sum(values.values()) for _, values in months]
    step = tick_step(max(sums))
    top = step * max(math.ceil(max(sums) / step), 1)
    title = f"Revenue by month and region, {months[0][0]} to {months[-1][0]}"
    spoken = "; ".join(
        f"{month}: {value:,.0f} {orders.CURRENCY}" for (month, _), value in zip(months, sums, strict=True)
    )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc" {FONT}>',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">Stacked bars of {escape(", ".join(regions))}. {escape(spoken)}.</desc>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(LEFT, 40, title, size=22, weight=600),
        *legend(regions),
        *axis(step, top),
        *bars(regions, months, top),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def legend(regions: list[str]) -> Iterator[str]:
    """Yield a swatch and a name for each region, in the order of the stack."""
    place = float(LEFT)
    for colour, region in zip(COLOURS, regions, strict=False):
        yield f'<rect x="{place:.0f}" y="62" width="14" height="14" rx="3" fill="{colour}"/>'
        yield text(place + 21, 74, region, size=14, fill=SOFT)
        place += 21 + 8.2 * len(region) + 24


def axis(step: float, top: float) -> Iterator[str]:
    """Yield the lines to read heights by."""
    for number in range(round(top / step) + 1):
        y = height_of(number * step, top)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{RULE}"/>'
        yield text(LEFT - 10, y + 4.5, short(number * step), size=13, fill=SOFT, anchor="end")
    yield text(LEFT - 10, TOP - 14, orders.CURRENCY, size=13, fill=SOFT, anchor="end")


def bars(regions: list[str], months: list[tuple[str, dict[str, float]]], top: float) -> Iterator[str]:
    """Yield a bar for each month, each part of it with its number for who points at it."""
    slot = (WIDTH - LEFT - RIGHT) / len(months)
    every = math.ceil(len(months) / 14)
    for index, (month, values) in enumerate(months):
        x, width = LEFT + slot * (index + 0.16), slot * 0.68
        base = 0.0
        for colour, region in zip(COLOURS, regions, strict=False):
            lower, upper = height_of(base, top), height_of(base + values[region], top)
            base += values[region]
            yield (
                f'<rect x="{x:.1f}" y="{upper:.1f}" width="{width:.1f}" height="{max(lower - upper - 1, 0):.1f}" '
                f'fill="{colour}"><title>{escape(f"{region}, {month}: {values[region]:,.0f} {orders.CURRENCY}")}'
                "</title></rect>"
            )
        if index % every == 0:
            middle = x + width / 2
            yield text(middle, height_of(base, top) - 8, short(base), size=13, weight=600, anchor="middle")
            yield text(middle, HEIGHT - BOTTOM + 24, month, size=13, fill=SOFT, anchor="middle")


def text(
    x: float, y: float, content: str, *, size: int, fill: str = INK, weight: int = 400, anchor: str = "start"
) -> str:
    """Return a piece of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(content)}</text>'
    )


def height_of(value: float, top: float) -> float:
    """Return where a value stands on the page."""
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def tick_step(largest: float) -> float:
    """Return a round distance between lines, so that there are four to ten of them."""
    power = 10.0 ** math.floor(math.log10(largest or 1))
    return next(power * factor for factor in (0.1, 0.2, 0.5, 1, 2) if largest / (power * factor) <= 8)


def short(value: float) -> str:
    """Return a number in few characters."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f}".removesuffix(".0") + unit
    return f"{value:.0f}"


if __name__ == "__main__":
    main()
