"""Choice: whom a verified token names, where one person may act in several situations of practice (Pro Santé Connect).

Laws: a request may choose only among the situations that the identity provider lists; where there are several and none is
chosen, or what is chosen is none of them, the caller is known and may do nothing. Nothing else comes from a header (T-183).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import Scopes

SITUATION_HEADER = "x-situation"

_NONE_CHOSEN = "the person has several situations of practice and the request chooses none"
_NOT_PROVEN = "the request chooses a situation of practice that the identity provider does not list"
_SEVERAL_MEANT = (
    "the request chooses a place where the person has several situations; name the profession too"
)
_CHOSEN_TWICE = "the request chooses a situation of practice more than once"


@dataclass(frozen=True, slots=True)
class Choice:
    """The principals of one token: `plain` without any situation, and one for each situation of practice.

    `offered` is false for tokens that know no situations: then what a request says of them is not heard.
    """

    plain: Principal
    situated: tuple[Principal, ...] = ()
    offered: bool = False
    _silenced: dict[str, Principal] = field(default_factory=dict, compare=False)

    def made(self, headers: Mapping[str, str], repeated: frozenset[str]) -> Principal:
        """The principal that a request chooses by its headers (lower case; `repeated` came more than once)."""
        if not self.offered:
            return self.plain
        if SITUATION_HEADER in repeated:
            return self._undecided(_CHOSEN_TWICE)
        return self.of(headers.get(SITUATION_HEADER))

    def of(self, written: str | None) -> Principal:
        """The principal in the situation of a code or place; `None`: in the only one there is."""
        if not self.offered or (written is None and not self.situated):
            return self.plain
        if written is None:
            return self._one(self.situated, _NONE_CHOSEN)
        return self._one([one for one in self.situated if _is_meant(one, written)], _SEVERAL_MEANT)

    def _one(self, found: Sequence[Principal], several: str) -> Principal:
        if len(found) == 1:
            return found[0]
        return self._undecided(several if found else _NOT_PROVEN)

    def _undecided(self, why: str) -> Principal:
        """Who is known by name and may do nothing; the very same one each time."""
        known = self._silenced.get(why)
        if known is None:
            kind, nothing = PrincipalKind.UNKNOWN, Scopes()
            known = replace(self.plain, kind=kind, scopes=nothing, undecided=why)
            self._silenced[why] = known
        return known


def _is_meant(principal: Principal, written: str) -> bool:
    """Whether a situation is called by its code, or by an identifier of its place; compared exactly."""
    situation = principal.situation
    if situation is None:
        return False
    return written == situation.code or written in {one.value for one in situation.site}
