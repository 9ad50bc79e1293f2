"""Pro Santé Connect: the userinfo of a French health professional becomes a Choice of principals (OpenID Connect Core 5.3).

Rights come from userinfo, never from the access token alone, and from one situation of practice: an exercise
(`SubjectRefPro.exercices[]`) in one of its activities. Laws:

- Without exercise and activity there is no professional right: no role, no kind.
- `SubjectRole` is a ceiling: a profession that it does not list is none.
- `Mode_Acces_Raison` is not read: how the record is opened is said by the request's purpose, not by the session.
- A member of the wrong type is an error; one that is empty or null is absent, as Pro Santé Connect writes it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import Coding, Identifier
from proxy.identity.choice import Choice
from proxy.identity.issuer import STRONG, ClaimPath, Strength
from proxy.identity.principal import Principal, PrincipalKind, Situation
from proxy.identity.values import WrongError, array_of, bad_claim, read, text_of

T = TypeVar("T")

_NOS = "https://mos.esante.gouv.fr/NOS/"
PROFESSION = _NOS + "TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
CATEGORY = _NOS + "TRE_R09-CategorieProfessionnelle/FHIR/TRE-R09-CategorieProfessionnelle"
KNOW_HOW = "urn:oid:1.2.250.1.71.4.2.5"
REGULATION = "https://auth.esw.esante.gouv.fr/claims/Acces_Regulation_Medicale"
"""Nobody publishes a code system for it: the claim's name below the issuer's host."""

NATIONAL_PERSON = "urn:oid:1.2.250.1.71.4.2.1"
RPPS = "https://rpps.esante.gouv.fr"
NATIONAL_STRUCTURE = "urn:oid:1.2.250.1.71.4.2.2"
FINESS = "https://finess.esante.gouv.fr"
SIREN_AND_SIRET = "https://sirene.fr"
DIRECTORY = "https://annuaire.sante.fr"

_PERSONS = re.compile(r"8(?P<rpps>[0-9]{11})|0(?P<adeli>[0-9]{9})|[1-79][!-~]{1,63}")
_FINESS = re.compile(r"[0-9AB]{9}")
_SIRET = re.compile(r"[0-9]{14}")
_PLACE = re.compile(r"[!-~]{1,64}")
_CODE_AND_OID = re.compile(r"([^\^\s]{1,64})(?:\^+(?:urn:oid:)?([0-9.]+))?(?:\^[^\^]*)?")
_PROFESSION_OIDS = frozenset({"1.2.250.1.213.1.1.5.5", "1.2.250.1.71.1.2.7"})
"""The value set that Pro Santé Connect names, and the code system TRE_G15 itself; other lists reuse the same numbers."""
_PROFESSION_CODE = re.compile(r"[0-9A-Z]{1,8}")
_IN_TRAINING = "E"
"""Professional category of students: no professional yet."""
_REGULATES = "VRAI"


class _Activity(NamedTuple):
    """Where an exercise is carried out."""

    site: frozenset[Identifier]
    legal_entity: frozenset[Identifier]
    name: str | None
    place: str


class _Exercise(NamedTuple):
    """A profession that is exercised: its code, and the roles that go with it."""

    profession: str
    roles: frozenset[Coding]


def choice_of(
    token: Principal, userinfo: Mapping[str, object], strength: Strength = STRONG
) -> Choice:
    """Give the principals that a token and its userinfo name.

    CallerError BAD_TOKEN where a member is not as it must be, or the person was identified too weakly (P0 `auth.weak`).
    """
    _require_strength(userinfo, strength)
    person = _person(token, userinfo)
    situations = _situations(userinfo) if _is_professional(userinfo) else {}
    situated = tuple(_in_situation(person, code, held) for code, held in situations.items())
    return Choice(person, situated, offered=True)


def _in_situation(
    person: Principal, code: str, held: list[tuple[_Exercise, _Activity]]
) -> Principal:
    """The person in one profession and place, however many exercises and activities say the same."""
    sites = frozenset[Identifier]().union(*(activity.site for _, activity in held))
    owners = frozenset[Identifier]().union(*(activity.legal_entity for _, activity in held))
    names = (activity.name for _, activity in held)
    return replace(
        person,
        kind=PrincipalKind.PRACTITIONER,
        roles=frozenset[Coding]().union(*(exercise.roles for exercise, _ in held)),
        organization=_first(held[0][1]),
        organization_name=next(filter(None, names), None),
        situation=Situation(code, sites, owners),
    )


# ---- the person ------------------------------------------------------------------------------------------------------


def _require_strength(userinfo: Mapping[str, object], strength: Strength) -> None:
    mode = _optional(userinfo, "authMode", _text)
    if mode not in strength.modes:
        raise CallerError(
            Refusal.BAD_TOKEN, "the person was identified by a means that is not strong enough"
        )
    level = _code(_optional(userinfo, "Palier_Authentification", _text) or "")
    if strength.levels and level not in strength.levels:
        raise CallerError(Refusal.BAD_TOKEN, "the level of identification is not high enough")


def _person(token: Principal, userinfo: Mapping[str, object]) -> Principal:
    """The person as such: no role and no organisation; a professional only in a situation of practice."""
    number = _required(userinfo, "SubjectNameID", _national_number)
    rpps = number.removeprefix("8") if number.startswith("8") else ""
    identifiers = {Identifier(NATIONAL_PERSON, number)}
    names = (_optional(userinfo, one, _text) for one in ("given_name", "family_name"))
    return replace(
        token,
        kind=PrincipalKind.UNKNOWN,
        name=" ".join(filter(None, names)) or None,
        identifiers=frozenset(identifiers | ({Identifier(RPPS, rpps)} if rpps else set())),
    )


def _is_professional(userinfo: Mapping[str, object]) -> bool:
    """Whether the number is one of a register of professionals; others name employees of an establishment."""
    return _required(userinfo, "SubjectNameID", _national_number).startswith(("8", "0"))


def _national_number(value: object) -> str:
    number = text_of(value)
    written = _PERSONS.fullmatch(number)
    if written is None or (written["rpps"] and not _passes_luhn(written["rpps"])):
        raise WrongError("must be a national number of a person")
    return number


def _passes_luhn(digits: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1)."""
    doubled = [int(one) * (1 + place % 2) for place, one in enumerate(reversed(digits))]
    return sum(sum(divmod(one, 10)) for one in doubled) % 10 == 0


