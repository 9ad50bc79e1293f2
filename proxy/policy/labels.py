"""Labelling rules: value sets of codes that make a resource sensitive (DS4P Security Labeling Service; `labels.yaml`).

A resource that bears one of the codes gets the labels of the rule. A code whose system `terms.yaml` does not name is taken for
the listed code that it equals, in whatever system that is listed: a spelling nobody foresaw must not open what is
sensitive. The same file says which labels are known: a label nobody knows is `unknown`, and denies. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import Field

from proxy.fhir.coding import Coding, spelt_alike
from proxy.policy.handling import Fulfilments, Handling, fulfilments_from, instruction
from proxy.policy.terms import Label, Name, Terms, Text, Written


class LabellingRule(Written):
    """A value set and the labels that its codes bring."""

    id: Name = Field(description="The rule's name, shown in explanations.")
    description: str = Field(default="", description="What the value set holds.")
    source: Text = Field(description="Where the value set and the need to protect it come from.")
    codes: dict[str, tuple[Text, ...]] = Field(
        min_length=1,
        description="Codes by alias of their system; `F10*` means every code that begins with `F10`.",
    )
    add: tuple[Label, ...] = Field(
        min_length=1,
        description="Labels (`alias#CODE`) that a resource with one of the codes gets.",
    )


class Known(Written):
    """Labels that the house understands. Any other label on a resource denies it."""

    systems: tuple[Text, ...] = Field(
        default=(), min_length=1, description="Aliases of label systems whose every code is known."
    )
    codes: tuple[Label, ...] = Field(
        default=(), min_length=1, description="Single known labels, `alias#CODE`."
    )


class LabelFile(Written):
    """The content of `labels.yaml`."""

    known: Known = Field(description="Which labels are known; a label nobody knows denies.")
    rules: tuple[LabellingRule, ...] = Field(
        default=(), min_length=1, description="The labelling rules."
    )
    handling: tuple[Handling, ...] = Field(
        default=(),
        min_length=1,
        description="Obligations and refrains (v3-ActCode) that the house fulfils; any other one denies.",
    )
    untold: tuple[Label, ...] = Field(
        default=(),
        min_length=1,
        description="Labels of what the patient gets no notice of, whatever rule obliges: others read the record for the patient.",
    )


@dataclass(frozen=True, slots=True)
class Labels:
    """The labelling rules, ready for use. Codings are normalised by `terms`.

    `exact[code]` and `prefixes[(system, prefix)]` are the labels that a code brings.
    """

    terms: Terms
    exact: Mapping[Coding, frozenset[Coding]]
    prefixes: tuple[tuple[Coding, frozenset[Coding]], ...]
    known_systems: frozenset[str]
    known_codes: frozenset[Coding]
    anywhere: tuple[Mapping[str, frozenset[Coding]], tuple[tuple[str, frozenset[Coding]], ...]] = (
        {},
        (),
    )
    """The same by code alone, without case, for codes of systems that nobody named: whole codes, and prefixes."""
    handling: Fulfilments = field(default_factory=dict)
    """How instructions among the labels are fulfilled; one that is not here is not."""
    untold: frozenset[Coding] = frozenset()
    """Labels of what the patient gets no notice of."""
    rules: tuple[LabellingRule, ...] = ()
    """As written; only explanations read them."""

    def knows(self, label: Coding) -> bool:
        """Whether the house understands this label, however it is spelled."""
        normal = self.terms.normalise(label)
        if instruction(normal) is not None:  # whether it is fulfilled is another question
            return True
        return normal.system in self.known_systems or normal in self.known_codes

    def labels_of(self, codes: Iterable[Coding]) -> frozenset[Coding]:
        """Give the labels that a resource bearing these codes gets."""
        return frozenset().union(
            *(self._labels_of_one(self.terms.normalise(code)) for code in codes)
        )

    def rules_of(self, codes: Iterable[Coding]) -> Iterator[tuple[str, Coding, frozenset[Coding]]]:
        """Give each rule that labels one of these codes: its id, the code, and the labels it adds."""
        for code in sorted(codes):
            normal = self.terms.normalise(code)
            for rule in self.rules:
                if any(
                    self._speaks_of(start, normal, whole)
                    for start, whole in _codes_of(rule, self.terms)
                ):
                    yield rule.id, code, frozenset(map(self.terms.coding, rule.add))

    def _speaks_of(self, start: Coding, code: Coding, whole: bool) -> bool:
        """Whether what a rule lists, a code or the beginning of codes, means this code."""
        if not self.terms.recognises(code.system):
            start, code = Coding("", spelt_alike(start.code)), Coding("", spelt_alike(code.code))
        same = start.system == code.system
        return same and (start == code if whole else code.code.startswith(start.code))

    def _labels_of_one(self, code: Coding) -> frozenset[Coding]:
        found = self.exact.get(code, _NONE)
        for start, labels in self.prefixes:
            if code.system == start.system and code.code.startswith(start.code):
                found |= labels
        return found if self.terms.recognises(code.system) else found | self._wherever(code.code)

    def _wherever(self, code: str) -> frozenset[Coding]:
        """The labels that a code brings in any of the listed systems."""
        alike, (exact, prefixes) = spelt_alike(code), self.anywhere
        begun = (labels for start, labels in prefixes if alike.startswith(start))
        return frozenset().union(exact.get(alike, _NONE), *begun)


_NONE: frozenset[Coding] = frozenset()


def labels_from(file: LabelFile, terms: Terms) -> Labels:
    """Make the labelling rules ready; every alias in the file is known to `terms`."""
    exact: dict[Coding, frozenset[Coding]] = {}
    prefixes: dict[Coding, frozenset[Coding]] = {}
    for rule in file.rules:
        added = frozenset(map(terms.coding, rule.add))
        for coding, whole in _codes_of(rule, terms):
            table = exact if whole else prefixes
            table[coding] = table.get(coding, frozenset()) | added
    return Labels(
        terms=terms,
        exact=exact,
        prefixes=tuple(sorted(prefixes.items(), key=lambda pair: pair[0])),
        anywhere=(_by_code(exact), tuple(sorted(_by_code(prefixes).items()))),
        known_systems=frozenset(terms.coding(f"{alias}#-").system for alias in file.known.systems),
        known_codes=frozenset(map(terms.coding, file.known.codes)),
        handling=fulfilments_from(file.handling, terms),
        untold=frozenset(map(terms.coding, file.untold)),
        rules=file.rules,
    )


def _codes_of(rule: LabellingRule, terms: Terms) -> Iterator[tuple[Coding, bool]]:
    """Each code of a rule, and whether it is meant whole and not as a prefix."""
    for alias, codes in rule.codes.items():
        for code in codes:
            yield terms.coding(f"{alias}#{code.removesuffix('*')}"), not code.endswith("*")


def _by_code(table: Mapping[Coding, frozenset[Coding]]) -> dict[str, frozenset[Coding]]:
    """The same by the code alone."""
    found: dict[str, frozenset[Coding]] = {}
    for coding, labels in table.items():
        alike = spelt_alike(coding.code)
        found[alike] = found.get(alike, _NONE) | labels
    return found
