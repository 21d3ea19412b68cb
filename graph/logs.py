"""Where log records go: one line each on standard error, with the time in UTC."""

import logging
import time
from typing import Final

_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"

# They tell every start and every connection as news.
_CHATTY: Final = ("alembic", "uvicorn", "websockets")


def configure_logging(level: str) -> None:
    """Send what is at least that important to standard error.

    Args:
        level: debug, info, warning or error.
    """
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if level != "debug":
        for name in _CHATTY:
            logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
