"""FHIR Consent (R4, R4B, R5) read into one ConsentDirective (https://hl7.org/fhir/R4/consent.html, IHE PCF).

The border between FHIR versions: behind it nobody sees `provision.type`, `decision`, `patient` or `subject` again.
Laws: (1) total, any input gives a directive; (2) what is not understood whole is not computable and says so in
`problem`; (3) an element that is there and says nothing (`[]`, `null`, a coding without code) is not understood,
because a missing element would mean "no constraint". Base decision and restrictions: standards §6.2. Pure.
"""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Literal

import orjson

from proxy.facts.elements import (
    ELEMENT,
    Json,
    UnsupportedError,
    concept_of,
    object_of,
    objects_of,
    only,
    period_of,
    text_of,
)  # fmt: skip
from proxy.facts.model import ALWAYS, Actor, ConsentDirective, Period, Provision
from proxy.facts.provision import NEGATED, NODE, ProvisionReader, Shape, effect_of
from proxy.fhir.coding import ACT_CODE, CONSENT_SCOPE, Coding, Effect
from proxy.fhir.dates import interval_of

# Which base a policyRule means (v3-ActCode, _ActConsentDirective); other codes mean none.
_POLICY_RULES = {
    Coding(ACT_CODE, "OPTIN"): Effect.PERMIT,
    Coding(ACT_CODE, "OPTINR"): Effect.PERMIT,
    Coding(ACT_CODE, "OPTOUT"): Effect.DENY,
    Coding(ACT_CODE, "OPTOUTE"): Effect.DENY,
}

_CATEGORY = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
_LOINC = "http://loinc.org"
_ANY_PURPOSE: frozenset[str] = frozenset()
# What a scope (R4) or category (R5) limits a Consent to, as purposes; None = it is no privacy consent.
_ABOUT: dict[Coding, frozenset[str] | None] = {
    Coding(CONSENT_SCOPE, "patient-privacy"): _ANY_PURPOSE,
    Coding(CONSENT_SCOPE, "treatment"): frozenset({"TREAT"}),
    Coding(CONSENT_SCOPE, "research"): frozenset({"HRESCH"}),
    Coding(CONSENT_SCOPE, "adr"): None,
    **{Coding(_LOINC, code): _ANY_PURPOSE for code in ("59284-0", "57016-8", "57017-6", "64292-6")},
    **{Coding(ACT_CODE, code): _ANY_PURPOSE for code in ("INFA", "INFAO", "INFASO", "IDSCL", "RSDID", "RSREID")},
    **{Coding(_CATEGORY, code): _ANY_PURPOSE for code in ("npp", "emrgonly", "rsdid", "rsreid")},
    Coding(_CATEGORY, "research"): frozenset({"HRESCH"}),
    **{Coding(_CATEGORY, code): None for code in ("acd", "dnr", "hcd", "polst")},
}  # fmt: skip

_RESOURCE = ELEMENT | {
    "resourceType", "meta", "language", "text", "contained", "identifier", "status", "category", "sourceAttachment",
    "sourceReference", "verification", "provision",
}  # fmt: skip


_R4 = Shape(
    patient="patient",
    recorded="dateTime",
    about="scope",
    statuses=frozenset({"draft", "proposed", "rejected", "inactive", "entered-in-error"}),
    classes=("class",),
    resource=_RESOURCE
    | {"scope", "patient", "dateTime", "performer", "organization", "policy", "policyRule"},
    node=NODE | {"type", "class"},
    typed=True,
)
_R5 = Shape(
    patient="subject",
    recorded="date",
    about="category",
    statuses=frozenset({"draft", "inactive", "not-done", "entered-in-error"}),
    classes=("resourceType", "documentType"),
    resource=_RESOURCE
    | {
        "subject", "date", "period", "grantor", "grantee", "manager", "controller", "regulatoryBasis", "policyBasis",
        "policyText", "decision",
    },
    node=NODE | {"resourceType", "documentType"},
    typed=False,
)  # fmt: skip
_SHAPES = {"4.0": _R4, "4.1": _R4, "4.3": _R4, "5.0": _R5}


def directive_of(
    consent: bytes | Mapping[str, object],
    fhir_version: str,
    zone: tzinfo,
    bases: tuple[str, ...] = (),
) -> ConsentDirective:
    """Read a Consent of any quality; never raises. `bases` are the URLs under which references are our own.

    `problem` is set when it cannot be computed, `inert` when it does not act whatever it says. `patient` is empty
    when it cannot be told.
    """
    tree = _tree(consent)
    shape = _SHAPES.get(fhir_version[:3])
    if shape is None or tree.get("resourceType") != "Consent":
        return _uncomputable(tree, "", "not a Consent of a known FHIR version")
    reader = ProvisionReader(shape, zone, bases)
    patient = _patient(tree, reader)
    status = tree.get("status")
    if isinstance(status, str) and status in shape.statuses:
        return _uncomputable(tree, patient, None, f"status {status}")
    try:
        return _read(tree, reader, patient)
    except (UnsupportedError, RecursionError) as error:
        return _uncomputable(tree, patient, str(error) or "nested too deeply")


def status_of(
    directive: ConsentDirective, now: float
) -> Literal["ENFORCEABLE", "INACTIVE", "UNSUPPORTED", "LIMIT"]:
    """Say what becomes of a Consent, for lint; LIMIT: an actor nobody can identify, so its denies hit everyone."""
    if not directive.acts(now):
        return "INACTIVE"
    if directive.problem:
        return "UNSUPPORTED"
    unknown = any(unidentified(actor) for node in directive.root.nodes() for actor in node.actors)
    return "LIMIT" if unknown else "ENFORCEABLE"


