"""Places: where a page of matches begins, told by what is visible alone (T-10; decision 113). Pure.

Laws:
- A place names the match that comes next, behind it those that were given last, and how many were given: none of it depends on
  what is hidden, now or when it was made. What was hidden since counts as gone.
- Its `hint`, an upstream page, says where to look first. Where the match is not found there, the search is read from its beginning.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

MARK_BYTES = 6
REMEMBERED = 32
"""Matches given last that a place names: whoever pages on finds its place as long as one of them, or the next one, is left."""
_COUNT = re.compile(r"[?&]_count=([0-9]{1,9})(?=&|\Z)")


class Place(NamedTuple):
    """A place in a list of matches, for the sealed cursor.

    `leg`, `search`: marks of the search that the list comes from, and of how it was asked; `given`: matches of it that were given;
    `next`, `last`: marks of the match that follows, and of those given last, the latest first.
    """

    leg: bytes = b""
    search: bytes = b""
    given: int = 0
    next: bytes = b""
    last: tuple[bytes, ...] = ()
    hint: str = ""


def mark_of(key: str) -> bytes:
    """A short name of a key; the cursor that holds it is encrypted."""
    return hashlib.blake2b(key.encode(), digest_size=MARK_BYTES).digest()


def held(target: str) -> int:
    """How many matches the first page of a search may hold, as upstream is asked for it; without a `_count` there is no telling."""
    found = _COUNT.search(target)
    return int(found[1]) if found else sys.maxsize


def succeeding(before: Place, leg: bytes, given: Sequence[str], key: str) -> Place:
    """The place behind the matches `given` (of this leg, by key) on a page that began at `before`; `key` comes next."""
    known = before if before.leg == leg else Place()
    last = (*map(mark_of, reversed(given)), *known.last)[:REMEMBERED]
    return Place(leg, b"", known.given + len(given), mark_of(key), last)


def resumed(place: Place, passed: Sequence[bytes]) -> int:
    """How many visible matches (by mark, in order) lie before a place whose next match is gone.

    Those up to the latest that was given; if it and all that are remembered are gone, as many as can be left of those that were given.
    """
    at = {mark: number for number, mark in enumerate(passed, start=1)}
    behind = next((at[one] for one in place.last if one in at), None)
    return max(0, place.given - len(place.last)) if behind is None else behind
