"""The Envelope: only what a decision needs of a resource; the letter stays closed (architecture §3)."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import msgspec

from proxy.fhir.coding import Coding

Resource: TypeAlias = bytes | msgspec.Raw
"""One resource, as its bytes or as its span in a body."""


UNTOLD = "?"
"""Stands among the mentions of a resource for references of which it cannot be told what they name."""


class UnreadableError(Exception):
    """A resource that cannot be read as one; the text never quotes it."""


_NOBODY: frozenset[str] = frozenset()


Steps: TypeAlias = tuple[str | int, ...]
"""Where an element stands, from the resource down: names without `_`, and numbers where there are several."""


class Part(NamedTuple):
    """One element with inline labels (DS4P): its place, and its labels with those of what it stands in."""

    steps: Steps
    labels: frozenset[Coding]


@dataclass(frozen=True, slots=True)
class Inline:
    """What is labelled inside a resource. `own` are the labels of the resource as a whole."""

    own: frozenset[Coding]
    parts: tuple[Part, ...]


class Matter:
    """What many resources share: type, labels, patients, authors, profiles. Compared by identity; made by one reader.

    Two resources of one matter that hold no wanted codes are decided alike, so a page is decided matter by matter.
    """

    __slots__ = ("authors", "labels", "patients", "profiles", "sorted_patients", "type")

    def __init__(
        self,
        rtype: str,
        labels: frozenset[Coding],
        patients: frozenset[str] | None,
        authors: frozenset[str],
        profiles: frozenset[str],
    ) -> None:
        self.type = rtype
        self.labels = labels
        self.patients = patients
        self.authors = authors
        self.profiles = profiles
        self.sorted_patients = tuple(sorted(patients or ()))


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What a decision reads of one resource. References are normalised (`Patient/x`).

    `patients` is `None` when it cannot be told whom the resource is about: then it is denied.
    `date` is the clinical date as written, empty unless the reader looks for dates; `codes` are those of the wanted
    codings that occur anywhere inside. `mentions` are those of the wanted references that do, with `UNTOLD` where that cannot
    be told; `None` = not looked for. `matter` is set when everything else but identity, date and mentions comes from it.
    """

    type: str
    id: str
    version: str
    last_updated: str
    labels: frozenset[Coding]
    """`meta.security` of the resource and of what it contains, and all inline labels (DS4P), normalised.

    Who does not look into `inline` judges the whole by the labels of every part.
    """
    patients: frozenset[str] | None
    authors: frozenset[str]
    date: str
    codes: frozenset[Coding]
    profiles: frozenset[str]
    matter: Matter | None = None
    mentions: frozenset[str] | None = None
    inline: Inline | None = None
    """Set where elements that can be taken out have labels of their own."""
    sources: frozenset[str] = _NOBODY
    """The documents (`Type/id`) that it was made from, with `UNTOLD` where that cannot be told."""
    holders: tuple["Envelope", ...] = ()
    """Of a Binary: every document that is known to have it as content."""
    inside: tuple["Envelope", ...] = ()
    """Of a Bundle: every resource in it, at any depth."""
    holding: frozenset[tuple[str, str]] = frozenset()
    """Constraints of the token's scopes that it fulfils, (parameter, value); none unless the reader looks for them."""

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"

    @property
    def versioned(self) -> str:
        """`Type/id/_history/version`, or without the version where there is none."""
        return f"{self.type}/{self.id}/_history/{self.version}" if self.version else self.reference

    def under(self, current: "Envelope") -> "Envelope":
        """The same version, judged also by the labels and the patients of the current one (T-47)."""
        unknown = self.patients is None or current.patients is None
        patients = None if unknown else (self.patients or _NOBODY) | (current.patients or _NOBODY)
        labels, codes = self.labels | current.labels, self.codes | current.codes
        mentions = _in_both(self.mentions, current.mentions)
        return msgspec.structs.replace(
            self, labels=labels, codes=codes, patients=patients, mentions=mentions, matter=None,
            inline=_alike(self.inline, current.inline), holding=self.holding & current.holding,
        )  # fmt: skip

    def held_by(self, holders: tuple["Envelope", ...]) -> "Envelope":
        """The same Binary, about the patients of the documents that hold it; about nobody known where none does."""
        about = [one.patients for one in holders]
        told = [one for one in about if one is not None]
        patients = frozenset().union(*told) if holders and len(told) == len(about) else None
        return msgspec.structs.replace(self, holders=holders, patients=patients)

    def inheriting(self, labels: frozenset[Coding]) -> "Envelope":
        """The same with more labels, of the whole and so of every part."""
        inline = self.inline and Inline(self.inline.own | labels, self.inline.parts)
        return msgspec.structs.replace(
            self, labels=self.labels | labels, matter=None, inline=inline
        )

    def labelled(self, labels: frozenset[Coding]) -> "Envelope":
        """The same with other labels, for all of it."""
        return msgspec.structs.replace(self, labels=labels, matter=None, inline=None)


def _alike(one: Inline | None, other: Inline | None) -> Inline | None:
    """What is labelled inside two versions, where that is the same; otherwise every label is one of the whole."""
    if one is None or other is None or one.parts != other.parts:
        return None
    return Inline(one.own | other.own, one.parts)


def _in_both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """The mentions of two versions: what only one of them mentions cannot be told, so that a deny holds and no permit does."""
    if one is None or other is None:
        return None
    return one if one == other else (one & other) | {UNTOLD}


class _Named(msgspec.Struct, frozen=True):
    """What any resource says of itself."""

    resourceType: str  # noqa: N815  (FHIR's name)
    id: str


_NAMED = msgspec.json.Decoder(_Named)


def named_in(raw: Resource) -> str | None:
    """`Type/id` of a resource that need not be readable otherwise; None where it is none."""
    try:
        named = _NAMED.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return f"{named.resourceType}/{named.id}"


class _Stated(msgspec.Struct, frozen=True):
    """What something says of itself, if anything."""

    resourceType: str = ""  # noqa: N815  (FHIR's name)
    id: str = ""


_STATED = msgspec.json.Decoder(_Stated)


def is_cut_off(raw: Resource) -> bool:
    """Whether it is nothing, or an object without its end: no server keeps such a resource, so its answer was cut off."""
    text = bytes(raw).strip()
    return not text or (text.startswith(b"{") and not text.endswith(b"}"))


def is_another(raw: Resource, rtype: str, own: str) -> bool:
    """Whether it is a resource that says of itself to be another than `Type/id`; what says nothing that can be read is not."""
    try:
        stated = _STATED.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return stated.resourceType not in (rtype, "") or stated.id not in (own, "")
