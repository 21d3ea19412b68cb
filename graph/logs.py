"""Where log records go: one line each on standard error, with the time in UTC and the ids of what was being done."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Final, Literal

from domain.log_context import what_is_done

LogFormat = Literal["auto", "console", "json"]

IDS: Final = ("request_id", "run_id", "task_id")
"""What a record may say it is about, by itself (`extra`) or by what was being done when it was written."""

# They tell every start and every connection as news.
_CHATTY: Final = ("alembic", "uvicorn", "websockets")


def configure_logging(level: str, format_: LogFormat) -> None:
    """Send what is at least that important to standard error, warnings of Python among it.

    Args:
        level: debug, info, warning or error.
        format_: For people (console) or for programs (json); auto means people on a terminal and programs elsewhere.
    """
    for_people = sys.stderr.isatty() if format_ == "auto" else format_ == "console"
    handler = logging.StreamHandler()
    handler.setFormatter(ConsoleFormatter() if for_people else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(capture=True)
    if level != "debug":
        for name in _CHATTY:
            logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
        # It tells of a lost database with a traceback for each connection; storage.queue says it in a line.
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        logging.getLogger("asyncio").addFilter(_in_a_line)


def _in_a_line(record: logging.LogRecord) -> bool:
    """Tell in a line that the end of a job was not written: procrastinate leaves it to asyncio to say, at length."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and type(error).__module__.startswith("procrastinate"):
        reason = " ".join(str(error.__cause__ or error).split())
        record.msg, record.args = f"the end of a job was not written, which does no harm: {reason}", ()
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


class _Formatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class ConsoleFormatter(_Formatter):
    """Lines for people; a traceback follows its line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        """Put the ids behind the message."""
        line = super().formatMessage(record)
        ids = " ".join(f"{name}={value}" for name, value in _ids(record).items())
        return f"{line} [{ids}]" if ids else line


class JsonFormatter(_Formatter):
    """An object a line, whatever the message and the traceback hold."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object: time, level, logger and message, then ids and the exception where there are any."""
        said = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(record),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


def _ids(record: logging.LogRecord) -> Mapping[str, str]:
    about = {**what_is_done(), **vars(record)}
    return {name: str(about[name]) for name in IDS if name in about}
