"""The versions of all resources: current content and history in memory, and optionally in a SQLite file.

Rules
1. A stored version never changes. What is read is the bytes that were sealed when it was written.
2. Every change goes through `_append`, which tells the listeners (the search index), the log and the file.
3. Within `atomic()` either all changes stay or none.
"""

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from proxy.fhir.definitions import Definitions, definitions_of
from proxy.sandbox import body
from proxy.sandbox.body import Draft
from proxy.sandbox.model import FhirError, Key, Version

Listener = Callable[[Version], None]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS version (
  place INTEGER PRIMARY KEY, type TEXT, id TEXT, version INTEGER, updated TEXT, method TEXT, serial INTEGER, body BLOB
)
"""
_INSERT = "INSERT INTO version(type, id, version, updated, method, serial, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT type, id, version, updated, method, serial, body FROM version ORDER BY place"


def _new_id() -> str:
    return str(uuid.uuid4())


class Store:
    """All resources of one embedded server.

    `path` is a SQLite file or None for memory only; `clock` gives seconds since 1970, `new_id` an unused id.
    """

    def __init__(
        self,
        fhir_version: str = "4.0.1",
        path: str | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = _new_id,
    ) -> None:
        self.definitions: Definitions = definitions_of(fhir_version)
        self.clock = clock
        self.new_id = new_id
        self._versions: dict[Key, list[Version]] = {}
        self._current: dict[str, dict[str, Version]] = {}
        self._log: list[Version] = []
        self._listeners: list[Listener] = []
        self._depth = 0
        self._saved = 0
        self._file = None if path is None else _opened(path)
        if self._file is not None:
            self._load(self._file)

    def _load(self, file: sqlite3.Connection) -> None:
        for row in file.execute(_SELECT):
            self._remember(Version(*row))
        self._saved = len(self._log)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every version that becomes the current one."""
        self._listeners.append(listener)

    # Reading

    def current(self, kind: str, ident: str) -> Version | None:
        """Give the current version, or None if it was never there or is deleted."""
        found = self._current.get(kind)
        return None if found is None else found.get(ident)

    def everything(self, kind: str) -> dict[str, Version]:
        """Give all current resources of a type by id; do not change the mapping."""
        return self._current.get(kind, {})

    def types(self) -> list[str]:
        """List the types that have current resources."""
        return [kind for kind, found in self._current.items() if found]

    def read(self, kind: str, ident: str) -> Version:
        """Give the current version; FhirError 404 if it was never there, 410 if it is deleted."""
        found = self.current(kind, ident)
        if found is not None:
            return found
        if (kind, ident) in self._versions:
            raise FhirError(410, "deleted", f"resource {kind}/{ident} was deleted")
        raise FhirError(404, "not-found", f"resource {kind}/{ident} is not known")

    def vread(self, kind: str, ident: str, version: str) -> Version:
        """Give one version; FhirError 404 if there is none of this number, 410 if it is a deletion."""
        for found in self._versions.get((kind, ident), ()):
            if str(found.version) == version:
                if found.body is None:
                    raise FhirError(
                        410, "deleted", f"{kind}/{ident} version {version} is a deletion"
                    )
                return found
        raise FhirError(404, "not-found", f"version {version} of {kind}/{ident} is not known")

    def history(self, kind: str | None = None, ident: str | None = None) -> list[Version]:
        """List versions of a resource, a type or everything, newest first; FhirError 404 for an unknown id."""
        if kind is not None and ident is not None:
            if (kind, ident) not in self._versions:
                raise FhirError(404, "not-found", f"resource {kind}/{ident} is not known")
            return self._versions[kind, ident][::-1]
        return [v for v in reversed(self._log) if kind is None or v.type == kind]

    # Writing

    def create(self, draft: Draft, ident: str | None = None) -> Version:
        """Store a new resource under a new id (or the given unused one)."""
        return self._write(draft, ident or self.new_id(), "POST")

    def update(self, draft: Draft, ident: str, method: str = "PUT") -> Version:
        """Store the next version of a resource, or its first; what changes nothing makes no version."""
        now = self.current(draft.type, ident)
        if now is not None and now.body is not None:
            same = body.sealed(draft, ident, now.version, now.updated)
            if same == now.body or body.content_of(same) == body.content_of(now.body):
                return now
        return self._write(draft, ident, method)

    def delete(self, kind: str, ident: str) -> Version | None:
        """Store a deletion; None if there is nothing to delete."""
        if self.current(kind, ident) is None:
            return None
        before = self._versions[kind, ident]
        number, serial = len(before) + 1, before[0].serial
        gone = Version(kind, ident, number, self._instant(), "DELETE", serial, None)
        self._append(gone)
        return gone

    def _write(self, draft: Draft, ident: str, method: str) -> Version:
        before = self._versions.get((draft.type, ident), [])
        number = len(before) + 1
        serial = before[0].serial if before else len(self._log) + 1
        updated = self._instant()
        sealed = body.sealed(draft, ident, number, updated)
        version = Version(draft.type, ident, number, updated, method, serial, sealed)
        self._append(version)
        return version

    def _instant(self) -> str:
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _append(self, version: Version) -> None:
        self._remember(version)
        self._tell(version)
        if self._depth == 0:
            self._save()

    def _remember(self, version: Version) -> None:
        self._log.append(version)
        self._versions.setdefault(version.key, []).append(version)
        self._place(version)

    def _place(self, version: Version) -> None:
        """Make a version the current one of its resource; a deletion leaves none."""
        found = self._current.setdefault(version.type, {})
        if version.body is None:
            found.pop(version.id, None)
        else:
            found[version.id] = version

    def _tell(self, version: Version) -> None:
        for listener in self._listeners:
            listener(version)

    # Transactions

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Keep all changes made within, or none if an exception leaves the block."""
        mark = len(self._log)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._undo(mark)
            raise
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._save()

    def _undo(self, mark: int) -> None:
        while len(self._log) > mark:
            version = self._log.pop()
            before = self._versions[version.key]
            before.pop()
            if not before:
                del self._versions[version.key]
            gone = Version(*version.key, 0, version.updated, "DELETE", version.serial, None)
            now = before[-1] if before else gone
            self._place(now)
            self._tell(now)

    def _save(self) -> None:
        if self._file is None or self._saved == len(self._log):
            return
        rows = [
            (v.type, v.id, v.version, v.updated, v.method, v.serial, v.body)
            for v in self._log[self._saved :]
        ]
        with self._file:
            self._file.executemany(_INSERT, rows)
        self._saved = len(self._log)


def _opened(path: str) -> sqlite3.Connection:
    file = sqlite3.connect(path)
    file.execute("PRAGMA journal_mode=WAL")
    file.execute("PRAGMA synchronous=NORMAL")
    file.execute(_SCHEMA)
    return file
