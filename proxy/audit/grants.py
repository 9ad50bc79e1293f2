"""Break-glass grants at rest: an index over the entries of the journal that opened, used, ended and reviewed them (decisions §9).

Laws:
1. A grant exists only if the entry that opened it is in the journal: the index says where, what it is stands in the entry.
2. The index is written in the transaction that writes the entries, so every worker sees a grant, and its end, at once.
3. Who reads bounds: of more grants than a holder may have open, the first opened count.
4. Made anew from the entries, the index is the same; `misfit` finds where somebody has altered it.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

from proxy.audit.entry import Entry, GrantAct, GrantNote
from proxy.errors import OwnError
from proxy.facts.grant import Grant, Holder

SCHEMA = """
CREATE TABLE IF NOT EXISTS break_glass (
  id TEXT PRIMARY KEY, holder TEXT NOT NULL, expires REAL NOT NULL, trusted INTEGER NOT NULL,
  started_in INTEGER NOT NULL, ended_in INTEGER, reviewed_in INTEGER, uses INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held ON break_glass (holder, expires) WHERE ended_in IS NULL AND trusted = 0;
CREATE INDEX IF NOT EXISTS unreviewed ON break_glass (started_in) WHERE reviewed_in IS NULL;
"""

_STARTED = "INSERT OR IGNORE INTO break_glass (id, holder, expires, trusted, started_in) VALUES (?, ?, ?, ?, ?)"
_USED = "UPDATE break_glass SET uses = uses + 1 WHERE id = ?"
_ENDED = "UPDATE break_glass SET ended_in = ? WHERE id = ? AND ended_in IS NULL"
_REVIEWED = "UPDATE break_glass SET reviewed_in = ? WHERE id = ? AND reviewed_in IS NULL"
_OPEN = """SELECT e.entry, g.id FROM break_glass g JOIN entry e ON e.seq = g.started_in
  WHERE g.holder = ? AND g.expires > ? AND g.ended_in IS NULL AND g.trusted = 0 ORDER BY g.started_in LIMIT ?"""
_QUEUE = """SELECT g.id, g.uses, s.entry, e.entry, r.entry FROM break_glass g JOIN entry s ON s.seq = g.started_in
  LEFT JOIN entry e ON e.seq = g.ended_in LEFT JOIN entry r ON r.seq = g.reviewed_in
  WHERE (? = '' OR g.id = ?) ORDER BY g.started_in DESC LIMIT ?"""
_UNREVIEWED = "SELECT count(*) FROM break_glass WHERE reviewed_in IS NULL"
_OVER = """SELECT e.entry, g.id FROM break_glass g JOIN entry e ON e.seq = g.started_in
  WHERE g.ended_in IS NULL AND g.reviewed_in IS NULL AND g.expires <= ? ORDER BY g.started_in LIMIT ?"""

_EXISTS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'break_glass'"
_SPEAKING = """SELECT seq, CAST(entry AS BLOB) FROM entry WHERE instr(CAST(entry AS BLOB), CAST('"grants"' AS BLOB)) ORDER BY seq"""
_ALL = (
    "SELECT id, holder, expires, trusted, started_in, ended_in, reviewed_in, uses FROM break_glass"
)

MOST_LISTED = 1000
"""Grants of one answer of the review queue; the latest."""

_ENTRY = msgspec.json.Decoder(Entry)


class State(Enum):
    """Where a grant stands on its way through the review queue."""

    OPEN = "open"
    EXPIRED = "expired"
    ENDED = "ended"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True)
class Queued:
    """A grant in the review queue: the note that opened it, and the entries of its start, end and review."""

    note: GrantNote
    uses: int
    started: Entry
    ended: Entry | None
    reviewed: Entry | None

    def state(self, now: float) -> State:
        """Where it stands at an instant."""
        if self.reviewed is not None:
            return State.REVIEWED
        if self.note.expires <= now and (self.ended is None or self._ran_out):
            return State.EXPIRED
        return State.OPEN if self.ended is None else State.ENDED

    @property
    def _ran_out(self) -> bool:
        acts = (
            {one.act for one in self.ended.grants if one.id == self.note.id} if self.ended else ()
        )
        return GrantAct.EXPIRED in acts


def index(connection: sqlite3.Connection, seq: int, notes: Iterable[GrantNote]) -> None:
    """Writes down where the entry of a row speaks of grants; inside the transaction that writes the row."""
    for note in notes:
        row = (note.id, key_of(note), note.expires, note.trusted, seq)
        match note.act:
            case GrantAct.STARTED:
                connection.execute(_STARTED, row)
            case GrantAct.USED:
                if note.trusted:  # no ceremony: the first use is its start
                    connection.execute(_STARTED, row)
                connection.execute(_USED, (note.id,))
            case GrantAct.ENDED | GrantAct.EXPIRED:
                connection.execute(_ENDED, (seq, note.id))
            case GrantAct.REVIEWED:
                connection.execute(_REVIEWED, (seq, note.id))


def misfit(connection: sqlite3.Connection) -> str:
    """The grant of which the index says otherwise than the entries; empty where they agree, or there is no index yet."""
    if not connection.execute(_EXISTS).fetchone():
        return ""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as anew:
        anew.executescript(SCHEMA)
        for seq, body in connection.execute(_SPEAKING):
            index(anew, seq, _decoded(body).grants)
        said = set(connection.execute(_ALL).fetchall())
        return next((str(row[0]) for row in sorted(said ^ set(anew.execute(_ALL)), key=str)), "")


def key_of(holder: GrantNote | Holder) -> str:
    """Who holds it, as one text."""
    parts = (holder.issuer, holder.subject, holder.client_id, holder.fhir_user)
    return msgspec.json.encode(parts).decode()


class SqliteGrants:
    """The grants of one journal file, read through one connection that stays open; `OwnError` where they cannot be read."""

    def __init__(self, path: Path, patience_s: float = 5.0) -> None:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        try:
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=patience_s, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise OwnError(f"the grants cannot be read: {error}") from error

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def open_of(self, holder: Holder, now: float, most: int) -> tuple[Grant, ...]:
        """The grants that a holder has open, the first opened first, at most `most`."""
        rows = self._rows(_OPEN, (key_of(holder), now, most))
        found = (_grant_of(_noted(_decoded(entry), str(name))) for entry, name in rows)
        return tuple(one for one in found if one.holder == holder and one.covers(now))

    def queue(self, grant_id: str = "") -> tuple[Queued, ...]:
        """The latest grants, newest first; or the one of this id."""
        rows = self._rows(_QUEUE, (grant_id, grant_id, MOST_LISTED))
        return tuple(_queued(*row) for row in rows)

    def unreviewed(self) -> int:
        """How many grants wait for review, open ones too."""
        [(count,)] = self._rows(_UNREVIEWED, ())
        return int(str(count))

    def run_out(self, now: float, most: int = 100) -> tuple[GrantNote, ...]:
        """Grants whose time is over and whose end nobody has written down."""
        rows = self._rows(_OVER, (now, most))
        return tuple(_noted(_decoded(entry), str(name)) for entry, name in rows)

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        try:
            with closing(self._connection.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise OwnError(f"the grants cannot be read: {error}") from error


def _queued(grant_id: object, uses: object, *bodies: object) -> Queued:
    started, ended, reviewed = (_decoded(one) if one is not None else None for one in bodies)
    if started is None:
        raise OwnError("a grant has no entry that opened it")
    return Queued(_noted(started, str(grant_id)), int(str(uses)), started, ended, reviewed)


def _decoded(body: object) -> Entry:
    try:
        return _ENTRY.decode(body if isinstance(body, bytes) else b"")
    except msgspec.MsgspecError as error:
        raise OwnError("the entry of a grant cannot be read") from error


def _noted(entry: Entry, grant_id: str) -> GrantNote:
    """What the entry says of the opening of a grant; an index that points elsewhere opens nothing."""
    for note in entry.grants:
        begins = note.act is GrantAct.STARTED or (note.act is GrantAct.USED and note.trusted)
        if note.id == grant_id and begins:
            return note
    raise OwnError("the entry of a grant does not open it")


def _grant_of(note: GrantNote) -> Grant:
    holder = Holder(note.issuer, note.subject, note.client_id, note.fhir_user)
    return Grant(note.id, holder, note.patient, note.opened, note.expires, note.reason)
