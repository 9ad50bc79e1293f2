"""AuditEvent.agent: who took part, as BALP slices them (client, server, user, userorg, authorizer).

One event satisfies a REST profile and the OAUTH Minimal and Comprehensive patterns at once, by several codings
in `agent.type` (3:5.7.3 "can be combined").
"""

from dataclasses import dataclass
from urllib.parse import quote

from proxy.audit import balp
from proxy.audit.balp import Json, Shape, concept
from proxy.audit.entry import Actor
from proxy.fhir.coding import ACT_REASON, Coding

_NETWORK_IP, _NETWORK_URI = "2", "5"
# Every printable ASCII character but the space: a FHIR uri must hold no white space.
_URI_SAFE = "".join(map(chr, range(0x21, 0x7F)))
_OWN_DATA = frozenset({"patient", "related-person"})


@dataclass(frozen=True, slots=True)
class Observer:
    """The gateway as the audit names it: its public base URL and its name."""

    public_url: str
    name: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked, from where; `named` says whether a patient's own name may stand beside the reference."""

    actor: Actor
    peer: str
    named: bool = True

    @property
    def is_user(self) -> bool:
        """Whether the token names a person, or who acts for one; a backend client of its own is no user."""
        actor = self.actor
        return bool(actor.subject) and (actor.kind != "system" or actor.on_behalf_of is not None)

    @property
    def delegator(self) -> "Caller | None":
        """The one on whose behalf the caller acted."""
        other = self.actor.on_behalf_of
        return None if other is None else Caller(other, "", self.named)

    @property
    def has_organization(self) -> bool:
        """Whether the token names the person's organisation."""
        return bool(self.actor.organization[1] or self.actor.organization_name)


def observer_reference(observer: Observer) -> Json:
    """The gateway as a Reference; equal wherever it stands (invariant val-audit-source)."""
    identifier = {"system": "urn:ietf:rfc:3986", "value": observer.public_url}
    return {"identifier": identifier, "display": observer.name}


def rest_agents(caller: Caller, shape: Shape, observer: Observer) -> list[Json]:
    """Client, server, and where known user, whom the user acts for, and organisation, of a RESTful event."""
    return [
        _client(caller, shape.client),
        _server(shape, observer),
        *_persons(caller, shape.user),
    ]


def authorization_agents(caller: Caller, observer: Observer) -> list[Json]:
    """Client, user, whom the user acts for, organisation (where known) and authorizer of an authorization decision (3:5.7.6)."""
    authorizer = {
        "type": concept(balp.AUTHORIZER),
        "who": observer_reference(observer),
        "requestor": False,
    }
    return [
        _client(caller, balp.APPLICATION),
        *_persons(caller, balp.RECIPIENT),
        authorizer,
    ]


def _persons(caller: Caller, kind: Coding) -> list[Json]:
    """The user, on whose behalf the user acts, and the organisation; each where it is known (SEED-36: two persons, two agents)."""
    agents = [_user(caller, kind)] if caller.is_user else []
    if caller.delegator is not None:
        agents.append(_delegator(caller.delegator))
    if caller.has_organization:
        agents.append(_organization(caller.actor))
    return agents


def token_profiles(caller: Caller) -> list[str]:
    """The OAUTH patterns that the agents of `rest_agents` satisfy."""
    actor, profiles = caller.actor, []
    if caller.is_user and actor.token_id:
        profiles.append(balp.OAUTH_MINIMAL)
    if actor.client_id and (actor.token_id or not caller.is_user):
        profiles.append(balp.OAUTH_COMPREHENSIVE)
    return profiles


def token_uri(actor: Actor) -> str:
    """The token's id as `agent.policy` has it, or empty; never the token."""
    return balp.JTI_PREFIX + uri(actor.token_id) if actor.token_id else ""


def purposes_of(actor: Actor) -> Json:
    """The purposes of use as codes of v3-ActReason, under `purposeOfUse`; empty if none."""
    codes = [concept(Coding(ACT_REASON, code)) for code in actor.purposes]
    return {"purposeOfUse": codes} if codes else {}


def plain(text: str) -> str:
    """A FHIR string: control characters, which its JSON may not hold, become U+FFFD."""
    if text.isprintable():
        return text.strip()
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text).strip()


def uri(text: str) -> str:
    """A FHIR uri: white space and control characters percent-encoded."""
    return quote(text, safe=_URI_SAFE)


def _client(caller: Caller, kind: Coding) -> Json:
    actor = caller.actor
    kinds = dict.fromkeys([kind, balp.APPLICATION] if actor.client_id else [kind])
    agent: Json = {"type": concept(*kinds), "who": _client_reference(caller), "requestor": False}
    if not caller.is_user and actor.token_id:
        agent["policy"] = [token_uri(actor)]
    if caller.peer:
        agent["network"] = {"address": plain(caller.peer), "type": _NETWORK_IP}
    return agent


def _client_reference(caller: Caller) -> Json:
    if caller.actor.client_id:
        return {"identifier": {"value": plain(caller.actor.client_id)}}
    return {"display": plain(caller.peer) or "unidentified client"}


def _server(shape: Shape, observer: Observer) -> Json:
    return {
        "type": concept(shape.server),
        "who": observer_reference(observer),
        "requestor": False,
        "network": {"address": observer.public_url, "type": _NETWORK_URI},
    }


def _user(caller: Caller, kind: Coding) -> Json:
    actor = caller.actor
    kinds = [kind, balp.OAUTH_AGENT] if actor.token_id else [kind]
    agent: Json = {"type": concept(*kinds), "who": _user_reference(caller), "requestor": True}
    agent |= _named(caller) | _in_roles(actor)
    if caller.delegator is not None:
        other = _user_reference(caller.delegator)
        agent["extension"] = [{"url": balp.ON_BEHALF_OF, "valueReference": other}]
    if actor.token_id:
        agent["policy"] = [token_uri(actor)]
    return agent | purposes_of(actor)


def _delegator(caller: Caller) -> Json:
    agent: Json = {
        "type": concept(balp.DELEGATOR),
        "who": _user_reference(caller),
        "requestor": False,
    }
    return agent | _named(caller) | _in_roles(caller.actor)


def _named(caller: Caller) -> Json:
    name = _name(caller)
    return {"name": name} if name else {}


def _in_roles(actor: Actor) -> Json:
    roles = [concept(Coding(uri(system), code)) for system, code in actor.roles]
    return {"role": roles} if roles else {}


def _user_reference(caller: Caller) -> Json:
    actor = caller.actor
    identifier = {"system": uri(actor.issuer)} if actor.issuer else {}
    reference: Json = {"identifier": identifier | {"value": plain(actor.subject)}}
    if actor.fhir_user:
        reference["reference"] = actor.fhir_user
    if name := _name(caller):
        reference["display"] = name
    return reference


def _name(caller: Caller) -> str:
    if caller.actor.kind in _OWN_DATA and not caller.named:
        return ""
    return plain(caller.actor.name)


def _organization(actor: Actor) -> Json:
    system, value = actor.organization
    who: Json = {}
    if value:
        who["identifier"] = ({"system": uri(system)} if system else {}) | {"value": plain(value)}
    if actor.organization_name:
        who["display"] = plain(actor.organization_name)
    return {"type": concept(balp.PROVIDER), "who": who, "requestor": False}
