"""Paths of the FHIR REST interface below a base, and the interaction that each means (https://hl7.org/fhir/R4/http.html#summary).

A plain grammar in visible ASCII: what a path has to do with is decided by the first pattern that fits it as a whole. Pure.
"""

import re
from dataclasses import dataclass

_TYPE = "[A-Z][A-Za-z]{0,63}"
_ID = r"[A-Za-z0-9.-]{1,64}"
_COMPARTMENT = f"/(?P<compartment>(?:Device|Encounter|Patient|Practitioner|RelatedPerson)/{_ID})"
_INSTANCE = f"/(?P<type>{_TYPE})/(?P<id>{_ID})"
_READERS = ("GET", "HEAD")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
"""The methods of the FHIR REST interface."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path below the base, and what it means with the methods it is served for."""

    code: str
    """Of the interaction (`interaction.Interaction`)."""
    methods: tuple[str, ...]
    path: re.Pattern[str]


SERVED = (
    Route("capabilities", _READERS, re.compile("/metadata")),
    Route("smart-configuration", _READERS, re.compile(r"/\.well-known/smart-configuration")),
    Route("read", _READERS, re.compile(_INSTANCE)),
    Route("vread", _READERS, re.compile(f"{_INSTANCE}/_history/(?P<version>{_ID})")),
    Route("history-instance", _READERS, re.compile(f"{_INSTANCE}/_history")),
    Route("history-type", _READERS, re.compile(f"/(?P<type>{_TYPE})/_history")),
    Route("history-system", _READERS, re.compile("/_history")),
    Route("search-type", _READERS, re.compile(f"/(?P<type>{_TYPE})")),
    Route("search-type", ("POST",), re.compile(f"/(?P<type>{_TYPE})/_search")),
    Route("search-type", _READERS, re.compile(rf"{_COMPARTMENT}/(?P<type>{_TYPE}|\*)")),
    Route(
        "search-type",
        ("POST",),
        re.compile(f"{_COMPARTMENT}(?:/(?P<type>{_TYPE}))?/_search"),
    ),
    Route(
        "operation",
        ("POST",),
        re.compile(r"/\$(?P<operation>(?:end-)?break-glass)"),
    ),
    Route(
        "everything",
        (*_READERS, "POST"),
        re.compile(rf"/(?P<type>Patient)/(?P<id>{_ID})/\$(?P<operation>everything)"),
    ),
    Route("lastn", _READERS, re.compile(r"/(?P<type>Observation)/\$(?P<operation>lastn)")),
    Route(
        "docref",
        _READERS,
        re.compile(r"/(?P<type>DocumentReference)/\$(?P<operation>docref)"),
    ),
    Route(
        "document",
        (*_READERS, "POST"),
        re.compile(rf"/(?P<type>Composition)(?:/(?P<id>{_ID}))?/\$(?P<operation>document)"),
    ),
    Route(
        "summary",
        (*_READERS, "POST"),
        re.compile(rf"/(?P<type>Patient)(?:/(?P<id>{_ID}))?/\$(?P<operation>summary)"),
    ),
    Route(
        "export",
        ("GET", "POST"),
        re.compile(
            rf"(?:/(?P<type>Patient)|/(?P<group>Group)/(?P<id>{_ID}))?/\$(?P<operation>export)"
        ),
    ),
    Route("export", ("GET", "DELETE"), re.compile(r"/\$(?P<operation>export-status)")),
    Route("export", ("GET",), re.compile(r"/\$(?P<operation>export-file)")),
)

UNSERVED = re.compile(
    "|".join(
        (
            "(?:/_search)?",  # the base itself: batch, transaction, system search
            rf"(?:/{_TYPE}(?:/{_ID}(?:/_history/{_ID})?)?)?/\$[A-Za-z-]+",  # operations, $graphql
            rf"/{_TYPE}/{_ID}/(?:\*|{_TYPE}(?:/_search)?)",  # compartments, but for types in that of a patient
        )
    )
)
