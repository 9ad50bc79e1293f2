"""Break-glass in decisions: who may open and use a grant, and the denies that stand under every one (decisions §9). Pure.

Laws: a request is judged ordinarily first, and under a grant only where that denies; then its purpose is BTG, and the rules
that name the relationship `break-glass` may match. What stands under every grant is absolute: the ceiling, what is
never opened, the deny list. A patient's Consent that denies BTG by name is absolute too (`voices`). Scopes, the token's
own rules and unknown labels bind as always.
"""

from dataclasses import dataclass

from proxy.decision.rules import CompiledRule, compile_rule, stand
from proxy.decision.terminology import purpose_lineage
from proxy.facts.model import ActorClosure
from proxy.fhir.coding import Coding, Effect
from proxy.identity.principal import Principal
from proxy.policy.break_glass import BreakGlass
from proxy.policy.model import PolicySet, Rule
from proxy.policy.target import PrincipalTarget, ResourceTarget, Target

BREAK_GLASS = "BTG"

CEILING = "break_glass.ceiling"
NEVER = "break_glass.never"
DENIED = "break_glass.denied"
"""Names of the denies under a grant in reasons; no rule of a policy can have such a name."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """The section `break_glass` of the policies, compiled. `reasons`: every spelling of the codes that are accepted."""

    section: BreakGlass
    opener: CompiledRule
    denies: tuple[CompiledRule, ...]
    reasons: frozenset[Coding]

    def admits(self, principal: Principal, closure: ActorClosure) -> bool:
        """Whether this caller may open a grant, and use it; who cannot be told may not."""
        return bool(stand((self.opener,), principal, closure, frozenset(), "operation"))

    def trusts(self, principal: Principal) -> bool:
        """Whether the token's purpose counts as a grant without a ceremony: it names BTG, and the issuer's word is enough.

        Where the policy wants to know how the person was authenticated, the token must say it; how lately is the issuer's word.
        """
        section = self.section
        strong = not section.acr or principal.acr in section.acr
        return (
            strong
            and BREAK_GLASS in principal.purposes
            and principal.issuer in section.trusts_purpose_of
        )


def compile_emergency(policies: PolicySet) -> Emergency | None:
    """The ceremony, ready to decide; None where no policy has one."""
    section = policies.break_glass
    if section is None:
        return None
    terms = policies.terms
    return Emergency(
        section,
        _compiled(
            "break_glass.may_open", Target(principal=section.may_open), policies, Effect.PERMIT
        ),
        tuple(
            _compiled(name, target, policies, Effect.DENY) for name, target in _under_any(section)
        ),
        frozenset().union(*(terms.codings(label) for label in section.reasons)),
    )


def _under_any(section: BreakGlass) -> list[tuple[str, Target]]:
    """What is denied under every grant, by name."""
    above = ResourceTarget(confidentiality_above=section.ceiling)
    never = enumerate(section.never)
    return [
        (CEILING, Target(resource=above)),
        (DENIED, Target(principal=PrincipalTarget(relationship=("denied",)))),
        *((f"{NEVER}[{index}]", Target(resource=one)) for index, one in never),
    ]


def _compiled(name: str, target: Target, policies: PolicySet, effect: Effect) -> CompiledRule:
    # Not validated: a rule that an author writes can have neither such a name nor a tag of it.
    absolute = effect is Effect.DENY
    rule = Rule.model_construct(id=name, effect=effect, target=target, absolute=absolute)
    return compile_rule(rule, policies)


def serves(purposes: frozenset[str]) -> bool:
    """Whether a grant may serve a request of these purposes: treatment in an emergency, or none named; no other (T-186)."""
    return purposes <= purpose_lineage(BREAK_GLASS)
