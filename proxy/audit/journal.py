"""The journal: one durable entry per request, before the last byte of its answer leaves (promise 3, T-214).

Port `Journal`; adapter `SqliteJournal`: one thread writes, whatever waits becomes one transaction (group commit),
and a caller goes on only when its transaction is on the disk (WAL, synchronous=FULL).
# INVARIANT: `record` returns only after the commit that holds the entry; whatever fails raises `OwnError`.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import NamedTuple, Protocol

import msgspec

from proxy.audit.chain import Head as ChainHead
from proxy.audit.chain import first_hash, next_hash, origin_of
from proxy.audit.credential import without_credentials
from proxy.audit.entry import Entry, GrantNote
from proxy.audit.grants import index
from proxy.audit.journal_file import JournalFile, connect
from proxy.errors import OwnError

_MOST_AT_ONCE = 256
_COLUMNS = 6
_ENCODE = msgspec.json.Encoder().encode

Future = asyncio.Future[None]


class Journal(Protocol):
    """Where entries become durable."""

    async def record(self, entry: Entry) -> None:
        """Return only when the entry is durable; `OwnError` otherwise."""


class _Pending(NamedTuple):
    id: str
    recorded: float
    body: bytes
    future: Future
    grants: tuple[GrantNote, ...] = ()


class _Head(NamedTuple):
    length: int
    hash: bytes


class SqliteJournal:
    """A journal in one SQLite file, which several processes may write; each needs a `writer` name of its own.

    `patience_s` bounds the wait for another process's commit. Opening raises `OwnError`.
    """

    def __init__(
        self, path: Path, *, writer: str, patience_s: float = 5.0, window_s: float = 0.002
    ) -> None:
        self.file = JournalFile(path, patience_s)
        self._writer = writer
        self._queue: SimpleQueue[_Pending | None] = SimpleQueue()
        self._closed = Event()
        self._window_s = window_s
        self._handed_over = float("-inf")
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
        try:
            self._connection = connect(path, patience_s)
            self._inode = path.stat().st_ino
            self._head: _Head | None = _registered(self._connection, writer)
        except (sqlite3.Error, OSError) as error:
            raise OwnError(f"the journal `{path}` cannot be opened: {error}") from error
        self._thread = Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    async def record(self, entry: Entry) -> None:
        """Return when the entry is on the disk; credentials in the client's words are taken out first."""
        if self._closed.is_set():
            raise OwnError("the journal is closed")
        loop = asyncio.get_running_loop()
        future: Future = loop.create_future()
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
            # At once when nothing was written lately; otherwise commits keep a distance, and share the disk's work.
            wait = self._handed_over + self._window_s - loop.time()
            loop.call_later(max(0.0, wait), self._hand_over, loop)
        gathered.append(_Pending(entry.id, entry.recorded, encoded(entry), future, entry.grants))
        await future

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the writing thread all that was gathered, with one wake-up."""
        self._handed_over = loop.time()
        for pending in self._gathered.pop(loop, ()):
            self._queue.put(pending)
        if self._closed.is_set():  # the thread may have ended between the two looks
            self._refuse_waiting()

    def close(self) -> None:
        """Write what waits, then stop; later records raise `OwnError`."""
        if not self._closed.is_set():
            for loop in list(self._gathered):
                self._hand_over(loop)
            self._closed.set()
            self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        """The writing thread, until closed."""
        try:
            while batch := self._waiting():
                self._commit(batch)
        finally:
            self._closed.set()
            self._refuse_waiting()
            self._connection.close()

    def _waiting(self) -> list[_Pending]:
        """All that waits, at least one; empty once closed and drained."""
        first = self._queue.get()
        batch = [] if first is None else [first]
        while batch and len(batch) < _MOST_AT_ONCE:
            try:
                pending = self._queue.get_nowait()
            except Empty:
                break
            if pending is None:
                self._queue.put(None)
                break
            batch.append(pending)
        return batch

    def _commit(self, batch: list[_Pending]) -> None:
        failure = ""
        try:
            self._insert(batch)
        except (sqlite3.Error, OSError) as error:
            # Whether the commit took place is not known: what the file says counts.
            self._head = None
            failure = f"the journal cannot write: {error}"
        _settle_all(batch, failure)

    def _insert(self, batch: list[_Pending]) -> None:
        # Renamed or deleted, the file would go on taking entries that nobody will find.
        if self.file.path.stat().st_ino != self._inode:
            raise FileNotFoundError("the file was replaced while in use")
        length, digest = self._head or _head_of(self._connection, self._writer)
        values: list[str | int | float | bytes] = []
        for position, pending in enumerate(batch, length + 1):
            digest = next_hash(digest, pending.body)
            values += self._writer, position, pending.id, pending.recorded, pending.body, digest
        if any(pending.grants for pending in batch):
            _insert_indexed(self._connection, batch, values)
        else:
            self._connection.execute(_insert_statement(len(batch)), values)
        self._head = _Head(length + len(batch), digest)

    def _refuse_waiting(self) -> None:
        waiting = list(self._drained())
        _settle_all(waiting, "the journal is closed")

    def _drained(self) -> Iterator[_Pending]:
        while True:
            try:
                pending = self._queue.get_nowait()
            except Empty:
                return
            if pending is not None:
                yield pending


def encoded(entry: Entry) -> bytes:
    """The bytes that are kept, hashed and later read; code units that are no text are written as escapes."""
    safe = without_credentials(entry)
    try:
        return _ENCODE(safe)
    except UnicodeEncodeError:
        return _ENCODE(_legible(msgspec.to_builtins(safe)))


def _legible(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _legible(one) for name, one in value.items()}
    return [_legible(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _insert_statement(rows: int) -> str:
    """One statement for a whole batch: one transaction, and the interpreter lock is let go once."""
    row = f"({', '.join('?' * _COLUMNS)})"
    values = ", ".join([row] * rows)
    return f"INSERT INTO entry (writer, position, id, recorded, entry, hash) VALUES {values}"  # noqa: S608  placeholders only


def _insert_indexed(
    connection: sqlite3.Connection, batch: list[_Pending], values: list[str | int | float | bytes]
) -> None:
    """The batch, and where its entries speak of grants, in one transaction."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        last = connection.execute(_insert_statement(len(batch)), values).lastrowid or 0
        for seq, pending in enumerate(batch, last - len(batch) + 1):
            index(connection, seq, pending.grants)


