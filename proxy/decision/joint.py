"""One Decision for what leaves together: all of it is permitted, and what any part of it obliges to holds for the whole. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from proxy.decision.model import NO_OBLIGATIONS, Decision, Obligations
from proxy.decision.terminology import RANK

_LOWEST = -1


def permitted_together(decisions: Sequence[Decision]) -> Decision:
    """The permit that some permits are, each of them asked; at least one."""
    joined: Obligations = NO_OBLIGATIONS
    for one in decisions:
        joined |= one.obligations
    return replace(
        decisions[0],
        reasons=tuple(dict.fromkeys(reason for one in decisions for reason in one.reasons)),
        obligations=joined,
        consents=frozenset().union(*(one.consents for one in decisions)),
        whose=frozenset().union(*(one.whose for one in decisions)),
        grants=tuple(dict.fromkeys(grant for one in decisions for grant in one.grants)),
        confidentiality=max(
            (one.confidentiality for one in decisions), key=lambda code: RANK.get(code, _LOWEST)
        ),
        evidence=tuple(dict.fromkeys(told for one in decisions for told in one.evidence)),
    )
