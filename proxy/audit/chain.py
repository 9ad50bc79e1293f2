"""The hash chain of the journal: altering the record leaves a trace (T-216).

Laws:
1. Every writer (one process) has a chain: `hash(n) = SHA-256(hash(n-1) + entry bytes)`, so writers never wait for one head.
2. A chain starts from the heads that the journal had when its writer came (`origin`), so that a whole chain cannot
   vanish while a later one remains.
3. `verify` finds an entry that was edited, removed, inserted or reordered, and a chain cut short of its recorded head.
4. Whoever can rewrite the file can recompute everything after the last head that is kept elsewhere. Only such an
   anchor (`heads`, published outside this machine) shows a tail cut together with its head record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import msgspec

_ORIGIN = b"fhir-consent-proxy journal 1\n"


class Head(NamedTuple):
    """How far a chain has come: its writer, the number of its entries, the hash of the last (hex)."""

    writer: str
    length: int
    hash: str


class Chain(NamedTuple):
    """What the journal records of one writer: the head, and the heads it started from, as JSON bytes."""

    head: Head
    origin: bytes


class Link(NamedTuple):
    """One row of the journal; `position` counts from 1 within its writer."""

    seq: int
    writer: str
    position: int
    id: str
    recorded: float
    entry: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain breaks: the first entry that does not follow (its id may be empty), and why."""

    writer: str
    entry_id: str
    seq: int
    why: str

    def __str__(self) -> str:
        return f"entry `{self.entry_id}` (row {self.seq}, writer {self.writer}): {self.why}"


class _Named(msgspec.Struct, frozen=True):
    id: str
    recorded: float


@dataclass(slots=True)
class _Walk:
    """One chain while it is walked; `known` keeps the hashes at the positions that others refer to."""

    hash: bytes
    wanted: set[int]
    position: int = 0
    last_id: str = ""
    last_seq: int = 0
    known: dict[int, str] = field(default_factory=dict)


_NAMES = msgspec.json.Decoder(_Named)
_HEADS = msgspec.json.Decoder(tuple[Head, ...])


def origin_of(heads: Iterable[Head]) -> bytes:
    """The bytes a new chain starts from."""
    return msgspec.json.encode(sorted(heads))


def first_hash(writer: str, origin: bytes) -> bytes:
    """The hash before the first entry of a chain."""
    return sha256(_ORIGIN + writer.encode() + b"\n" + origin).digest()


def next_hash(previous: bytes, entry: bytes) -> bytes:
    """The hash of an entry that follows."""
    return sha256(previous + entry).digest()


def verify(
    links: Iterable[Link], chains: Sequence[Chain], anchors: Iterable[Head] = ()
) -> Break | None:
    """The first break, or None. `links` come in the order of `seq`; `anchors` are heads kept elsewhere."""
    promised = [*anchors]
    for chain in chains:
        try:
            promised.extend(_HEADS.decode(chain.origin))
        except msgspec.MsgspecError:
            return Break(
                chain.head.writer, "", 0, "the record of where this chain began was edited"
            )
    walks = _walks(chains, promised)
    for link in links:
        walk = walks.get(link.writer)
        why = "its writer is not on record" if walk is None else _step(walk, link)
        if why:
            return Break(link.writer, link.id, link.seq, why)
    return _short(walks, [chain.head for chain in chains]) or _unkept(walks, promised)


def _walks(chains: Sequence[Chain], promised: Sequence[Head]) -> dict[str, _Walk]:
    walks = {
        chain.head.writer: _Walk(first_hash(chain.head.writer, chain.origin), set())
        for chain in chains
    }
    for head in promised:
        if head.writer in walks:
            walks[head.writer].wanted.add(head.length)
    for walk in walks.values():
        walk.known[0] = walk.hash.hex()
    return walks


def _step(walk: _Walk, link: Link) -> str:
    """Why the link does not follow; empty if it does, and then the walk has moved on."""
    if link.position > walk.position + 1:
        return f"entry {walk.position + 1} of this writer was removed before it"
    if link.position <= walk.position:
        return "it stands out of order"
    if next_hash(walk.hash, link.entry) != link.hash or not _is_named(link):
        return "it was edited, or stands in another's place"
    walk.hash, walk.position = link.hash, link.position
    walk.last_id, walk.last_seq = link.id, link.seq
    if link.position in walk.wanted:
        walk.known[link.position] = link.hash.hex()
    return ""


def _is_named(link: Link) -> bool:
    """Whether the columns beside the entry say what the entry says."""
    try:
        named = _NAMES.decode(link.entry)
    except msgspec.MsgspecError:
        return False
    return (named.id, named.recorded) == (link.id, link.recorded)


def _short(walks: dict[str, _Walk], heads: Iterable[Head]) -> Break | None:
    for head in heads:
        walk = walks[head.writer]
        if (walk.position, walk.hash.hex()) != (head.length, head.hash):
            why = f"the chain ends after it, at {walk.position} of {head.length} entries on record"
            return Break(head.writer, walk.last_id, walk.last_seq, why)
    return None


def _unkept(walks: dict[str, _Walk], promised: Iterable[Head]) -> Break | None:
    for head in promised:
        walk = walks.get(head.writer)
        if walk is None:
            return Break(head.writer, "", 0, f"a chain of {head.length} entries was removed")
        if walk.known.get(head.length) != head.hash:
            why = f"the chain no longer passes through the head kept at entry {head.length}"
            return Break(head.writer, walk.last_id, walk.last_seq, why)
    return None
