"""IHE PCF `ihe_pcf` of a token, and the patient it was issued for, read into one Restriction (ITI-71 §3.71.4.2.2.1.4).

Laws: (1) total, any text gives a Restriction; (2) what is not understood whole, an unknown `type`, `meaning` or member, is
`problem`, and that forbids everything (standards PCF-33); (3) each claim that names a patient counts, however it is
written: relative, absolute, versioned, as a Reference (X-23), by identifier or CX (PCF-34); one who cannot be told is
nobody. An identifier is looked up: the one Patient upstream that bears it.
"""

from dataclasses import replace

import orjson

from proxy.facts.elements import (
    ELEMENT,
    Json,
    UnsupportedError,
    codings_of,
    identifier_of,
    objects_of,
    only,
    period_of,
    text_of,
)
from proxy.facts.lookup import Budget, token_of
from proxy.facts.model import ConsentDirective, Provision, ProvisionDatum, Restriction
from proxy.facts.provision import MEANINGS
from proxy.facts.relationship import Reading, identifiers_of
from proxy.facts.resolve import Resolved, named_by, resolved
from proxy.fhir.coding import Effect, Identifier
from proxy.identity.principal import Principal
from proxy.identity.values import cx_of

Patient = str | Identifier | None
"""`Patient/x`, a business identifier, or nobody who can be told."""

_EFFECTS = {"forbid": Effect.DENY, "permit": Effect.PERMIT}
_MEMBERS = ELEMENT | {"patient_id", "doc_id", "acp", "residual"}
_RULE = ELEMENT | {"type", "securityLabel", "dataPeriod", "data"}


async def restriction_of(
    principal: Principal, budget: Budget, reading: Reading, now: float
) -> Restriction | None:
    """Give what the token keeps its bearer to; `None` if it names neither rules nor a patient by identifier."""
    named: list[Patient] = []
    if principal.patient_identifier is not None:
        named.append(_identified(principal.patient_identifier, reading))
    read = Restriction(())
    if principal.pcf is not None:
        patient, read = pcf_of(principal.pcf, reading)
        named.append(patient)
    if not named:
        return None
    patients = tuple([await _found(one, budget) for one in named])
    return await _with_instances(replace(read, patients=patients), budget, reading, now)


def pcf_of(text: str, reading: Reading) -> tuple[Patient, Restriction]:
    """Read `ihe_pcf`: whom it is about, and its rules. Nothing is looked up, `patients` stays empty."""
    try:
        return _read(orjson.loads(text), reading)
    except orjson.JSONDecodeError:
        return None, Restriction((), problem="ihe_pcf is no JSON")
    except (UnsupportedError, RecursionError) as error:
        return None, Restriction((), problem=str(error) or "ihe_pcf is nested too deeply")


def _read(tree: object, reading: Reading) -> tuple[Patient, Restriction]:
    if not isinstance(tree, dict):
        raise UnsupportedError("ihe_pcf is no object")
    only(tree, _MEMBERS, "ihe_pcf")
    for key in ("doc_id", "acp"):
        _require_references(tree, key)
    listed = objects_of(tree, "residual") if tree.get("residual") != [] else ()
    rules = tuple(_rule(rule, number, reading) for number, rule in enumerate(listed))
    return _patient(tree.get("patient_id"), reading), Restriction((), rules)


def _rule(rule: Json, number: int, reading: Reading) -> Provision:
    """Read one rule: its elements AND, what stands inside one OR, as in a Consent's provision."""
    only(rule, _RULE, "a residual rule")
    effect = _EFFECTS.get(text_of(rule, "type"))
    if effect is None:
        raise UnsupportedError("a residual rule that neither forbids nor permits")
    return Provision(
        f"residual[{number}]",
        effect,
        data_period=period_of(rule, "dataPeriod", reading.zone),
        labels=codings_of(rule, "securityLabel"),
        data=tuple(_datum(one, reading) for one in objects_of(rule, "data")),
    )


def _datum(node: Json, reading: Reading) -> ProvisionDatum:
    only(node, ELEMENT | {"meaning", "reference"}, "data")
    meaning = text_of(node, "meaning")
    if meaning not in MEANINGS:
        raise UnsupportedError("unknown data.meaning")
    text = _reference_text(node.get("reference"), "data.reference")
    return ProvisionDatum(meaning, reading.reference({"reference": text}) or "")


def _reference_text(value: object, what: str) -> str:
    """Give a reference that is written as a string, or as a Reference (X-23)."""
    if not isinstance(value, str | dict):
        raise UnsupportedError(f"{what} is no reference")
    return text_of(value if isinstance(value, dict) else {"reference": value}, "reference")


def _require_references(tree: Json, key: str) -> None:
    """Refuse a member that is there and holds anything but references; one may stand alone."""
    value = tree.get(key, [])
    for one in value if isinstance(value, list) else [value]:
        _reference_text(one, key)


# ---- whom it was issued for ------------------------------------------------------------------------------------------


def _patient(value: object, reading: Reading) -> Patient:
    if isinstance(value, str):
        identifier = cx_of(value)
        return identifier or _identified(Identifier("", value), reading)
    if not isinstance(value, dict):
        raise UnsupportedError("patient_id is missing, or no reference")
    if "reference" in value:
        return _identified(Identifier("", text_of(value, "reference")), reading)
    return identifier_of(value)


def _identified(identifier: Identifier, reading: Reading) -> Patient:
    """Give an identifier as it is; one without system may be a reference, or else names nobody."""
    if identifier.system:
        return identifier
    reference = reading.reference({"reference": identifier.value})
    return reference if reference and reference.startswith("Patient/") else None


async def _found(patient: Patient, budget: Budget) -> str | None:
    """Look up the one Patient with an identifier; two of them are nobody in particular."""
    if not isinstance(patient, Identifier):
        return patient
    if not patient.system:
        return None
    answer = await budget.search("Patient", token_of(patient))
    found = {f"Patient/{one.get('id')}" for one in answer or () if patient in identifiers_of(one)}
    return found.pop() if len(found) == 1 else None


async def _with_instances(
    read: Restriction, budget: Budget, reading: Reading, now: float
) -> Restriction:
    """Add what the instances of `related` refer to; rules that cannot be completed are a problem."""
    root = Provision("residual", Effect.PERMIT, provisions=read.rules)
    rules = ConsentDirective("ihe_pcf", "", "active", Effect.PERMIT, root)
    asked = named_by([rules])
    answers = {kind: (ids, await budget.by_id(kind, ids)) for kind, ids in sorted(asked.items())}
    complete = resolved(rules, Resolved.of(answers, reading, now))
    if complete is None:
        return replace(read, problem="what a residual rule names could not be looked up")
    return replace(read, rules=complete.root.provisions)
