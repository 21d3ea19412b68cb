"""What the kernel says about a process of ours."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds (RSS)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def family_resident_bytes(pid: int) -> int:
    """Return the memory that a process and its children hold; what they share counts for each."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(resident_bytes(each) for each in (pid, *map(int, children)))


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    return _cpu_seconds(Path(f"/proc/{pid}/stat"))


def thread_cpu_seconds(pid: int) -> tuple[float, float]:
    """Return the processor time that a process's main thread has used, and that of its other threads."""
    used = {int(task.name): _cpu_seconds(task / "stat") for task in Path(f"/proc/{pid}/task").iterdir()}
    main = used.pop(pid)
    return main, sum(used.values())


def _cpu_seconds(status: Path) -> float:
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family_cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of its children, those that are gone among them."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        own = int(status.parent.name) == pid
        if own or int(fields[1]) == pid:
            total += sum(map(int, fields[11:15] if own else fields[11:13]))
    return total / os.sysconf("SC_CLK_TCK")
