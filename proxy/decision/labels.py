"""Effective security labels of a resource (DS4P; decisions §6).

Upstream's labels ∪ inline labels ∪ those that the labelling rules compute from codes. Confidentiality is the single highest
code (LBL-6); a sensitivity label raises it to at least R (PCF-10, X-27); no confidentiality at all is what the policy says
of unlabelled data. A label nobody knows makes the whole `unknown`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.decision.terminology import RANK, is_sensitivity
from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.envelope import Envelope
from proxy.policy.model import PolicySet

RESTRICTED = RANK["R"]


@dataclass(frozen=True, slots=True)
class EffectiveLabels:
    """`rank` is the confidentiality on the order U=0 … V=5, `None` where policy says that unlabelled data stay shut.

    `codings` are all labels, normalised, with exactly one confidentiality code (the highest) where there is a rank.
    """

    rank: int | None
    codings: frozenset[Coding]
    unknown: frozenset[Coding]

    @property
    def confidentiality(self) -> str:
        """The confidentiality code, or an empty string."""
        return "" if self.rank is None else _CODES[self.rank]


_CODES = tuple(sorted(RANK, key=RANK.__getitem__))


def effective_labels(envelope: Envelope, policies: PolicySet) -> EffectiveLabels:
    """The labels a decision goes by."""
    rules = policies.labels
    own = {policies.terms.normalise(label) for label in envelope.labels}
    labels = own | rules.labels_of(envelope.codes)
    unknown = frozenset(label for label in own if not _is_known(label, policies))
    rank = _rank(labels, policies.unlabelled)
    others = {label for label in labels if label.system != CONFIDENTIALITY}
    highest = set() if rank is None else {Coding(CONFIDENTIALITY, _CODES[rank])}
    return EffectiveLabels(rank, frozenset(others | highest), unknown)


def _is_known(label: Coding, policies: PolicySet) -> bool:
    """Whether the house understands the label; of v3-Confidentiality only the six levels are (LBL-18)."""
    if label.system == CONFIDENTIALITY:
        return label.code in RANK
    return policies.labels.knows(label)


def _rank(labels: set[Coding], unlabelled: str) -> int | None:
    ranks = [
        RANK.get(label.code, RESTRICTED) for label in labels if label.system == CONFIDENTIALITY
    ]
    if any(is_sensitivity(label) for label in labels):
        ranks.append(RESTRICTED)
    return max(ranks) if ranks else RANK.get(unlabelled)


@dataclass(frozen=True, slots=True)
class LabelOrigin:
    """One effective label, `system#code`, and where it comes from: a place in the resource, a labelling rule, a default."""

    label: str
    origin: str


def label_origins(
    envelope: Envelope, policies: PolicySet, places: Mapping[Coding, tuple[str, ...]]
) -> tuple[LabelOrigin, ...]:
    """Where each effective label comes from; only explanations ask. `places`: where the resource states its labels."""
    effective = effective_labels(envelope, policies)
    sources = tuple(_sources(envelope, policies, places))
    return tuple(
        LabelOrigin(f"{label.system}#{label.code}", origin)
        for label in sorted(effective.codings)
        for origin in dict.fromkeys(
            [origin for stated, origin in sources if stated == label]
            or [_default(effective, policies)]
        )
    )


def _sources(
    envelope: Envelope, policies: PolicySet, places: Mapping[Coding, tuple[str, ...]]
) -> Iterator[tuple[Coding, str]]:
    """Every label that something states, normalised, and what states it."""
    elsewhere = "a document it was made from" if envelope.sources else "the current version"
    for label in sorted(envelope.labels):
        normal = policies.terms.normalise(label)
        for place in places.get(label, (elsewhere,)):
            yield normal, place
    for rule, code, added in policies.labels.rules_of(envelope.codes):
        for label in sorted(added):
            yield label, f"labelling rule {rule} (code {code.code})"


def _default(effective: EffectiveLabels, policies: PolicySet) -> str:
    """What gives a confidentiality that nothing states."""
    if any(is_sensitivity(label) for label in effective.codings):
        return "a sensitivity label counts as R at least"
    if effective.rank == RESTRICTED:
        return "a code that is no level of confidentiality counts as R"
    return f"unlabelled: {policies.unlabelled}"
