"""Parts of pages that are made from code, between two marks."""

import re


def with_part(page: str, name: str, content: str) -> str:
    """A page with its part of a name made anew."""
    begin, end = f"<!-- generated: {name} -->\n", "\n<!-- end -->"
    page, found = re.subn(f"{begin}.*?{end}", lambda _: begin + content + end, page, flags=re.DOTALL)
    assert found == 1, f"The page has {found} parts named {name}."
    return page
