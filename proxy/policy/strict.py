"""Strict YAML: text -> a JSON tree, and the line of every node (YAML 1.2 core schema, made smaller).

Refused: duplicate keys, anchors and aliases, tags, several documents, nulls, keys that are no plain text. Resolved:
only `true|false`, decimal integers and `null` (stock YAML 1.1 reads `NO` as false and `010` as 8). Pure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml
from pydantic import JsonValue
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

Location = tuple[str | int, ...]
"""Where a node stands: keys and list indices from the root."""

MAX_DEPTH = 24
MAX_CHARACTERS = 2_000_000
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_WORDS = {"true": True, "false": False}
_NULLS = frozenset({"null", "~", ""})


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document read: its tree, and `lines[location]`, the line of each node (from 1); a key's line for a value."""

    tree: JsonValue
    lines: Mapping[Location, int]

    def line(self, location: Location) -> int:
        """Give the line of a node, or of the nearest node around it."""
        while location not in self.lines and location:
            location = location[:-1]
        return self.lines.get(location, 1)


class NotStrictError(Exception):
    """Text that is no strict YAML: `line` (from 1) and what is wrong."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read(text: str) -> Document:
    """Read strict YAML; raise `NotStrictError`, and nothing else, for any other text."""
    if len(text) > MAX_CHARACTERS:
        raise NotStrictError(1, f"the file is longer than {MAX_CHARACTERS} characters")
    try:
        return _Composer(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise NotStrictError(line, f"not YAML: {_one_line(error.problem)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotStrictError(line, f"not YAML: {_one_line(error.reason)}") from error
    except (ValueError, OverflowError) as error:
        raise NotStrictError(1, "not YAML: an escape names no character") from error


def _one_line(problem: str | None) -> str:
    return " ".join((problem or "the text cannot be read").split())


class _Composer:
    """Builds the tree from the parser's events, and refuses on the way."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._lines: dict[Location, int] = {}

    def document(self) -> Document:
        next(self._events)
        first = next(self._events)
        if not isinstance(first, DocumentStartEvent):
            raise NotStrictError(1, "the file is empty")
        tree = self._node(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            raise _refusal(after, "a second document; a file holds one")
        return Document(tree, self._lines)

    def _node(self, event: Event, location: Location) -> JsonValue:
        _refuse_extras(event)
        self._lines.setdefault(location, _line(event))
        if len(location) > MAX_DEPTH:
            raise _refusal(event, f"nested deeper than {MAX_DEPTH}")
        if isinstance(event, MappingStartEvent):
            return self._mapping(location)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(location)
        return _scalar(event)

    def _mapping(self, location: Location) -> JsonValue:
        tree: dict[str, JsonValue] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = _key(event)
            if key in tree:
                first = self._lines[*location, key]
                raise _refusal(event, f"duplicate key `{key}`, first on line {first}")
            self._lines[*location, key] = _line(event)
            tree[key] = self._node(next(self._events), (*location, key))
        return tree

    def _sequence(self, location: Location) -> JsonValue:
        tree: list[JsonValue] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            tree.append(self._node(event, (*location, len(tree))))
        return tree


def _line(event: Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 1


def _refusal(event: Event, message: str) -> NotStrictError:
    return NotStrictError(_line(event), message)


def _refuse_extras(event: Event) -> None:
    """Refuse anchors, aliases and tags."""
    if isinstance(event, AliasEvent):
        raise _refusal(event, f"alias `*{event.anchor}`; write it out")
    if isinstance(event, NodeEvent) and event.anchor is not None:
        raise _refusal(event, f"anchor `&{event.anchor}`; aliases are not read")
    if getattr(event, "tag", None) is not None:
        raise _refusal(event, "a tag; write the plain value")


def _key(event: Event) -> str:
    _refuse_extras(event)
    if not isinstance(event, ScalarEvent):
        raise _refusal(event, "a key must be plain text")
    return _text(event)


def _scalar(event: Event) -> JsonValue:
    if not isinstance(event, ScalarEvent):
        raise _refusal(event, "a value was expected here")
    if event.style is not None:
        return _text(event)
    if event.value in _NULLS:
        raise _refusal(event, "no value; give one, or leave the key out")
    if event.value in _WORDS:
        return _WORDS[event.value]
    return int(event.value) if _INTEGER.fullmatch(event.value) else _text(event)


def _text(event: ScalarEvent) -> str:
    """Give the text of a scalar; half a surrogate pair is no text (RFC 8259 8.2)."""
    value = str(event.value)
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise _refusal(event, "half a surrogate pair; write the character itself")
    return value
