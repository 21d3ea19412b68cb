"""Bar charts as SVG, drawn from numbers, for a page on a light or a dark background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

_WIDTH: Final = 860
_MARGIN: Final = 20
_TITLE: Final = 54
_ROW: Final = 32
_BAR: Final = 20
_GAP: Final = 9
_LETTER: Final = 8.8
"""Width of a letter at most, on average: which font there is, is not known."""
_SHORTEST: Final = 2.0

_BACKGROUND: Final = "#ffffff"
_OURS: Final = "#d6480a"
_THEIRS: Final = "#9aa7b8"
_INK: Final = "#1f2933"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure.

    Attributes:
        name: Whose.
        value: The figure, above 0.
        text: The figure for people, with its unit.
        is_ours: Whether it is the product's, which stands out.
    """

    name: str
    value: float
    text: str
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Figures of several, beside one another.

    Attributes:
        name: Of its file, without the extension.
        title: What the figures are and which way is better.
        bars: From top to bottom, each as long as its value.
    """

    name: str
    title: str
    bars: Sequence[Bar]

    def svg(self) -> str:
        """Draw it."""
        height = _TITLE + _ROW * len(self.bars) + _MARGIN
        size = {"width": str(_WIDTH), "height": str(height), "viewBox": f"0 0 {_WIDTH} {height}"}
        root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "font-family": _FONT, **size})
        ET.SubElement(root, "title").text = self.title
        _rectangle(root, _BACKGROUND, x=0, y=0, width=_WIDTH, height=height, rx=6)
        _text(root, _MARGIN, 34, self.title, size=17, weight="600")
        left = _MARGIN + _GAP + _LETTER * max(len(bar.name) for bar in self.bars)
        right = _MARGIN + _GAP + _LETTER * max(len(bar.text) for bar in self.bars)
        scale = (_WIDTH - left - right) / max(bar.value for bar in self.bars)
        for place, bar in enumerate(self.bars):
            _draw(root, bar, left, _TITLE + _ROW * place, max(_SHORTEST, scale * bar.value))
        ET.indent(root)
        return ET.tostring(root, encoding="unicode") + "\n"


def _draw(root: ET.Element, bar: Bar, left: float, top: float, length: float) -> None:
    middle, weight = top + _BAR / 2 + 5, "600" if bar.is_ours else "400"
    _text(root, left - _GAP, middle, bar.name, anchor="end", weight=weight)
    _rectangle(root, _OURS if bar.is_ours else _THEIRS, x=left, y=top, width=round(length, 1), height=_BAR, rx=2)
    _text(root, left + length + _GAP, middle, bar.text, weight=weight)


def _rectangle(root: ET.Element, fill: str, **values: float) -> None:
    ET.SubElement(root, "rect", {"fill": fill, **{name: f"{value:g}" for name, value in values.items()}})


def _text(
    root: ET.Element, x: float, y: float, text: str, *, anchor: str = "start", size: int = 14, weight: str = "400"
) -> None:
    place = {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor}
    style = {"font-size": str(size), "font-weight": weight, "fill": _INK}
    ET.SubElement(root, "text", {**place, **style}).text = text
