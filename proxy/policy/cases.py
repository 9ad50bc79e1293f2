"""Test cases of a policy: who, what, under which consent, and what is expected (`policies/<pack>/tests/*.yaml`). Pure.

A file lists principals, resources, interactions and consents, and expects permits. Every combination is a case,
and **what is not listed is expected to be denied**.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Literal, TypeAlias, get_args

from pydantic import Field

from proxy.errors import Finding, UnusableError
from proxy.fhir.coding import Effect
from proxy.fhir.dates import interval_of
from proxy.policy.campaign import Moment
from proxy.policy.elements import resource_types
from proxy.policy.parse import Source
from proxy.policy.redact import Redact
from proxy.policy.strict import Location
from proxy.policy.target import ResourceType
from proxy.policy.terms import (
    InteractionCode,
    KindCode,
    Label,
    Name,
    Purpose,
    Relationship,
    Terms,
    Text,
    Written,
)

ConsentState: TypeAlias = Literal["permit", "named", "none", "deny", "unknown"]
"""What the patient's Consents say: as in a rule, and `unknown` when they could not be had or computed."""


class CasePrincipal(Written):
    """Who asks in a case."""

    kind: KindCode = Field(description="What sort of principal the token names.")
    role: tuple[Name, ...] = Field(default=(), min_length=1, description="Roles held, by name.")
    relationship: tuple[Relationship, ...] = Field(
        default=(),
        min_length=1,
        description="How the principal stands to the patient, proven and in force.",
    )
    organization_type: tuple[Name, ...] = Field(
        default=(), min_length=1, description="Types of the principal's organisations, by name."
    )
    client: str = Field(default="", description="Client id of the application that asks.")
    purpose: Purpose | None = Field(
        default=None,
        description="Purpose of use in the token; absent: the policy's default for the kind.",
    )


class CaseResource(Written):
    """What is asked for in a case."""

    type: ResourceType = Field(description="The resource type.")
    label: tuple[Label, ...] = Field(
        default=(), min_length=1, description="Security labels in `meta.security`, `alias#CODE`."
    )
    code: tuple[Label, ...] = Field(
        default=(),
        min_length=1,
        description="Codes that the resource bears, `alias#CODE`; they may bring labels.",
    )
    patients: Literal[0, 1, 2] = Field(
        default=1, description="How many patients it is about; the consent is that of each of them."
    )


class Expected(Written):
    """Cases that are expected to be permitted."""

    principal: tuple[Text, ...] = Field(min_length=1, description="Principals of this file.")
    resource: tuple[Text, ...] = Field(min_length=1, description="Resources of this file.")
    consent: tuple[ConsentState, ...] = Field(
        min_length=1, description="Consent states of this file."
    )
    interaction: tuple[InteractionCode, ...] = Field(
        default=(), min_length=1, description="Interactions of this file; absent: all of them."
    )
    at: tuple[Moment, ...] = Field(
        default=(), min_length=1, description="Instants of this file; absent: all of them."
    )
    effect: Literal["permit"] = Field(
        default="permit", description="What is expected; all else is denied."
    )
    redact: Redact = Field(
        default=Redact(),
        description="Exactly what is taken out of a resource of this type; absent: nothing.",
    )
    warn: tuple[Text, ...] = Field(
        default=(),
        min_length=1,
        description="Exactly what the reader is told: texts, or their names in terms.yaml; absent: nothing.",
    )


