"""The book of notices: which messages wait, were taken, or are stuck; tables of their own in the journal's file.

They are no part of the chain: everything in them can be made again from the entries. One row of `noticed` for each kind
of recipient says up to which entry its notices were made messages.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

import msgspec

from proxy.audit.journal_file import DELIVERED, STUCK, WAITING, entry_of
from proxy.audit.notice import Folding, Message, messages_of
from proxy.errors import OwnError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS noticed (recipient TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notice (
  id TEXT PRIMARY KEY, recipient TEXT NOT NULL, due REAL NOT NULL, message BLOB NOT NULL,
  state INTEGER NOT NULL DEFAULT 0, trouble TEXT, taken REAL NOT NULL DEFAULT -1) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS notice_waiting ON notice (recipient, due) WHERE state = 0;
"""
# An entry without notices says nothing of them (omit_defaults), and inside a text the quotes would be escaped.
_NEW = """SELECT seq, entry FROM entry
  WHERE seq > ? AND seq <= ? AND instr(entry, CAST('"notices":[' AS BLOB)) ORDER BY seq LIMIT ?"""
_WAITING = """SELECT id, message FROM notice
  WHERE state = 0 AND recipient = ? AND due <= ? AND taken < ? ORDER BY due, id LIMIT ?"""
_PUT = """INSERT INTO notice (id, recipient, due, message) VALUES (?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET message = excluded.message"""
_AT_ONCE = 200
CARRIED_S = 60.0
"""How long a message that one worker has taken is left alone by the others."""

_ENCODE = msgspec.json.Encoder().encode
_DECODER = msgspec.json.Decoder(Message)


class StuckNotice(NamedTuple):
    """A message that its receiver will not take: id, recipient, why."""

    id: str
    recipient: str
    why: str


@dataclass(frozen=True, slots=True)
class Postbox:
    """The messages of one kind of recipient, and how notices become messages. Methods block, and raise `OwnError`."""

    path: Path
    recipient: str
    folding: Folding
    zone: tzinfo
    patience_s: float = 5.0

    def open(self) -> None:
        """Makes the tables; what was recorded before the first opening stays in the journal alone."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO noticed SELECT ?, coalesce(max(seq), 0) FROM entry",
                (self.recipient,),
            )

    def collect(self) -> bool:
        """Makes messages of the notices recorded since; whether there may be more at once."""
        with self._reading() as connection:
            if self._at(connection) >= _last(connection):
                return False
        with self._writing() as connection:
            at, last = self._at(connection), _last(connection)
            rows = connection.execute(_NEW, (at, last, _AT_ONCE)).fetchall()
            for _, body in rows:
                self._put(connection, body)
            more = len(rows) == _AT_ONCE
            reached = rows[-1][0] if more else last
            connection.execute(
                "UPDATE noticed SET seq = ? WHERE recipient = ?", (reached, self.recipient)
            )
            return more

    def take(self, now: float, limit: int) -> list[Message]:
        """Messages that are due and that no worker has taken lately, the oldest first; they are taken now."""
        asked = (self.recipient, now, now - CARRIED_S, limit)
        with self._reading() as connection:
            if not connection.execute(_WAITING, asked).fetchone():
                return []
        with self._writing() as connection:
            rows = connection.execute(_WAITING, asked).fetchall()
            connection.executemany(
                "UPDATE notice SET taken = ? WHERE id = ?", [(now, name) for name, _ in rows]
            )
            return [_DECODER.decode(body) for _, body in rows]

    def give_back(self, messages: Iterable[Message]) -> None:
        """Messages that were not carried wait for whoever takes them next."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE notice SET taken = -1 WHERE id = ?", [(one.id,) for one in messages]
            )

    def mark(self, message: Message, trouble: str) -> None:
        """The message was taken; with a trouble, it never will be. One that has grown meanwhile goes on waiting."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE notice SET state = ?, trouble = ? WHERE id = ? AND message = ?",
                (STUCK if trouble else DELIVERED, trouble or None, message.id, _ENCODE(message)),
            )
            connection.execute("UPDATE notice SET taken = -1 WHERE id = ?", (message.id,))

    def stuck(self) -> list[StuckNotice]:
        """The dead letters."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, recipient, trouble FROM notice WHERE state = ? AND recipient = ? ORDER BY id",
                (STUCK, self.recipient),
            )
            return [StuckNotice(*row) for row in rows]

    def retry_stuck(self) -> int:
        """Dead letters wait again, after the cause was repaired; how many there were."""
        with self._writing() as connection:
            return connection.execute(
                "UPDATE notice SET state = ?, trouble = NULL WHERE state = ? AND recipient = ?",
                (WAITING, STUCK, self.recipient),
            ).rowcount

    def _put(self, connection: sqlite3.Connection, body: bytes) -> None:
        """Adds the messages of one entry; what is there already stays, a digest under way grows."""
        entry = entry_of(body)
        for message in messages_of(entry, self.recipient, self.folding, self.zone):
            row = connection.execute(
                "SELECT message, state FROM notice WHERE id = ?", (message.id,)
            ).fetchone()
            if row is None:
                added = message
            elif message.kind != "digest":
                continue
            elif row[1] == WAITING:
                added = _DECODER.decode(row[0]).and_also(message)
            else:  # recorded after its digest had left
                added = msgspec.structs.replace(
                    message, id=f"gw-{uuid5(NAMESPACE_URL, message.id + entry.id)}"
                )
            connection.execute(_PUT, (added.id, added.recipient, added.due, _ENCODE(added)))

    def _at(self, connection: sqlite3.Connection) -> int:
        query = "SELECT seq FROM noticed WHERE recipient = ?"
        row = connection.execute(query, (self.recipient,)).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _failing_as_own(), closing(self._connected("rw")) as connection, connection:
            connection.executescript("BEGIN IMMEDIATE;" + _SCHEMA)
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _failing_as_own(), closing(self._connected("ro")) as connection:
            yield connection

    def _connected(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, timeout=self.patience_s, isolation_level=None, check_same_thread=False
        )


def _last(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()[0])


@contextmanager
def _failing_as_own() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise OwnError(f"the book of notices cannot be read or written: {error}") from error
