"""Wake-ups: in process, and between nodes over PostgreSQL's LISTEN/NOTIFY. Waiting costs no statements."""

import asyncio
import uuid
from weakref import WeakSet

import psycopg

from outdial.ports.signal import Topic
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background
from outdial.store.postgres.engine import CHANNEL, CONNECTION

log = get_logger()

_Conn = psycopg.AsyncConnection[tuple[object, ...]]
_WORDS = frozenset(topic.value for topic in Topic)

FIRST_PAUSE_SECS = 0.1
LONGEST_PAUSE_SECS = 5.0
SEND_WITHIN_SECS = 5.0


class Listening:
    """One who waits for topics. Rings count from when it was made; many may become one turn."""

    def __init__(self, topics: frozenset[Topic]) -> None:
        self._topics = topics
        self._rung: set[Topic] = set()
        self._ringing = asyncio.Event()

    def __aiter__(self) -> "Listening":
        return self

    async def __anext__(self) -> frozenset[Topic]:
        await self._ringing.wait()
        self._ringing.clear()
        rung, self._rung = frozenset(self._rung), set()
        return rung

    def wake(self, topics: frozenset[Topic]) -> None:
        """These rang."""
        if mine := topics & self._topics:
            self._rung |= mine
            self._ringing.set()


class LocalSignal:
    """The port `Signal` within one process."""

    def __init__(self) -> None:
        self._listeners: WeakSet[Listening] = WeakSet()

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    async def ring(self, topic: Topic) -> None:
        """See ports.signal.Signal."""
        self._wake(frozenset({topic}))

    def listen(self, *topics: Topic) -> Listening:
        """See ports.signal.Signal."""
        listening = Listening(frozenset(topics))
        self._listeners.add(listening)
        return listening

    def _wake(self, topics: frozenset[Topic]) -> None:
        for listening in list(self._listeners):
            listening.wake(topics)


class PostgresSignal(LocalSignal):
    """The port `Signal` between all nodes of a database.

    One connection listens and one tells. Whoever listens here is woken at once, also when the database is away; after
    each new connection everybody is woken, since something may have been missed.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__()
        self._url = url
        self._clock = clock
        self._me = uuid.uuid4().hex[:12]
        self._untold: set[Topic] = set()
        self._tell = asyncio.Event()
        self._listening_task = Background("signal-listen", self._listen_always, clock=clock)
        self._telling_task = Background("signal-tell", self._tell_always, clock=clock)
        self.connected = asyncio.Event()
        """Set while rings of other nodes are heard."""

    async def start(self) -> None:
        """Begin to listen; the connection may come later."""
        await self._listening_task.start()
        await self._telling_task.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._telling_task.stop()
        await self._listening_task.stop()

    async def ring(self, topic: Topic) -> None:
        """See ports.signal.Signal. Returns at once; the other nodes are told behind it."""
        await super().ring(topic)
        self._untold.add(topic)
        self._tell.set()

    async def _listen_always(self) -> None:
        pause = FIRST_PAUSE_SECS
        while True:
            try:
                async with await _connect(self._url) as connection:
                    async with asyncio.timeout(SEND_WITHIN_SECS):
                        await connection.execute(f"listen {CHANNEL}".encode())
                    pause = FIRST_PAUSE_SECS
                    self.connected.set()
                    self._wake(frozenset(Topic))
                    await self._hear(connection)
            except (psycopg.Error, TimeoutError) as error:
                log.warning("signal lost its connection", error=str(error).strip())
            finally:
                self.connected.clear()
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECS)

    async def _hear(self, connection: _Conn) -> None:
        async for heard in connection.notifies():
            word, _, sender = heard.payload.partition(" ")
            if sender != self._me and word in _WORDS:
                self._wake(frozenset({Topic(word)}))

    async def _tell_always(self) -> None:
        connection: _Conn | None = None
        try:
            while True:
                await self._tell.wait()
                self._tell.clear()
                topics, self._untold = self._untold, set()
                try:
                    async with asyncio.timeout(SEND_WITHIN_SECS):
                        connection = connection or await _connect(self._url)
                        for topic in sorted(topics):
                            await connection.execute("select pg_notify(%s, %s)", (CHANNEL, f"{topic} {self._me}"))
                except (psycopg.Error, TimeoutError) as error:
                    # the others find the work by their polls
                    log.warning("signal could not tell other nodes", error=str(error).strip())
                    if connection is not None:
                        await connection.close()
                        connection = None
        finally:
            if connection is not None:
                await connection.close()


def open_signal(url: str, clock: Clock) -> LocalSignal:
    """The signal that goes with the store behind this URL; not started."""
    return LocalSignal() if url.startswith("sqlite:") else PostgresSignal(url, clock)


async def _connect(url: str) -> _Conn:
    connection: _Conn = await psycopg.AsyncConnection.connect(url, autocommit=True, **CONNECTION)
    return connection
