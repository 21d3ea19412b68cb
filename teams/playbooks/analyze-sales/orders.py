"""What the steps share: reading orders, and telling metrics and progress."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

COLUMNS = ("order_id", "date", "region", "product", "units", "unit_price")
CURRENCY = "EUR"
BEATS = 5

T = TypeVar("T")
Found: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One row of the file, with a line number for finding it again."""

    line: int
    order_id: str
    day: date
    region: str
    product: str
    units: int
    unit_price: float

    @property
    def revenue(self) -> float:
        """What the order brought."""
        return self.units * self.unit_price

    @property
    def month(self) -> str:
        """The month as YYYY-MM."""
        return self.day.strftime("%Y-%m")


def read(path: str) -> tuple[list[Order], list[str]]:
    """Return a file's good rows, and why the others can't be used."""
    orders: list[Order] = []
    faults: list[str] = []
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            sys.exit(f"{path} lacks the columns {', '.join(missing)}; it needs {', '.join(COLUMNS)}.")
        for row in rows:
            try:
                orders.append(_order(rows.line_num, row))
            except ValueError as error:
                faults.append(f"line {rows.line_num}: {error}")
    if not orders:
        sys.exit(f"{path} holds no order that can be read.")
    return orders, faults


def paced(items: Sequence[T], seconds: float) -> Iterator[T]:
    """Yield items, tell how far that is, and rest now and then, `seconds` in all."""
    told = 0
    for number, item in enumerate(items, 1):
        yield item
        beat = number * BEATS // len(items)
        if beat > told:
            time.sleep(seconds * (beat - told) / BEATS)
            told = beat
            print(f"::progress {beat / BEATS}")


def metric(name: str, value: float, unit: str, **labels: str) -> None:
    """Tell a metric."""
    print("::metric " + json.dumps({"name": name, "value": value, "unit": unit, "labels": labels}))


def save(name: str, content: object) -> None:
    """Write a result as JSON."""
    Path(name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"Wrote {name}.")


def load(name: str) -> Found:
    """Read the result of an earlier step."""
    found: Found = json.loads(Path(name).read_text(encoding="utf-8"))
    return found


def _order(line: int, row: dict[str, str]) -> Order:
    units = _read(int, row, "units", "a whole number")
    price = _read(float, row, "unit_price", "a number")
    day = _read(date.fromisoformat, row, "date", "a date")
    if units <= 0 or not 0 <= price < float("inf"):
        raise ValueError(f"{units} units at {price} make no order")
    if not row["region"] or not row["product"]:
        raise ValueError("region and product must not be empty")
    return Order(line, row["order_id"], day, row["region"], row["product"], units, price)


def _read(convert: Callable[[str], T], row: dict[str, str], column: str, kind: str) -> T:
    try:
        return convert(row[column])
    except (TypeError, ValueError):
        raise ValueError(f"{column} is {row[column] or 'empty'}, not {kind}") from None