def _registered(connection: sqlite3.Connection, writer: str) -> _Head:
    """The head of this writer; a new writer's chain starts from the heads that no other started from (chain, law 2)."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        known = connection.execute("SELECT 1 FROM writer WHERE id = ?", (writer,)).fetchone()
        if not known:
            tips = "SELECT id, count, lower(hex(hash)) FROM writer WHERE count > linked"
            heads = [ChainHead(*row) for row in connection.execute(tips)]
            connection.execute("UPDATE writer SET linked = count WHERE count > linked")
            origin = origin_of(heads)
            connection.execute(
                "INSERT INTO writer (id, origin, count, hash) VALUES (?, ?, 0, ?)",
                (writer, origin, first_hash(writer, origin)),
            )
        return _head_of(connection, writer)


def _head_of(connection: sqlite3.Connection, writer: str) -> _Head:
    found = connection.execute("SELECT count, hash FROM writer WHERE id = ?", (writer,)).fetchone()
    if found is None:
        raise sqlite3.DatabaseError("the record of this writer was removed")
    return _Head(*found)


def _settle_all(batch: list[_Pending], failure: str) -> None:
    """Tell all who wait, each in its own event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Future]] = {}
    for pending in batch:
        by_loop.setdefault(pending.future.get_loop(), []).append(pending.future)
    for loop, futures in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, futures, failure)


def _settle(futures: list[Future], failure: str) -> None:
    for future in futures:
        if future.done():  # its request was cancelled; the entry stays
            continue
        if failure:
            future.set_exception(OwnError(failure))
        else:
            future.set_result(None)
