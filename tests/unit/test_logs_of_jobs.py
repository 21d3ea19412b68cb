"""What a lost database leaves in the log of a worker: lines, and no traceback."""

import json
import subprocess
import sys

LOSE = """
import logging
from procrastinate.exceptions import ConnectorException
from graph.logs import configure_logging

configure_logging("info", "json")
error = ConnectorException()
error.__cause__ = OSError("the connection\\n is closed")
logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=error)
logging.getLogger("procrastinate.worker").error("Side task listener failed", exc_info=error)
logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=ValueError("ours"))
"""


def test_the_end_of_a_job_that_was_not_written_is_told_in_a_line() -> None:
    said = subprocess.run([sys.executable, "-c", LOSE], check=True, capture_output=True, text=True).stderr
    lost, ours = map(json.loads, said.splitlines())
    assert lost["level"] == "warning"
    assert lost["message"].endswith("does no harm: the connection is closed")
    assert "exception" not in lost
    assert "ours" in ours["exception"]
