"""International Patient Summary: which resources belong in it, and its Composition (http://hl7.org/fhir/uv/ips, 2.0 and 1.1).

Shaped after the profiles of the guide, without claiming them: what upstream's resources conform to is not looked at.
Nothing here says that there is nothing: a section without entries is `unavailable`, whether nothing exists or nothing may be
seen, and never `nilknown`. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from proxy.fhir.dates import interval_of
from proxy.fhir.interaction import SearchParameter
from proxy.fhir.narrative import Named, codes_at, date_in, line_of, narrative

LOINC = "http://loinc.org"
SUMMARY = "60591-5"
_EMPTY = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
TITLE = "Patient summary, as far as it may be shown to its reader"
REMARK = "Composed of what may be shown to its reader. It may be incomplete: that something is not listed does not mean that it is not so."
NOTHING = "No information is available. That nothing is listed does not mean that there is nothing."

_Codes = Mapping[str, frozenset[str]]
"""Codes by path."""


_ANY: _Codes = MappingProxyType({})


class Choice(NamedTuple):
    """Resources of a type, but those with one of the `barred` codes; where some are `wanted`, with one of these at each path."""

    type: str
    barred: _Codes = _ANY
    wanted: _Codes = _ANY

    def takes(self, tree: Mapping[str, object]) -> bool:
        """Whether a resource, as it is shown, is one of them."""
        return (
            tree.get("resourceType") == self.type
            and all(codes.isdisjoint(codes_at(tree, path)) for path, codes in self.barred.items())
            and all(codes & codes_at(tree, path) for path, codes in self.wanted.items())
        )


class Section(NamedTuple):
    """A section: its LOINC code and title, what belongs in it, whether it is always there, and how many it has at most."""

    code: str
    title: str
    choices: tuple[Choice, ...]
    always: bool = False
    most: int = 0
    """The latest of them; zero for all."""


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OVER = {"clinicalStatus": _codes("inactive remission resolved")}
_NOT_SO = {"verificationStatus": _codes("entered-in-error refuted")}
_TAKEN = {"status": _codes("active completed intended on-hold recorded unknown")}
_ERROR = {"status": _codes("entered-in-error")}
_UNDONE = {"status": _codes("cancelled entered-in-error not-done preparation registered")}
_PREGNANCY = _codes(
    "82810-3 11778-8 11779-6 11780-4 11612-9 11613-7 11614-5 11636-8 11637-6 11638-4 11639-2 11640-0 33065-4"
)
_HABITS = _codes("72166-2 74013-4")
_MEASURED = _codes("laboratory imaging")
_DIRECTIVES = _codes("acd dnr emrgonly hcd 42348-3 59284-0")
_STOPPED = {"status": _codes("completed entered-in-error not-done stopped")}

SECTIONS = (
    Section("11450-4", "Problems", (Choice("Condition", _OVER | _NOT_SO),), always=True),
    Section(
        "48765-2", "Allergies and intolerances", (Choice("AllergyIntolerance", _OVER | _NOT_SO),), always=True,
    ),
    Section(
        "10160-0",
        "Medications",
        (
            Choice("MedicationStatement", wanted=_TAKEN),
            Choice("MedicationRequest", wanted={"status": _codes("active on-hold unknown")}),
        ),
        always=True,
    ),
    Section("11369-6", "Immunizations", (Choice("Immunization", _UNDONE),)),
    Section(
        "30954-2",
        "Results",
        (
            Choice("Observation", _UNDONE | {"code": _PREGNANCY | _HABITS}, {"category": _MEASURED}),
            Choice("DiagnosticReport", _UNDONE),
        ),
        most=200,
    ),
    Section("47519-4", "Procedures", (Choice("Procedure", _UNDONE),)),
    Section(
        "46264-8", "Medical devices", (Choice("DeviceUseStatement", _STOPPED), Choice("DeviceUsage", _STOPPED)),
    ),
    Section("11348-0", "Past problems", (Choice("Condition", _NOT_SO, _OVER),)),
    Section("18776-5", "Plan of care", (Choice("CarePlan", wanted={"status": _codes("active on-hold")}),)),
    Section(
        "29762-2",
        "Social history",
        (
            Choice("Observation", _UNDONE | {"code": _PREGNANCY | _HABITS}, {"category": _codes("social-history")}),
            Choice("Observation", _UNDONE, {"code": _HABITS}),
        ),
    ),
    Section("10162-6", "Pregnancies", (Choice("Observation", _UNDONE, {"code": _PREGNANCY}),)),
    Section("47420-5", "Functional status", (Choice("ClinicalImpression", _UNDONE),)),
    Section(
        "42348-3",
        "Advance directives",
        (
            Choice("Consent", {}, {"status": _codes("active"), "scope": _codes("adr")}),
            Choice("Consent", {"scope": _codes("adr")}, {"status": _codes("active"), "category": _DIRECTIVES}),
        ),
    ),
)  # fmt: skip
"""In the order in which they stand."""


def searches(types: frozenset[str]) -> list[tuple[str, tuple[SearchParameter, ...]]]:
    """What is searched for a patient: types that exist, and filters beside the patient."""
    named = sorted({one.type for section in SECTIONS for one in section.choices} & types)
    found: list[tuple[str, tuple[SearchParameter, ...]]] = [
        (one, ()) for one in named if one != "Observation"
    ]
    return [*found, *((_OBSERVATION, (_among(*one),)) for one in _OBSERVED)]


_OBSERVATION = "Observation"
_OBSERVED = (("category", _MEASURED | {"social-history"}), ("code", _PREGNANCY | _HABITS))
"""Of observations there are many; a summary has these."""


def _among(name: str, codes: frozenset[str]) -> SearchParameter:
    return SearchParameter(name, "", tuple(sorted(codes)))


class Shown(NamedTuple):
    """One resource as it leaves: `Type/id`, and its tree (`narrative.read`)."""

    reference: str
    tree: Mapping[str, object]


class Filled(NamedTuple):
    """A section and what is in it."""

    section: Section
    entries: tuple[Shown, ...]


def filled(shown: Iterable[Shown], zone: tzinfo) -> list[Filled]:
    """The sections that are there, each with its entries, the latest first. `zone` is that of dates without an offset."""
    ordered = sorted(shown, key=lambda one: _order(one, zone))
    found = [
        Filled(section, _entries(section, ordered))
        for section in SECTIONS
    ]  # fmt: skip
    return [one for one in found if one.entries or one.section.always]


def _entries(section: Section, ordered: Sequence[Shown]) -> tuple[Shown, ...]:
    taken = [one for one in ordered if any(choice.takes(one.tree) for choice in section.choices)]
    return tuple(taken[: section.most] if section.most else taken)


def _order(one: Shown, zone: tzinfo) -> tuple[float, str]:
    """The latest first; what has no date last."""
    when = interval_of(date_in(one.tree), zone)
    return (-when.end if when else float("inf"), one.reference)


# ---- the Composition ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heading:
    """What a Composition says of itself: URLs of the base, patient and author, a FHIR instant, and what is known of versions."""

    base: str
    patient: str
    author: str
    date: str
    confidentiality: str
    """The highest code of what is in it; empty where none is known."""
    fhir_version: str


def composition_of(heading: Heading, sections: Iterable[Filled], named: Named) -> bytes:
    """The Composition, as JSON."""
    is_r5 = heading.fhir_version.startswith("5")
    subject = {"reference": heading.patient}
    confidential = {} if is_r5 or not heading.confidentiality else {"confidentiality": heading.confidentiality}  # fmt: skip
    return msgspec.json.encode(
        {
            "resourceType": "Composition",
            "text": narrative(REMARK),
            "status": "final",
            "type": _concept(SUMMARY),
            "subject": [subject] if is_r5 else subject,
            "date": heading.date,
            "author": [{"reference": heading.author}],
            "title": TITLE,
            **confidential,
            "section": [_section(heading, one, named) for one in sections],
        }
    )


def _section(heading: Heading, one: Filled, named: Named) -> dict[str, object]:
    section, entries = one
    head = {"title": section.title, "code": _concept(section.code)}
    if not entries:
        reason = {"system": _EMPTY, "code": "unavailable", "display": "Unavailable"}
        return {**head, "text": narrative(NOTHING), "emptyReason": {"coding": [reason], "text": NOTHING}}  # fmt: skip
    lines = [line_of(shown.tree, named) for shown in entries]
    listed = [{"reference": f"{heading.base}/{shown.reference}"} for shown in entries]
    return {**head, "text": narrative(REMARK, lines), "entry": listed}


def _concept(code: str) -> dict[str, object]:
    return {"coding": [{"system": LOINC, "code": code}]}


def author_of(name: str, version: str, fhir_version: str) -> bytes:
    """The Device that composes the summary: this program."""
    called: dict[str, object] = {"deviceName": [{"name": name, "type": "user-friendly-name"}]}
    if fhir_version.startswith("5"):
        called = {"name": [{"value": name, "type": "user-friendly-name"}]}
    return msgspec.json.encode(
        {"resourceType": "Device", "status": "active", **called, "version": [{"value": version}]}
    )
