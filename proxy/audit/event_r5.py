"""An R4 AuditEvent spelled as R5: category, code, outcome, agent, source and entity renamed (https://hl7.org/fhir/R5/auditevent.html).

BALP is R4: its profiles are not claimed in R5.
"""

from proxy.audit.balp import Json

_OUTCOME = "http://terminology.hl7.org/CodeSystem/audit-event-outcome"
_URI = "5"
_KEPT = ("resourceType", "id", "action", "recorded")
_ENTITY_KEPT = ("what", "query")
_AGENT_KEPT = ("extension", "type", "role", "who", "requestor", "policy")


def r5_of(event: Json) -> Json:
    """The R5 spelling of an event of `events_of`; the R4 value is not changed."""
    return {
        **{name: event[name] for name in _KEPT if name in event},
        "category": [_concept(event["type"])],
        "code": _concept(event.get("subtype", [event["type"]])[0]),
        "outcome": _outcome(event),
        **_renamed(event, "purposeOfEvent", "authorization"),
        **_patient(event),
        "agent": [_agent(agent) for agent in event["agent"]],
        "source": _source(event["source"]),
        **({"entity": [_entity(one) for one in event["entity"]]} if "entity" in event else {}),
    }


def _concept(coding: Json) -> Json:
    return {"coding": [coding]}


def _renamed(old: Json, before: str, after: str) -> Json:
    return {after: old[before]} if before in old else {}


def _outcome(event: Json) -> Json:
    outcome: Json = {"code": {"system": _OUTCOME, "code": event["outcome"]}}
    if "outcomeDesc" in event:
        outcome["detail"] = [{"text": event["outcomeDesc"]}]
    return outcome


def _patient(event: Json) -> Json:
    """R5 names the patient in an element of its own too."""
    named = [one["what"] for one in event.get("entity", ()) if one["type"]["code"] == "1"]
    return {"patient": named[0]} if named else {}


def _agent(agent: Json) -> Json:
    return {
        **{name: agent[name] for name in _AGENT_KEPT if name in agent},
        **_network(agent.get("network")),
        **_renamed(agent, "purposeOfUse", "authorization"),
    }


def _network(network: Json | None) -> Json:
    if network is None:
        return {}
    element = "networkUri" if network["type"] == _URI else "networkString"
    return {element: network["address"]}


def _source(source: Json) -> Json:
    return {
        "site": {"display": source["site"]},
        "observer": source["observer"],
        "type": [_concept(kind) for kind in source["type"]],
    }


def _entity(entity: Json) -> Json:
    """R5 has no `entity.type`: where no role tells what the entity is, the type does."""
    meaning: Json = entity["role"] if "role" in entity else entity["type"]
    kept: Json = {name: entity[name] for name in _ENTITY_KEPT if name in entity}
    if "detail" in entity:
        kept["detail"] = [{**one, "type": {"text": one["type"]}} for one in entity["detail"]]
    return kept | {"role": _concept(meaning)}
