"""Files that a page of the docs tells its reader to write."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_FILE = re.compile(r"^`(?P<path>[\w./-]+)`:\n\n```\w+\n(?P<content>.*?)^```$", re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> list[str]:
    """Write every block that follows a line with a path alone, and return the paths."""
    found = [(match["path"], match["content"]) for match in _FILE.finditer((DOCS / page).read_text())]
    for path, content in found:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return [path for path, _ in found]


def console(page: str) -> list[tuple[str, str]]:
    """Return the commands of a page's console blocks, each with the output that it shows."""
    blocks = re.findall(r"^```console\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    commands = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, output) for command, _, output in (part.partition("\n") for part in commands)]