# ---- situations of practice ------------------------------------------------------------------------------------------


def _situations(userinfo: Mapping[str, object]) -> dict[str, list[tuple[_Exercise, _Activity]]]:
    """The exercises and activities of each situation, by its code."""
    found: dict[str, list[tuple[_Exercise, _Activity]]] = {}
    for exercise, activity in _exercised(userinfo):
        found.setdefault(f"{activity.place}/{exercise.profession}", []).append((exercise, activity))
    return found


def _exercised(userinfo: Mapping[str, object]) -> Iterator[tuple[_Exercise, _Activity]]:
    """The professions that count, where they are exercised; every member is read, so that none escapes its type."""
    stated = _optional(userinfo, "SubjectRefPro", _object) or {}
    listed = {_profession(one) for one in _optional(userinfo, "SubjectRole", _texts) or ()}
    regulates = _optional(userinfo, "Acces_Regulation_Medicale", _text) == _REGULATES
    for written in _optional(stated, "exercices", _objects) or ():
        exercise = _exercise(written, regulates=regulates)
        activities = list(map(_activity, _optional(written, "activities", _objects) or ()))
        if exercise is not None and exercise.profession in listed:
            for activity in filter(None, activities):
                yield exercise, activity


def _exercise(written: Mapping[str, object], *, regulates: bool) -> _Exercise | None:
    """An exercise as roles; none for one without a profession. A student has the category alone."""
    profession = _optional(written, "codeProfession", _profession_code)
    category = _optional(written, "codeCategorieProfessionnelle", _text)
    know_how = _optional(written, "codeSavoirFaire", _text)
    if profession is None:
        return None
    roles = {Coding(CATEGORY, category)} if category else set()
    if category != _IN_TRAINING:
        roles |= {Coding(PROFESSION, profession)}
        roles |= {Coding(KNOW_HOW, know_how)} if know_how else set()
        roles |= {Coding(REGULATION, _REGULATES)} if regulates else set()
    return _Exercise(profession, frozenset(roles))


