"""The journal's file: SQLite schema, connections and reads; `journal` writes, `chain` proves.

`entry` is append-only except for its delivery state, which is no part of the chain.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from proxy.audit import grants
from proxy.audit.chain import Break, Chain, Head, Link, verify
from proxy.audit.entry import Entry
from proxy.audit.report import concerns
from proxy.errors import OwnError

WAITING, DELIVERED, STUCK = 0, 1, 2
"""Delivery states."""

# The head moves in the statement that inserts: one statement is one transaction, one commit, one fsync.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS writer (
  id TEXT PRIMARY KEY, origin BLOB NOT NULL, count INTEGER NOT NULL, hash BLOB NOT NULL,
  linked INTEGER NOT NULL DEFAULT -1) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, writer TEXT NOT NULL, position INTEGER NOT NULL,
  id TEXT NOT NULL, recorded REAL NOT NULL, entry BLOB NOT NULL, hash BLOB NOT NULL,
  delivered INTEGER NOT NULL DEFAULT 0, trouble TEXT);
CREATE INDEX IF NOT EXISTS waiting ON entry (seq) WHERE delivered = 0;
CREATE INDEX IF NOT EXISTS stuck ON entry (seq) WHERE delivered = 2;
CREATE TRIGGER IF NOT EXISTS head AFTER INSERT ON entry BEGIN
  UPDATE writer SET count = NEW.position, hash = NEW.hash WHERE id = NEW.writer; END;
"""
# SQLite lets a forger store any type in any column; verification must not stumble over it.
_LINKS = """SELECT seq, CAST(writer AS TEXT), CAST(position AS INTEGER), CAST(id AS TEXT), CAST(recorded AS REAL),
  CAST(entry AS BLOB), CAST(hash AS BLOB) FROM entry ORDER BY seq"""
_CHAINS = """SELECT id, CAST(count AS INTEGER), CAST(hash AS BLOB), CAST(origin AS BLOB)
  FROM writer ORDER BY id"""
_SINCE = "SELECT entry FROM entry WHERE recorded >= ? AND (? = x'' OR instr(entry, ?)) ORDER BY seq"
_WAITING = "SELECT seq, id, entry FROM entry WHERE delivered = 0 ORDER BY seq LIMIT ?"
_STUCK = "SELECT seq, id, trouble FROM entry WHERE delivered = 2 ORDER BY seq"
_CHECKPOINT_PAGES: Final = 4000
_STEP_S: Final = 0.01

_ENTRY = msgspec.json.Decoder(Entry)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry whose AuditEvents are not delivered: row number, entry id, the entry's JSON."""

    seq: int
    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stuck:
    """An entry whose AuditEvents the repository will not take: row number, entry id, why."""

    seq: int
    id: str
    why: str


def entry_of(body: bytes) -> Entry:
    """The entry from its JSON; `msgspec.MsgspecError` if it is none."""
    return _ENTRY.decode(body)


def connect(path: Path, patience_s: float) -> sqlite3.Connection:
    """A writing connection, schema in place; commits are durable when they return. `sqlite3.Error`, `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path,
        timeout=patience_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    _enter_wal(connection, patience_s)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.executescript("BEGIN IMMEDIATE;" + _SCHEMA + grants.SCHEMA + "COMMIT;")
    return connection


def _enter_wal(connection: sqlite3.Connection, patience_s: float) -> None:
    """Write-ahead logging; SQLite does not wait by itself when another worker opens a new file at the same moment."""
    for _ in range(int(patience_s / _STEP_S)):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        time.sleep(_STEP_S)
    connection.execute("PRAGMA journal_mode = WAL")


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal at rest, or while others write it; every method opens the file anew. `OwnError` if it cannot be read."""

    path: Path
    patience_s: float = 5.0

    def entries(self, since: float = 0.0, patient: str = "") -> Iterator[Entry]:
        """Entries recorded at or after `since` (seconds since the epoch), of one patient or of all, oldest first."""
        sought = patient.encode()
        with self._reading() as connection:
            for (body,) in connection.execute(_SINCE, (since, sought, sought)):
                entry = entry_of(body)
                if not patient or concerns(entry, patient):
                    yield entry

    def undelivered(self, limit: int) -> list[Waiting]:
        """The oldest entries that wait for delivery."""
        with self._reading() as connection:
            return [Waiting(*row) for row in connection.execute(_WAITING, (limit,))]

    def stuck(self) -> list[Stuck]:
        """The dead letters: kept, flagged, and left out of delivery."""
        with self._reading() as connection:
            return [Stuck(*row) for row in connection.execute(_STUCK)]

    def mark_delivered(self, seqs: Iterable[int]) -> None:
        """The rows are with the repository."""
        self._mark([(DELIVERED, None, seq) for seq in seqs])

    def mark_stuck(self, seq: int, why: str) -> None:
        """The row will not be tried again until `retry_stuck`."""
        self._mark([(STUCK, why, seq)])

    def retry_stuck(self) -> None:
        """Dead letters wait for delivery again, after the cause was repaired."""
        self._mark([(WAITING, None, stuck.seq) for stuck in self.stuck()])

    def heads(self) -> tuple[Head, ...]:
        """The heads of all chains, to be kept elsewhere as anchors."""
        with self._reading() as connection:
            return tuple(chain.head for chain in _chains(connection))

    def verify(self, anchors: Iterable[Head] = ()) -> Break | None:
        """The first break of the chains, or None; one snapshot, so others may go on writing."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            links = (Link(*row) for row in connection.execute(_LINKS))
            return verify(links, _chains(connection), anchors) or _misfit(connection)

    def _mark(self, rows: list[tuple[int, str | None, int]]) -> None:
        with _failing_as_own(), closing(self._open("rw")) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE entry SET delivered = ?, trouble = ? WHERE seq = ?", rows
            )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _failing_as_own(), closing(self._open("ro")) as connection:
            yield connection

    def _open(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, timeout=self.patience_s, isolation_level=None, check_same_thread=False
        )


def _misfit(connection: sqlite3.Connection) -> Break | None:
    """Where the index of break-glass grants, which is no part of the chain, says otherwise than the entries."""
    grant = grants.misfit(connection)
    return Break("", grant, 0, "the index of break-glass grants was altered") if grant else None


def _chains(connection: sqlite3.Connection) -> list[Chain]:
    rows = connection.execute(_CHAINS).fetchall()
    return [Chain(Head(name, length, head.hex()), origin) for name, length, head, origin in rows]


@contextmanager
def _failing_as_own() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise OwnError(f"the journal cannot be read or marked: {error}") from error