def unidentified(actor: Actor) -> bool:
    """Whether nobody can tell whom it names: a dead reference, or a group whose members are unknown."""
    kind = (actor.reference or "").partition("/")[0]
    return actor.dead or (kind in ("Group", "CareTeam") and actor.members is None)


def _read(tree: Json, reader: ProvisionReader, patient: str) -> ConsentDirective:
    shape = reader.shape
    _refuse_modifiers(tree)
    only(tree, shape.resource, "Consent")
    if text_of(tree, "status") != "active":
        raise UnsupportedError("unknown status")
    if not patient:
        raise UnsupportedError("the patient cannot be told")
    acts_for = _acts_for(tree, shape)
    base, root, period = _r4_root(tree, reader) if shape is _R4 else _r5_root(tree, reader)
    recorded = tree.get(shape.recorded)
    when = interval_of(recorded, reader.zone) if isinstance(recorded, str) else None
    return ConsentDirective(
        reference=_reference(tree),
        patient=patient,
        status="active",
        base=base,
        root=root,
        period=period,
        acts_for=acts_for or _ANY_PURPOSE,
        recorded=when.start if when else None,
        inert="no privacy consent" if acts_for is None else None,
    )


def _r4_root(tree: Json, reader: ProvisionReader) -> tuple[Effect, Provision, Period]:
    """Read a root provision, which restricts the whole Consent (PCF); without type it may hold only exceptions (X-2)."""
    node = object_of(tree, "provision") if "provision" in tree else {}
    rule = _policy_rule(tree)
    typed = effect_of(node, "type", "the root provision") if "type" in node else None
    base = typed or rule
    if base is None or (typed and rule and typed is not rule):
        raise UnsupportedError("no base decision, or two that contradict each other")
    if typed is None and node.keys() - ELEMENT - {"period", "provision"}:
        raise UnsupportedError("a root provision without type that restricts something")
    root = reader.provision(node, "provision", base, {})
    return base, root, period_of(node, "period", reader.zone) or ALWAYS


def _r5_root(tree: Json, reader: ProvisionReader) -> tuple[Effect, Provision, Period]:
    """Read a decision, which stands for itself; every provision is an exception to it."""
    base = effect_of(tree, "decision", "the Consent")
    children = tuple(
        reader.provision(node, f"provision[{n}]", NEGATED[base], {})
        for n, node in enumerate(objects_of(tree, "provision"))
    )
    root = Provision("decision", base, provisions=children)
    return base, root, period_of(tree, "period", reader.zone) or ALWAYS


def _policy_rule(tree: Json) -> Effect | None:
    if "policyRule" not in tree:
        return None
    concept = object_of(tree, "policyRule")
    rules = {_POLICY_RULES.get(coding) for coding in concept_of(concept)} - {None}
    if len(rules) > 1:
        raise UnsupportedError("policyRule contradicts itself")
    return next(iter(rules), None)


def _acts_for(tree: Json, shape: Shape) -> frozenset[str] | None:
    """Give the purposes that scope (R4) or category (R5) limits to, empty = any; None = it is no privacy consent."""
    if shape is _R5 and shape.about not in tree:
        return _ANY_PURPOSE
    concepts = objects_of(tree, shape.about) if shape is _R5 else (object_of(tree, shape.about),)
    codings = [coding for concept in concepts for coding in concept_of(concept)]
    known = [_ABOUT[coding] for coding in codings if coding in _ABOUT]
    if not known:
        raise UnsupportedError(f"unknown {shape.about}")
    limits = [limit for limit in known if limit is not None]
    if not limits:
        return None
    narrow = [limit for limit in limits if limit]
    return frozenset().union(*narrow)


def _patient(tree: Json, reader: ProvisionReader) -> str:
    node = tree.get(reader.shape.patient)
    reference = reader.reference(node) if isinstance(node, dict) else None
    return reference if reference and reference.startswith("Patient/") else ""


def _refuse_modifiers(tree: Json) -> None:
    """Refuse what changes the meaning in a way nobody here knows (FHIR: must not be processed)."""
    if "implicitRules" in tree:
        raise UnsupportedError("implicitRules")
    stack: list[object] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if "modifierExtension" in node:
                raise UnsupportedError("modifierExtension")
            if str(node.get("url", "")).endswith("/consent-provision-limit"):
                raise UnsupportedError("extension consent-provision-limit")
            stack.extend(value for key, value in node.items() if key != "contained")
        elif isinstance(node, list):
            stack.extend(node)


def _uncomputable(
    tree: Json, patient: str, problem: str | None, inert: str | None = None
) -> ConsentDirective:
    status = tree.get("status")
    return ConsentDirective(
        reference=_reference(tree),
        patient=patient,
        status=status if isinstance(status, str) else "",
        base=Effect.DENY,
        root=Provision("provision", Effect.DENY),
        problem=problem,
        inert=inert,
    )


def _reference(tree: Json) -> str:
    """`Consent/x/_history/2`, or as much of it as is known."""
    meta = tree.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    name = tree.get("id")
    own = f"Consent/{name}" if isinstance(name, str) else "Consent"
    return (
        f"{own}/_history/{version}" if isinstance(version, str) and isinstance(name, str) else own
    )


def _tree(consent: bytes | Mapping[str, object]) -> Json:
    if isinstance(consent, Mapping):
        return dict(consent)
    try:
        tree = orjson.loads(consent)
    except orjson.JSONDecodeError:
        return {}
    return tree if isinstance(tree, dict) else {}
