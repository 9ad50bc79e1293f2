"""Matching of one search value against one element value, by kind of parameter and modifier (pure).

`predicate_of` reads the search value once and gives a predicate; `keys_of` gives the index keys under which every
value that can match is found, or None if there are no such keys and all values must be looked at.
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from proxy.fhir.definitions import SearchParam
from proxy.sandbox import dates
from proxy.sandbox.model import invalid
from proxy.sandbox.query import split, unescaped
from proxy.sandbox.values import ANY_SYSTEM, Amount, Link, Text, Token, Value, folded, local_of

Predicate = Callable[[Value], bool]

_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_MODIFIERS = {
    "token": {"", "not"},
    "reference": {"", "identifier"},
    "string": {"", "exact", "contains"},
    "date": {""},
    "quantity": {""},
    "number": {""},
    "uri": {"", "below", "above"},
}


def known_modifier(param: SearchParam, modifier: str, types: frozenset[str]) -> None:
    """Refuse with FhirError 400 a modifier that this kind of parameter does not have."""
    is_type = param.kind == "reference" and modifier in types
    if modifier not in _MODIFIERS[param.kind] and not is_type:
        raise invalid(f'unknown modifier ":{modifier}" of search parameter "{param.name}"')


def predicate_of(param: SearchParam, modifier: str, value: str, now: float) -> Predicate:
    """Give the predicate of one search value; FhirError 400 if it is malformed. `now` serves the prefix `ap`."""
    if param.kind == "token" or modifier == "identifier":
        return _token_test(value, in_link=param.kind == "reference")
    if param.kind == "date":
        return _date_test(value, now)
    if param.kind in {"quantity", "number"}:
        return _amount_test(value)
    tests = {"reference": _reference_test, "string": _string_test, "uri": _uri_test}
    return tests[param.kind](param, modifier, unescaped(value))


def keys_of(param: SearchParam, modifier: str, value: str) -> tuple[str, ...] | None:
    """Give the index keys of a search value, or None if the kind has no keys or the value names none."""
    if param.kind == "token" or modifier == "identifier":
        code = unescaped(split(value, "|")[-1])
        return (code,) if code else None
    if param.kind == "reference":
        return reference_keys(param, modifier, unescaped(value))
    return None


def reference_keys(param: SearchParam, modifier: str, value: str) -> tuple[str, ...]:
    """Give what a reference value may stand for: itself, or `Type/id` for each target type of a bare id."""
    if "/" in value or ":" in value:
        local = local_of(value)
        return (value, local) if local and "://" not in value else (value,)
    types = (modifier,) if modifier else param.targets
    return tuple(f"{kind}/{value}" for kind in types) or (value,)


def keys_under(value: Value) -> tuple[str, ...]:
    """Give the index keys of an element value."""
    if isinstance(value, Token):
        return (value.code,)
    if isinstance(value, Link):
        codes = (value.identifier.code,) if value.identifier else ()
        return tuple(dict.fromkeys(filter(None, (value.local, value.text, *codes))))
    return ()


def _token_test(value: str, *, in_link: bool) -> Predicate:
    parts = [unescaped(part) for part in split(value, "|")]
    system, code = (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])

    def matches(token: Token | None) -> bool:
        if token is None or (code and token.code != code):
            return False
        if system is None or token.system == system:
            return True
        # `|code` asks for a code without system, and a FHIR `code` always has one.
        return system != "" and token.system == ANY_SYSTEM

    if in_link:
        return lambda v: isinstance(v, Link) and matches(v.identifier)
    return lambda v: isinstance(v, Token) and matches(v)


def _reference_test(param: SearchParam, modifier: str, value: str) -> Predicate:
    wanted = frozenset(reference_keys(param, modifier, value))
    types = frozenset((modifier,) if modifier else param.targets)

    def matches(link: Value) -> bool:
        if not isinstance(link, Link) or not wanted & {link.local, link.text}:
            return False
        return not link.local or not types or link.local.partition("/")[0] in types

    return matches


def _string_test(_param: SearchParam, modifier: str, value: str) -> Predicate:
    if modifier == "exact":
        return lambda v: isinstance(v, Text) and v.exact == value
    wanted = folded(value)
    if modifier == "contains":
        return lambda v: isinstance(v, Text) and wanted in v.folded
    return lambda v: isinstance(v, Text) and v.folded.startswith(wanted)


def _uri_test(_param: SearchParam, modifier: str, value: str) -> Predicate:
    if modifier == "below":
        return lambda v: isinstance(v, str) and v.startswith(value)
    if modifier == "above":
        return lambda v: isinstance(v, str) and value.startswith(v)
    return lambda v: v == value


def _prefixed(value: str) -> tuple[str, str]:
    match = _PREFIXED.fullmatch(value)
    return (match[1] or "eq", match[2]) if match else ("eq", value)


def _date_test(value: str, now: float) -> Predicate:
    prefix, text = _prefixed(value)
    search = dates.interval_of(text)
    if search is None:
        raise invalid(f"`{value}` is no date")
    return lambda v: _is_interval(v) and dates.compare(prefix, (v[0], v[1]), search, now)  # type: ignore[arg-type]


def _is_interval(value: Value) -> bool:
    return isinstance(value, tuple) and isinstance(value[0], float | int)


def _amount_test(value: str) -> Predicate:
    prefix, text = _prefixed(value)
    number, *unit = (unescaped(part) for part in split(text, "|"))
    try:
        wanted = Decimal(number)
    except InvalidOperation as error:
        raise invalid(f"`{value}` is no number") from error
    system, code = [*unit, "", ""][:2]

    def matches(amount: Value) -> bool:
        if not isinstance(amount, Amount):
            return False
        if (system and amount.system != system) or (code and code not in amount.codes):
            return False
        return _compare(prefix, amount, wanted)

    return matches


def _compare(prefix: str, amount: Amount, wanted: Decimal) -> bool:
    slack = abs(wanted) / 10
    return {
        "eq": amount.low == amount.high == wanted,
        "ne": not amount.low == amount.high == wanted,
        "gt": amount.high > wanted,
        "lt": amount.low < wanted,
        "ge": amount.high >= wanted,
        "le": amount.low <= wanted,
        "sa": amount.low > wanted,
        "eb": amount.high < wanted,
        "ap": amount.low <= wanted + slack and amount.high >= wanted - slack,
    }[prefix]
