"""Redis as the bus of the bell: PUBLISH and SUBSCRIBE, and no repair behind our back."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from storage.bell_backend import TOPIC, NetworkBackend


class RedisBackend(NetworkBackend):
    """Two connections: one publishes, one listens.

    Raises:
        ValueError: The URL is not one of Redis.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        # redis-py would reconnect by itself, and lose what was published meanwhile without a word.
        self._redis: Any = Redis.from_url(
            url, decode_responses=True, retry=Retry(NoBackoff(), 0), socket_timeout=None, health_check_interval=0
        )
        self._subscription: Any = self._redis.pubsub()

    async def connect(self) -> None:
        """Connect, and subscribe: return when Redis has confirmed it.

        Raises:
            redis.RedisError: It can't be reached, or refuses.
        """
        try:
            await self._subscription.subscribe(TOPIC)
            await self._subscription.get_message(timeout=None)
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Close both connections."""
        await self._subscription.aclose()
        await self._redis.aclose()

    async def publish(self, channel: str, message: str) -> None:
        """Send a message.

        Raises:
            redis.RedisError: The connection is lost.
        """
        await self._redis.publish(channel, message)

    async def receive(self) -> str:
        """Wait for the next message."""
        while True:
            message = await self._subscription.get_message(ignore_subscribe_messages=True, timeout=None)
            if message is not None:
                return str(message["data"])
