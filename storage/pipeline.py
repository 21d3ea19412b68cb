"""A connection to PostgreSQL on which statements go out together: a message and its answer cost more than most of ours.

What changes rows is kept back until something is waited for, a query or the commit, and sent along with it, as is the
BEGIN. So a typical transaction of a step waits twice. The messages are libpq's pipeline
(https://www.postgresql.org/docs/18/libpq-pipeline-mode.html), on the connection that psycopg opened and below its
cursors: those wait between any two statements also in a pipeline. When one fails, the server skips what follows, the
COMMIT too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Final, TypeAlias

from psycopg import AsyncConnection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from storage.errors import LostError
from storage.statements import Params, Query, Result, Statement, Statements

_PREPARE_AFTER: Final = 3
"""Uses of a statement on a connection after which the server keeps its plan."""

_MOST_PREPARED: Final = 200
"""Plans that the server keeps for a connection."""

_PATIENCE_SECONDS: Final = 5.0
"""How long an answer is waited for by one who was cancelled meanwhile; then the connection is given up."""

_FAILED: Final = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED})

Command: TypeAlias = tuple[str, Sequence[Any]]
"""The text of a statement and its parameters, in order."""

_COMMIT: Final[Command] = ("COMMIT", ())


class PostgresLink:
    """An open connection with its transaction, which begins with the first statement.

    What is waited for is so to its end, even when the task is cancelled meanwhile: see `storage.driver`.

    Attributes:
        statements: Compiles for it.
    """

    def __init__(self, driver: AsyncConnection, statements: Statements, begin: str) -> None:
        """Take a connection that nobody else uses, and what its transactions begin with."""
        self.statements = statements
        self._driver = driver
        self._libpq = driver.pgconn
        self._values = Transformer(driver)
        self._begin = begin
        self._begun = False
        self._kept_back: list[Command] = []
        self._uses: Counter[str] = Counter()
        self._prepared: dict[str, bytes] = {}
        self._names = count(1)
        self._bounds = {begin, "COMMIT", "ROLLBACK"}

    @property
    def is_lost(self) -> bool:
        """Whether the connection can't be used any more."""
        return self._libpq.status != ConnStatus.OK

    async def fetch(self, *queries: Query) -> Sequence[Result]:
        """Execute queries, after all that was handed over, and return the rows of each."""
        for statement, params in queries:
            self._keep_back(statement.text, statement.bind(params))
        return self._read(queries, await self._exchange())

    async def transact(self, *queries: Query) -> Sequence[Result]:
        """Execute queries in a transaction of their own, and return the rows of each.

        All of it is one message: once it is sent, the server ends the transaction whatever becomes of us.
        """
        for statement, params in queries:
            self._keep_back(statement.text, statement.bind(params))
        self._kept_back.append(_COMMIT)
        *results, _ = await self._exchange()
        self._begun = False
        return self._read(queries, results)

    def hand_over(self, statement: Statement, rows: Sequence[Params]) -> None:
        """Have a statement executed, once for each row of parameters, together with what is waited for next."""
        for row in rows:
            self._keep_back(statement.text, statement.bind(row))

    async def commit(self) -> None:
        """Commit what was done, if anything."""
        if self._begun:
            self._kept_back.append(_COMMIT)
            (*_, answer) = await self._exchange()
            if answer.command_status != b"COMMIT":
                raise RuntimeError("A transaction that had failed can't be committed.")
            self._begun = False

    async def roll_back(self) -> None:
        """Take back what was not committed."""
        self._begun = False
        self._kept_back.clear()
        if not self.is_lost and self._libpq.transaction_status != TransactionStatus.IDLE:
            self._kept_back.append(("ROLLBACK", ()))
            await self._exchange()

    async def close(self) -> None:
        """End the connection, whatever state it is in."""
        await self._driver.close()

    def _begin_once(self) -> None:
        if not self._begun:
            self._begun = True
            self._kept_back.append((self._begin, ()))

    def _keep_back(self, text: str, values: Sequence[Any]) -> None:
        self._begin_once()
        self._kept_back.append((text, values))

    def _read(self, queries: Sequence[Query], results: Sequence[PGresult]) -> Sequence[Result]:
        found: list[Result] = []
        for (statement, _), result in zip(queries, results[-len(queries) :], strict=True):
            self._values.set_pgresult(result)
            rows = self._values.load_rows(0, result.ntuples, tuple)
            found.append(statement.result(rows, [result.ftype(place) for place in range(result.nfields)]))
        return found

    async def _exchange(self) -> Sequence[PGresult]:
        """Send what was kept back; return a result for each statement.

        Raises:
            psycopg.Error: The first of them that failed did so for this reason; those after it were not executed.
            LostError: The connection broke.
        """
        commands, self._kept_back = self._kept_back, []
        if not commands:
            return ()
        patience = _Patience()
        try:
            return await self._send_and_receive(commands, patience)
        except (OSError, OperationalError) as error:
            if not self.is_lost and isinstance(error, OperationalError):
                raise  # what the server said
            self._libpq.finish()
            raise LostError(f"The connection to the server was lost: {error}") from error
        finally:
            patience.end()

    async def _send_and_receive(self, commands: Sequence[Command], wait: _Patience) -> Sequence[PGresult]:
        libpq = self._libpq
        libpq.enter_pipeline_mode()
        new: dict[str, bytes] = {}
        prepares = [self._send(text, values, new) for text, values in commands]
        libpq.pipeline_sync()
        while libpq.flush():
            await wait.until_usable(libpq.socket)
            libpq.consume_input()  # a server that can't get its answers away stops reading
        answers: list[PGresult] = []
        while (result := await self._next_result(wait)).status != ExecStatus.PIPELINE_SYNC:
            answers.append(result)
        libpq.exit_pipeline_mode()
        return list(self._checked(answers, commands, prepares, new))

    def _send(self, text: str, values: Sequence[Any], new: dict[str, bytes]) -> bool:
        """Put a statement into the pipeline; return whether it is prepared first, which `new` notes."""
        libpq = self._libpq
        written = self._values.dump_sequence(values, [PyFormat.TEXT] * len(values))
        name = self._prepared.get(text) or new.get(text)
        if name is not None:
            libpq.send_query_prepared(name, written)
        elif self._is_worth_preparing(text):
            name = new[text] = f"mgx_{next(self._names)}".encode()
            libpq.send_prepare(name, text.encode())
            libpq.send_query_prepared(name, written)
            return True
        else:
            libpq.send_query_params(text.encode(), written)
        return False

    def _is_worth_preparing(self, text: str) -> bool:
        if text in self._bounds:
            return False  # it has no plan
        if len(self._uses) > 10 * _MOST_PREPARED:
            self._uses.clear()
        self._uses[text] += 1
        return self._uses[text] > _PREPARE_AFTER and len(self._prepared) < _MOST_PREPARED

    async def _next_result(self, wait: _Patience) -> PGresult:
        """Return the next result; between those of two statements there is an empty one."""
        result = None
        for _ in range(2):
            while self._libpq.is_busy():
                await wait.until_readable(self._libpq.socket)
                self._libpq.consume_input()
            result = self._libpq.get_result()
            if result is not None:
                break
        if result is None or self.is_lost:
            self._libpq.finish()
            raise OperationalError("the server closed the connection")
        return result

    def _checked(
        self, answers: Iterable[PGresult], commands: Sequence[Command], prepares: Sequence[bool], new: dict[str, bytes]
    ) -> Iterator[PGresult]:
        """Return the results of the statements themselves, and remember which are prepared now."""
        answer = iter(answers)
        for (text, _), is_prepared in zip(commands, prepares, strict=True):
            if is_prepared:
                _check(next(answer))
                self._prepared[text] = new[text]
            yield _check(next(answer))


