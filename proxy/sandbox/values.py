"""Element values that search parameters read, as comparable values (pure).

Each kind of parameter has one extractor from a JSON value of any data type that suits it.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from proxy.fhir.definitions import SearchParam
from proxy.sandbox.dates import Interval, interval_of, period_of

ANY_SYSTEM = "*"
"""The system of a `code` or boolean: the definition knows it, the resource does not say it."""

_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


class Token(NamedTuple):
    """A code in its system; the system may be empty or ANY_SYSTEM."""

    system: str
    code: str


class Link(NamedTuple):
    """A reference: local `Type/id` (empty if it does not look like one), the text, and a logical identifier."""

    local: str
    text: str
    identifier: Token | None = None


class Text(NamedTuple):
    """A string: as written, and without case and accents."""

    exact: str
    folded: str


class Amount(NamedTuple):
    """A quantity or number, from `low` to `high`, with its system and its code and unit."""

    low: Decimal
    high: Decimal
    system: str = ""
    codes: tuple[str, ...] = ()


Value: TypeAlias = Token | Link | Text | Interval | Amount | str


def folded(text: str) -> str:
    """Fold case and accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def _list(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else (value,)


def reached(tree: object, path: str) -> Iterator[object]:
    """Give every value at a path, lists flattened; `telecom[system=phone]` keeps the items that say so."""
    name, _, rest = path.partition(".")
    name, _, condition = name.partition("[")
    found = tree.get(name) if isinstance(tree, dict) else None
    for item in () if found is None else _list(found):
        if condition and not _holds(item, condition[:-1]):
            continue
        if rest:
            yield from reached(item, rest)
        else:
            yield item


def _holds(item: object, condition: str) -> bool:
    name, _, wanted = condition.partition("=")
    return isinstance(item, dict) and item.get(name) == wanted


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def tokens_of(value: object) -> Iterator[Token]:
    """Give the tokens of a code, boolean, Coding, CodeableConcept, Identifier or ContactPoint."""
    if isinstance(value, bool):
        yield Token(ANY_SYSTEM, "true" if value else "false")
    elif isinstance(value, str):
        yield Token(ANY_SYSTEM, value)
    elif isinstance(value, dict):
        for coding in _list(value.get("coding", ())):
            yield from tokens_of(coding)
        code = value.get("value", value.get("code"))
        if isinstance(code, str):
            yield Token(_str(value.get("system")), code)


def local_of(text: str) -> str:
    """Give `Type/id` of a relative or absolute reference without its version; empty if it is none."""
    parts = text.split("/")
    if len(parts) >= 4 and parts[-2] == "_history":  # noqa: PLR2004  Type/id/_history/v
        parts = parts[:-2]
    looks = len(parts) >= 2 and parts[-2][:1].isupper() and parts[-1] != ""  # noqa: PLR2004
    return f"{parts[-2]}/{parts[-1]}" if looks else ""


def is_absolute(text: str) -> bool:
    """Whether a reference is an absolute URL."""
    return urlsplit(text).scheme in {"http", "https"}


def links_of(value: object) -> Iterator[Link]:
    """Give the links of a Reference, or of a canonical or uri."""
    if isinstance(value, str):
        yield Link("", value)
    elif isinstance(value, dict):
        text = _str(value.get("reference"))
        identifier = next(tokens_of(value.get("identifier")), None)
        local = "" if is_absolute(text) else local_of(text)
        if text or identifier:
            yield Link(local, text, identifier)


def texts_of(value: object) -> Iterator[Text]:
    """Give the texts of a string, HumanName or Address, part by part."""
    if isinstance(value, str):
        yield Text(value, folded(value))
    elif isinstance(value, dict):
        for part in dict.fromkeys(_NAME_PARTS + _ADDRESS_PARTS):
            for text in _list(value.get(part, ())):
                yield from texts_of(text)


def intervals_of(value: object) -> Iterator[Interval]:
    """Give the intervals of a date, dateTime, instant, Period or Timing."""
    if isinstance(value, str):
        found = interval_of(value)
    elif isinstance(value, dict) and "event" in value:
        for event in _list(value["event"]):
            yield from intervals_of(event)
        return
    elif isinstance(value, dict):
        found = period_of(value.get("start"), value.get("end"))
    else:
        found = None
    if found is not None:
        yield found


def _decimal(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) else None


def amounts_of(value: object) -> Iterator[Amount]:
    """Give the amounts of a number, Quantity, Money or Range."""
    if not isinstance(value, dict):
        number = _decimal(value)
        if number is not None:
            yield Amount(number, number)
        return
    lows, highs = (list(amounts_of(value.get(end))) for end in ("low", "high"))
    if lows or highs:
        first = (lows or highs)[0]
        low = lows[0].low if lows else Decimal("-Infinity")
        high = highs[0].high if highs else Decimal("Infinity")
        yield first._replace(low=low, high=high)
    number = _decimal(value.get("value"))
    if number is not None:
        money = _str(value.get("currency"))
        system = "urn:iso:std:iso:4217" if money else _str(value.get("system"))
        codes = tuple(filter(None, (money, _str(value.get("code")), _str(value.get("unit")))))
        yield Amount(number, number, system, codes)


_EXTRACTORS: dict[str, Callable[[object], Iterator[Value]]] = {
    "token": tokens_of,
    "reference": links_of,
    "string": texts_of,
    "date": intervals_of,
    "quantity": amounts_of,
    "number": amounts_of,
    "uri": lambda value: iter([value] if isinstance(value, str) else []),
}


def _deceased(tree: object) -> tuple[Value, ...]:
    """Give `deceased`: true for a date too (`deceased.exists() and deceased != false`)."""
    found = any(
        value is not False and value is not None
        for name in ("deceasedBoolean", "deceasedDateTime")
        for value in ((tree.get(name) if isinstance(tree, dict) else None),)
    )
    return tuple(tokens_of(found))


# Parameters whose expression is more than a path.
_COMPUTED: dict[str, Callable[[object], tuple[Value, ...]]] = {"deceased": _deceased}


def is_readable(param: SearchParam) -> bool:
    """Whether a parameter can be evaluated here."""
    if param.name in _COMPUTED:
        return True
    return param.kind in _EXTRACTORS and bool(param.paths or param.filtered)


def values_of(tree: object, param: SearchParam) -> tuple[Value, ...]:
    """Give all values of a parameter in a resource."""
    if param.name in _COMPUTED:
        return _COMPUTED[param.name](tree)
    extract = _EXTRACTORS[param.kind]
    paths = (*param.paths, *param.filtered)
    return tuple(v for path in paths for item in reached(tree, path) for v in extract(item))
