"""The files of one policy directory, and where in them the parts stand that findings are about. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.errors import Finding
from proxy.policy.labels import LabelFile
from proxy.policy.model import Campaign, Policy, Rule
from proxy.policy.parse import Source
from proxy.policy.strict import Location
from proxy.policy.target import PrincipalTarget, ResourceTarget
from proxy.policy.terms import Terms

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one directory, read one by one, not yet compared."""

    policies: tuple[Source[Policy], ...]
    terms: Source[Terms]
    labels: Source[LabelFile]


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule, with the place where it stands, and the campaign within which alone it is in force."""

    source: Source[Policy]
    location: Location
    rule: Rule
    campaign: Campaign | None = None

    @property
    def basis(self) -> str:
        """The legal or organisational basis: the rule's own, or of what it stands in."""
        whole = self.campaign.source if self.campaign else self.source.content.source
        return self.rule.source or whole

    @property
    def place(self) -> tuple[str, int]:
        """The file and the line where the rule begins."""
        return self.source.file, self.source.document.line((*self.location, "id"))

    def finding(self, message: str, *inside: str | int) -> Finding:
        """Say what is wrong with the rule, at a place inside it."""
        return self.source.finding((*self.location, *inside), message)


def placed_rules(policies: Iterable[Source[Policy]]) -> Iterator[PlacedRule]:
    """Give every rule with its place."""
    for source in policies:
        for index, rule in enumerate(source.content.rules):
            yield PlacedRule(source, ("rules", index), rule)
        for number, campaign in enumerate(source.content.campaigns):
            for index, rule in enumerate(campaign.rules):
                location = ("campaigns", number, "rules", index)
                yield PlacedRule(source, location, rule, campaign)


@dataclass(frozen=True, slots=True)
class PlacedPart(Generic[T]):
    """Part of a target, with the place where it stands: in a rule, or in the section `break_glass`."""

    source: Source[Policy]
    location: Location
    part: T

    def finding(self, message: str, *inside: str | int) -> Finding:
        """Say what is wrong, at a place inside."""
        return self.source.finding((*self.location, *inside), message)


def principals_of(files: Files) -> Iterator[PlacedPart[PrincipalTarget]]:
    """Give every target of principals."""
    for placed in placed_rules(files.policies):
        where = (*placed.location, "target", "principal")
        yield PlacedPart(placed.source, where, placed.rule.target.principal)
    for source in files.policies:
        if source.content.break_glass:
            yield PlacedPart(
                source, ("break_glass", "may_open"), source.content.break_glass.may_open
            )


def resources_of(files: Files) -> Iterator[PlacedPart[ResourceTarget]]:
    """Give every target of resources."""
    for placed in placed_rules(files.policies):
        where = (*placed.location, "target", "resource")
        yield PlacedPart(placed.source, where, placed.rule.target.resource)
    for source in files.policies:
        never = source.content.break_glass.never if source.content.break_glass else ()
        for index, part in enumerate(never):
            yield PlacedPart(source, ("break_glass", "never", index), part)