class _Patience:
    """Waits for a socket in spite of a cancellation, which goes on at the end; but only for a while."""

    def __init__(self) -> None:
        self._ready: asyncio.Future[None] | None = None
        self._overdue: asyncio.TimerHandle | None = None

    async def until_readable(self, descriptor: int) -> None:
        """Wait until there is something to read; raises TimeoutError when it takes too long after a cancellation."""
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, self._settle, None)
        try:
            await self._until_settled()
        finally:
            loop.remove_reader(descriptor)

    async def until_usable(self, descriptor: int) -> None:
        """Wait until there is room to write or something to read; raises as `until_readable`."""
        loop = asyncio.get_running_loop()
        loop.add_writer(descriptor, self._settle, None)
        try:
            await self.until_readable(descriptor)
        finally:
            loop.remove_writer(descriptor)

    def end(self) -> None:
        """Let a cancellation that came meanwhile go on."""
        if self._overdue is not None:
            self._overdue.cancel()
            if (task := asyncio.current_task()) is not None:
                task.uncancel()  # the same cancellation, not a second one: asyncio.timeout counts them
                task.cancel()

    async def _until_settled(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._ready = loop.create_future()
            try:
                return await self._ready
            except asyncio.CancelledError:
                if self._overdue is None:
                    late = TimeoutError("it did not answer in time")
                    self._overdue = loop.call_later(_PATIENCE_SECONDS, self._settle, late)

    def _settle(self, error: Exception | None) -> None:
        if self._ready is not None and not self._ready.done():
            if error is None:
                self._ready.set_result(None)
            else:
                self._ready.set_exception(error)


def _check(result: PGresult) -> PGresult:
    if result.status in _FAILED:
        error = error_from_result(result)
        if error.sqlstate is None:  # libpq's own words: the server was gone before it could say any
            raise OperationalError(str(error)) from error
        raise error
    return result
