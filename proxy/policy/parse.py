"""One file read: text -> a model with its lines, or findings that name file and line. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson
from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from proxy.errors import Finding, UnusableError
from proxy.policy.strict import Document, Location, NotStrictError, read
from proxy.policy.terms import Written

Content_co = TypeVar("Content_co", bound=Written, covariant=True)


@dataclass(frozen=True, slots=True)
class Source(Generic[Content_co]):
    """A file that was read: its content, and where each part of it stands."""

    file: str
    document: Document
    content: Content_co

    def finding(self, location: Location, message: str) -> Finding:
        """Say what is wrong at a place of this file."""
        return Finding(self.file, self.document.line(location), message)


def parse(file: str, text: str, model: type[Content_co]) -> Source[Content_co]:
    """Read a file as strict YAML of a model; raise `UnusableError` with every finding."""
    try:
        document = read(text)
    except NotStrictError as error:
        raise UnusableError(Finding(file, error.line, error.message)) from error
    return Source(file, document, content_of(file, document, document.tree, model))


def content_of(
    file: str, document: Document, tree: JsonValue, model: type[Content_co]
) -> Content_co:
    """Validate a tree that was made from a document; raise `UnusableError` with every finding and its line."""
    try:
        return model.model_validate_json(orjson.dumps(tree))
    except ValidationError as error:
        raise UnusableError(*_findings(file, document, error.errors(include_url=False))) from error


def _findings(file: str, document: Document, errors: Iterable[ErrorDetails]) -> list[Finding]:
    """Give one finding for each error, without those that only repeat what is wrong further in."""
    kept = list(errors)
    inner = {error["loc"][:length] for error in kept for length in range(len(error["loc"]))}
    found = {
        Finding(file, document.line(error["loc"]), _sentence(error))
        for error in kept
        if not (error["type"] == "too_short" and error["loc"] in inner)
    }
    return sorted(found, key=lambda finding: (finding.line, finding.message))


def _field(error: ErrorDetails) -> str:
    """Give the key that an error is about; for an element of a list, or a key that is wrong, what holds it."""
    loc = error["loc"][:-2] if _is_key(error) else error["loc"]
    names = [str(step) for step in loc if isinstance(step, str)]
    return names[-1] if names else "file"


def _value(error: ErrorDetails) -> str:
    return str(error["loc"][-2] if _is_key(error) else error["input"])[:80]


def _is_key(error: ErrorDetails) -> bool:
    """Whether the key of a mapping is wrong: pydantic adds `[key]` to its place."""
    return len(error["loc"]) > 1 and error["loc"][-1] == "[key]"


def _choice(error: ErrorDetails) -> str:
    expected = str(error["ctx"]["expected"])
    many = expected.count(",") > _MANY
    return f"`{_value(error)}` is no known {_field(error)}" + (
        "" if many else f"; known are {expected}"
    )


_MANY = 16

_SENTENCES: dict[str, Callable[[ErrorDetails], str]] = {
    "extra_forbidden": lambda error: f"unknown key `{_field(error)}`",
    "missing": lambda error: f"`{_field(error)}` is missing",
    "literal_error": _choice,
    "enum": _choice,
    "too_short": lambda error: (
        f"`{_field(error)}` is empty; give a value or leave `{_field(error)}` out"
    ),
    "string_too_short": lambda error: f"`{_field(error)}` is empty; give a value or leave it out",
    "string_pattern_mismatch": lambda error: (
        f"`{_value(error)}` is not a well-formed {_field(error)}"
    ),
    "tuple_type": lambda error: f"`{_field(error)}` must be a list",
    "string_type": lambda error: f"`{_field(error)}` must be text; put it in quotes",
    "bool_type": lambda error: f"`{_field(error)}` must be `true` or `false`",
    "dict_type": lambda error: f"`{_field(error)}` must be keys with values",
    "model_type": lambda error: f"`{_field(error)}` must be keys with values",
    "model_attributes_type": lambda error: f"`{_field(error)}` must be keys with values",
    "value_error": lambda error: str(error["ctx"]["error"]),
}


def _sentence(error: ErrorDetails) -> str:
    known = _SENTENCES.get(error["type"])
    return known(error) if known else f"`{_field(error)}`: {error['msg'].lower()}"
