"""Cross-references of handling instructions: aliases, names and paths that labels.yaml uses (`handling`). Pure."""

import re
from collections.abc import Iterator

from proxy.errors import Finding
from proxy.policy import elements
from proxy.policy.handling import Fulfilment, instruction
from proxy.policy.labels import LabelFile
from proxy.policy.parse import Source
from proxy.policy.strict import Location
from proxy.policy.terms import NAME, Terms


def wrong_handling(labels: Source[LabelFile], terms: Terms) -> Iterator[Finding]:
    """Instructions that are none, that stand twice, or whose fulfilment names what is not there."""
    seen: set[str] = set()
    for number, one in enumerate(labels.content.handling):
        where: Location = ("handling", number)
        if not terms.has_alias(one.label):
            message = f"`{one.label}`: its system has no alias in terms.yaml"
            yield labels.finding((*where, "label"), message)
        elif instruction(terms.coding(one.label)) != terms.coding(one.label):
            message = f"`{one.label}` is no obligation and no refrain of v3-ActCode"
            yield labels.finding((*where, "label"), message)
        if one.label in seen:
            yield labels.finding((*where, "label"), f"`{one.label}` is stated twice")
        seen.add(one.label)
        for index, by in enumerate(one.fulfilled_by):
            for inside, message in _wrong(by, terms):
                yield labels.finding((*where, "fulfilled_by", index, *inside), message)


def _wrong(by: Fulfilment, terms: Terms) -> Iterator[tuple[Location, str]]:
    types = by.agreement.organization_type if by.agreement else ()
    for index, name in enumerate(types):
        if name not in terms.organization_types:
            inside = ("agreement", "organization_type", index)
            yield inside, f"`{name}` is no organization type of terms.yaml"
    if re.fullmatch(NAME, by.warn) and by.warn not in terms.texts:
        yield ("warn",), f"`{by.warn}` is no name among the `texts` of terms.yaml"
    for _, path, _ in by.redact.entries():
        if not elements.exists(path):
            yield ("redact",), f"`{path}` names no element; it would redact nothing"
