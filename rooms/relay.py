"""The channel layer over Redis: `channels_redis`' publish and subscribe, mended for a Redis that goes away.

As it comes, a subscription that fails is lost for ever, a socket cannot even open meanwhile, queues have no end, and a
publication waits for seconds under a lock that everyone needs. Here what is wanted is kept, and agreed anew with Redis
once it is back; publications fail at once, so that the sender can be told.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels_redis.pubsub import (
    RedisPubSubChannelLayer,
    RedisPubSubLoopLayer,
    RedisSingleShardConnection,
)
from channels_redis.utils import _close_redis, _wrap_close, decode_hosts
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RelayClosed
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RelayTooSlow

logger = logging.getLogger(__name__)

AWAY = (RedisError, OSError, asyncio.TimeoutError)
"""What it means when the relay cannot be reached."""

CONNECT_TIMEOUT_S = 2.0  # Assumption: a Redis that a site can work with answers far sooner
ANSWER_TIMEOUT_S = 5.0  # Assumption: likewise, also where the connection hangs without an end
TRY_AGAIN_S = 0.3
LISTEN_S = 0.5  # how long one wait for messages lasts; what is new to be listened to is asked for meanwhile


class NewestKept(asyncio.Queue[Any]):
    """A queue that throws its oldest away when it is full: its reader hangs, and is closed for that soon."""

    def put_nowait(self, item: Any) -> None:
        if self.full():
            self.get_nowait()
        super().put_nowait(item)


class MendedConnection(RedisSingleShardConnection):
    """Keeps what it is to listen to in `_wanted`, whether Redis is there or not."""

    _redis: Any
    _pubsub: Any
    _subscribed_to: set[str]

    def __init__(self, host: dict[str, Any], channel_layer: Any) -> None:
        patient = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": ANSWER_TIMEOUT_S}
        # One more try at once: a pooled connection may be of before Redis was started again.
        super().__init__({**patient, "retry": Retry(NoBackoff(), 1), **host}, channel_layer)
        self._wanted: set[str] = set()
        self._deaf = False
        """Between a connection that broke and the next one that listens."""
        self._doubted = False
        """A message was not taken in time: whoever listens notices nothing of it, and has to begin anew."""

    async def publish(self, channel: str, message: bytes) -> None:
        if self._deaf:  # what is said now, this process itself would not hear
            raise RelayClosed("The relay is not listened to again yet.")
        self._ensure_redis()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._redis.publish(channel, message)
        except (TimeoutError, RelayTooSlow) as error:
            self._doubted = self._deaf = (
                self._receive_task is not None
            )  # who speaks next need not wait as long
            raise RelayClosed("The relay does not answer.") from error

    async def subscribe(self, channel: str) -> None:
        self._wanted.add(channel)
        self._ensure_redis()
        self._ensure_receiver()
        try:
            await self._catch_up()
        except AWAY:
            logger.warning("The relay is away; a socket listens as soon as it is back.")

    async def unsubscribe(self, channel: str) -> None:
        self._wanted.discard(channel)
        try:
            async with self._lock:
                if channel in self._subscribed_to:
                    self._subscribed_to.remove(channel)
                    await self._pubsub.unsubscribe(channel)
        except AWAY:
            self._pubsub.channels.pop(channel.encode(), None)  # or it would be asked for again

    async def flush(self) -> None:
        self._wanted.clear()
        await super().flush()

    async def _catch_up(self) -> None:
        """Listen to whatever is wanted and not listened to yet."""
        async with self._lock:
            missing = self._wanted - self._subscribed_to
            if missing:
                await self._pubsub.subscribe(*missing)
                self._subscribed_to |= missing
            self._deaf = self._doubted

    async def _do_receiving(self) -> None:
        while True:
            try:
                await self._receive_once()
            except AWAY as error:
                logger.warning("The relay is away (%s).", type(error).__name__)
                await self._start_anew()
                await asyncio.sleep(TRY_AGAIN_S)

    async def _receive_once(self) -> None:
        if self._doubted:
            raise RelayClosed("The relay does not answer.")
        await self._catch_up()
        if self._pubsub.subscribed:
            self._receive_message(
                await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=LISTEN_S)
            )
        else:
            await asyncio.sleep(LISTEN_S)

    async def _start_anew(self) -> None:
        """With a new connection; nothing is listened to yet on it."""
        async with self._lock:
            self._deaf, self._doubted = True, False
            before, self._redis = self._redis, None
            self._subscribed_to = set()
            self._ensure_redis()
            try:
                await _close_redis(before)
            except AWAY:
                logger.debug("A connection that was broken could not be closed.")


class LoopRelay(RedisPubSubLoopLayer):
    def __init__(self, hosts: Any = None, prefix: str = "asgi", capacity: int = 200, **more: Any) -> None:
        super().__init__(hosts=hosts, prefix=prefix, **more)
        self._capacity = capacity
        self._shards = [MendedConnection(host, self) for host in decode_hosts(hosts)]

    async def _subscribe_to_channel(self, channel: str) -> None:
        self.channels[channel] = NewestKept(self._capacity)
        await self._get_shard(channel).subscribe(channel)


class Relay(RedisPubSubChannelLayer):
    """For ``CHANNEL_LAYERS``; takes ``hosts``, ``prefix``, and ``capacity`` (messages that may wait for a socket)."""

    def _get_layer(self) -> LoopRelay:
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            self._layers[loop] = LoopRelay(*self._args, **self._kwargs, channel_layer=self)
            _wrap_close(self, loop)
        return self._layers[loop]