_Identified = tuple[re.Pattern[str], tuple[tuple[str, str], ...]]
_SITE: Mapping[str, _Identified] = MappingProxyType(
    {
        "numeroFinessSite": (_FINESS, ((FINESS, ""), (NATIONAL_STRUCTURE, "1"))),
        "numeroSiretSite": (_SIRET, ((SIREN_AND_SIRET, ""), (NATIONAL_STRUCTURE, "3"))),
        "identifiantTechniqueDeLaStructure": (_PLACE, ((DIRECTORY, ""),)),
    }
)
"""Member of an activity to its form, and the identifiers it makes: system, and what stands before the number there."""
_LEGAL_ENTITY: Mapping[str, _Identified] = MappingProxyType(
    {"numeroFinessetablissementJuridique": _SITE["numeroFinessSite"]}
)


def _activity(written: Mapping[str, object]) -> _Activity | None:
    """An activity as its place; none for one whose place cannot be told."""
    numbers = list(_numbers(written, _SITE))
    owner = [identifier for _, identifier in _numbers(written, _LEGAL_ENTITY)]
    name = _optional(written, "raisonSocialeSite", _text)
    if not numbers:
        return None
    return _Activity(
        frozenset(identifier for _, identifier in numbers), frozenset(owner), name, numbers[0][0]
    )


def _numbers(
    written: Mapping[str, object], members: Mapping[str, _Identified]
) -> Iterator[tuple[str, Identifier]]:
    for member, (form, spellings) in members.items():
        number = _optional(written, member, _text)
        if number is None:
            continue
        if form.fullmatch(number) is None:
            raise bad_claim((member,), "is no number of an establishment")
        for system, before in spellings:
            yield number, Identifier(system, before + number)


def _first(activity: _Activity) -> Identifier:
    """The identifier of the place that is recorded: the number it is chosen by."""
    return min(one for one in activity.site if one.value == activity.place)


# ---- readers ---------------------------------------------------------------------------------------------------------


def _optional(within: Mapping[str, object], name: str, reader: Callable[[object], T]) -> T | None:
    """Read a member; None where it is absent, null or empty."""
    if within.get(name) in (None, ""):
        return None
    return next(read(within, ClaimPath((name,)), reader), None)


def _required(within: Mapping[str, object], name: str, reader: Callable[[object], T]) -> T:
    found = _optional(within, name, reader)
    if found is None:
        raise bad_claim((name,), "is required")
    return found


def _text(value: object) -> str:
    return text_of(value).strip()


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(text_of, array_of(value)))


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise WrongError("must be an object")
    return value


def _objects(value: object) -> Sequence[Mapping[str, object]]:
    return tuple(map(_object, array_of(value)))


def _profession_code(value: object) -> str:
    if _PROFESSION_CODE.fullmatch(text_of(value)) is None:
        raise WrongError("must be a code of a profession")
    return text_of(value)


def _code(written: str) -> str:
    """The code of `code`, `code^OID`, `code^^^OID` or `code^OID^label`; empty for anything else."""
    found = _CODE_AND_OID.fullmatch(written.strip())
    return found[1] if found else ""


def _profession(written: str) -> str:
    """The code of a role that is a health profession; empty for any other role."""
    found = _CODE_AND_OID.fullmatch(written.strip())
    return found[1] if found and found[2] in {None, *_PROFESSION_OIDS} else ""