class CaseFile(Written):
    """One file of test cases."""

    description: Text = Field(description="What these cases show.")
    principals: dict[Name, CasePrincipal] = Field(min_length=1, description="Who asks, by name.")
    resources: dict[Name, CaseResource] = Field(
        min_length=1, description="What is asked for, by name."
    )
    interactions: tuple[InteractionCode, ...] = Field(
        default=("read",), min_length=1, description="Interactions; absent: `read`."
    )
    consents: tuple[ConsentState, ...] = Field(
        default=get_args(ConsentState), min_length=1, description="Consent states; absent: all."
    )
    at: tuple[Moment, ...] = Field(
        default=(),
        min_length=1,
        description=(
            "Instants at which every case is judged, UTC; a date is its first instant. For campaigns: a day before, "
            "the first, the last, and the day after. Absent: one instant, 2026-01-01."
        ),
    )
    expect: tuple[Expected, ...] = Field(
        default=(),
        min_length=1,
        description="What is permitted. What is not listed is expected to be denied.",
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One case, with all fields resolved. `line` is that of the expectation, or of the principal if none is listed."""

    file: str
    line: int
    description: str
    principal_name: str
    resource_name: str
    principal: CasePrincipal
    resource: CaseResource
    interaction: InteractionCode
    consent: ConsentState
    effect: Effect
    redact: Redact
    at: str = ""
    warn: tuple[str, ...] = ()

    def __str__(self) -> str:
        when = f" · at {self.at}" if self.at else ""
        return f"{self.principal_name} · {self.interaction} · {self.resource_name} · consent {self.consent}{when}"

    def finding(self, message: str) -> Finding:
        """Say what came out otherwise than expected."""
        return Finding(self.file, self.line, f"{self}: {message}")


Key = tuple[str, str, InteractionCode, ConsentState, str]
"""Principal name, resource name, interaction, consent state, and the instant where the file names some."""


def cases_of(source: Source[CaseFile]) -> list[Case]:
    """Give every case of a file; raise `UnusableError` if an expectation names what the file does not have."""
    findings = [*_wrong_moments(source), *_wrong_expectations(source)]
    if findings:
        raise UnusableError(*findings)
    expected = {key: index for index, key in _expected_keys(source.content)}
    return [_case(source, key, expected) for key in _keys(source.content)]


def _keys(file: CaseFile) -> Iterator[Key]:
    return itertools.product(
        file.principals, file.resources, file.interactions, file.consents, file.at or ("",)
    )


def _expected_keys(file: CaseFile) -> Iterator[tuple[int, Key]]:
    for index, entry in enumerate(file.expect):
        interactions = entry.interaction or file.interactions
        instants = entry.at or file.at or ("",)
        for key in itertools.product(
            entry.principal, entry.resource, interactions, entry.consent, instants
        ):
            yield index, key


def _case(source: Source[CaseFile], key: Key, expected: Mapping[Key, int]) -> Case:
    file, index = source.content, expected.get(key)
    location: Location = ("principals", key[0]) if index is None else ("expect", index)
    return Case(
        file=source.file,
        line=source.document.line(location),
        description=file.description,
        principal_name=key[0],
        resource_name=key[1],
        principal=file.principals[key[0]],
        resource=file.resources[key[1]],
        interaction=key[2],
        consent=key[3],
        effect=Effect.DENY if index is None else Effect.PERMIT,
        redact=Redact() if index is None else file.expect[index].redact,
        warn=() if index is None else file.expect[index].warn,
        at=key[4],
    )


def _wrong_moments(source: Source[CaseFile]) -> Iterator[Finding]:
    for index, moment in enumerate(source.content.at):
        if interval_of(moment, UTC) is None:
            yield source.finding(("at", index), f"`{moment}` is no date of the calendar")


def _wrong_expectations(source: Source[CaseFile]) -> Iterator[Finding]:
    """Give expectations that name what the file does not list, or that say the same twice."""
    file = source.content
    listed = {
        "principal": frozenset(file.principals),
        "resource": frozenset(file.resources),
        "interaction": frozenset(file.interactions),
        "consent": frozenset(file.consents),
        "at": frozenset(file.at),
    }
    for index, entry in enumerate(file.expect):
        for field, known in listed.items():
            for place, name in enumerate(getattr(entry, field)):
                if name not in known:
                    yield source.finding(
                        ("expect", index, field, place), f"`{name}` is no {field} of this file"
                    )
    seen: set[Key] = set()
    for index, key in _expected_keys(file):
        if key in seen:
            yield source.finding(
                ("expect", index), f"{' · '.join(filter(None, key))} is expected twice"
            )
        seen.add(key)


def wrong_case_names(source: Source[CaseFile], terms: Terms) -> Iterator[Finding]:
    """Give a finding for each role, organisation type, resource type and alias that a case file gets wrong."""
    for name, principal in source.content.principals.items():
        for field, known in (
            ("role", terms.roles),
            ("organization_type", terms.organization_types),
        ):
            for place, word in enumerate(getattr(principal, field)):
                if word not in known:
                    message = f"`{word}` is no {field.replace('_', ' ')} of terms.yaml"
                    yield source.finding(("principals", name, field, place), message)
    for name, resource in source.content.resources.items():
        for inside, message in _wrong_in_resource(resource, terms):
            yield source.finding(("resources", name, *inside), message)


def _wrong_in_resource(resource: CaseResource, terms: Terms) -> Iterator[tuple[Location, str]]:
    if resource.type not in resource_types():
        yield ("type",), f"`{resource.type}` is no FHIR resource type"
    for field in ("label", "code"):
        for place, label in enumerate(getattr(resource, field)):
            if not terms.has_alias(label):
                yield (field, place), f"`{label}`: its system has no alias in terms.yaml"
