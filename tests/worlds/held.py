"""Lists, groups and other holders whose members some may not see; what they refer to; and the same as nobody would have hidden anything.

`held` is what the server has. With `hidden=False` every holder is as it would have been written without what the care team's
physician may not see: no entry, no number, no section that was there for it.
"""

from typing import Any

from tests.stage import CANARY, Json
from tests.worlds.twins import Shape, Thing, labelled, observation, thing

CAMILLE = {"reference": "Patient/camille"}
V = labelled("V")
DOCTOR = "Practitioner/dr-vernay"


def _made(rtype: str, rid: str, **more: Any) -> Json:
    return {"resourceType": rtype, "id": rid, **more}


def _of_camille(rtype: str, rid: str, **more: Any) -> Json:
    return _made(rtype, rid, status="active", subject=CAMILLE, **more)


Row = tuple[bool, Json]


def _rows(rows: list[Row], hidden: bool) -> list[Json]:
    """The rows that stand there: `True` marks those that name what is hidden."""
    return [row for is_hidden, row in rows if hidden or not is_hidden]


def _named(rtype: str, name: str) -> Json:
    return {"reference": f"{rtype}/{name}", "display": f"{CANARY}{name}"}


def members() -> list[Json]:
    """What holders hold: each once seen and once very restricted."""
    visit = {"class": {"code": "AMB"}, "status": "finished"}
    return [
        _made("Encounter", "h-visit", subject=CAMILLE, **visit),
        _made("Encounter", "h-hidden-visit", subject=CAMILLE, meta=V, language=f"x-{CANARY}h-hidden-visit", **visit),
        observation("h-in-visit", "camille", 1, encounter={"reference": "Encounter/h-visit"}),
        observation("h-in-hidden", "camille", 2, encounter={"reference": "Encounter/h-hidden-visit"}),
        observation("h-in-none", "camille", 3, encounter={"reference": "Encounter/h-no-such"}),
        observation("h-secret", "camille", 4, meta=V, encounter={"reference": "Encounter/h-visit"}, performer=[{"reference": DOCTOR}], code={"text": f"{CANARY}h-secret"}),
        observation("h-of-noe", "noe", 5, performer=[{"reference": DOCTOR}], code={"text": f"{CANARY}h-of-noe"}),
        observation("h-open", "camille", 6, performer=[{"reference": DOCTOR}]),
        _of_camille("Condition", "h-plain", code={"text": "plain"}, encounter={"reference": "Encounter/h-visit"}),
        _of_camille("Condition", "h-secret", meta=V, code={"text": f"{CANARY}h-secret"}, encounter={"reference": "Encounter/h-visit"}),
        _made("Coverage", "h-plain", status="active", beneficiary=CAMILLE, payor=[CAMILLE]),
        _made("Coverage", "h-secret", status="active", meta=V, beneficiary=CAMILLE, payor=[CAMILLE], subscriberId=f"{CANARY}h-secret"),
        _made("Device", "h-secret", meta=V, status="active", patient=CAMILLE, lotNumber=f"{CANARY}h-secret"),
        _made("RelatedPerson", "h-secret", meta=V, active=True, patient=CAMILLE, name=[{"text": f"{CANARY}h-secret"}]),
        _made("DocumentReference", "h-both", status="current", subject=CAMILLE, content=[{"attachment": {"title": "t"}}], author=[{"reference": DOCTOR}],
              context={"encounter": [{"reference": "Encounter/h-hidden-visit"}, {"reference": "Encounter/h-visit"}]}),
    ]  # fmt: skip


def holders(*, hidden: bool) -> list[Json]:
    """Lists, groups, teams, accounts and documents; `hidden`: with what the physician may not see."""
    secret = (True, {"item": _named("Observation", "h-secret"), "flag": {"text": f"{CANARY}h-secret"}, "deleted": True, "date": "2026-01-02"})  # fmt: skip
    of_noe = (True, {"item": _named("Observation", "h-of-noe"), "date": "2026-01-03"})
    gone = (True, {"item": {"reference": "Observation/h-no-such"}})
    plain = (False, {"item": {"reference": "Observation/h-open"}, "date": "2026-01-01"})
    visit = (False, {"item": {"reference": "Encounter/h-visit"}})
    lists: dict[str, list[Row]] = {
        "h-some": [secret, plain, of_noe, visit, gone],
        "h-only-hidden": [secret, of_noe],
        "h-plain": [plain],
        "h-dangling": [gone, plain],
    }
    found = [_list(name, _rows(rows, hidden)) for name, rows in lists.items()]
    group: list[Row] = [
        (False, {"entity": CAMILLE}),
        (True, {"entity": _named("Device", "h-secret"), "period": {"start": "2026"}}),
    ]
    team: list[Row] = [
        (False, {"member": {"reference": "Practitioner/dr-martin"}}),
        (True, {"member": _named("RelatedPerson", "h-secret"), "role": [{"text": "kin"}]}),
    ]
    covered: list[Row] = [
        (False, {"coverage": {"reference": "Coverage/h-plain"}, "priority": 2}),
        (True, {"coverage": _named("Coverage", "h-secret"), "priority": 1}),
    ]
    diagnosed: list[Row] = [
        (True, {"condition": _named("Condition", "h-secret"), "rank": 1}),
        (False, {"condition": {"reference": "Condition/h-plain"}, "rank": 2}),
    ]
    sections: list[Row] = [
        (False, {"title": "open", "code": {"coding": [{"code": "h-shown"}]}, "entry": _rows([(False, {"reference": "Observation/h-open"}), (True, {"reference": "Observation/h-secret"})], hidden)}),
        (True, {"title": f"{CANARY}h-secret", "code": {"coding": [{"code": "h-gone"}]}, "entry": [{"reference": "Observation/h-secret"}]}),
    ]  # fmt: skip
    attended: list[Row] = [
        (True, {"individual": _named("RelatedPerson", "h-secret"), "type": [{"coding": [{"code": "PART"}]}]}),
        (False, {"individual": {"reference": "Practitioner/dr-martin"}, "type": [{"coding": [{"code": "ADM"}]}]}),
    ]  # fmt: skip
    followed: list[Row] = [(True, {"code": "replaces", "target": _named("DocumentReference", "h-secret")}), (False, {"code": "appends", "target": {"reference": "DocumentReference/h-both"}})]  # fmt: skip
    reacted = _rows([(True, {"date": "2026-01-05", "detail": _named("Observation", "h-secret")})], hidden)  # fmt: skip
    counted = _numbers(hidden)
    return [
        *found,
        _made("List", "h-empty", status="current", mode="working", subject=CAMILLE, emptyReason={"text": "none"}),
        _made("Group", "h-group", type="person", actual=True, **counted("quantity", 2), member=_rows(group, hidden)),
        _made("CareTeam", "h-team", status="active", subject=CAMILLE, participant=_rows(team, hidden)),
        _made("Account", "h-account", status="active", subject=[CAMILLE], coverage=_ranked(_rows(covered, hidden), "priority", hidden)),
        _made("Encounter", "h-diagnosed", status="finished", subject=CAMILLE, **{"class": {"code": "AMB"}}, diagnosis=_ranked(_rows(diagnosed, hidden), "rank", hidden)),
        _made("Encounter", "h-attended", status="finished", subject=CAMILLE, **{"class": {"code": "AMB"}}, participant=_rows(attended, hidden)),
        _made("DocumentReference", "h-following", status="current", subject=CAMILLE, content=[{"attachment": {"title": "t"}}], relatesTo=_rows(followed, hidden)),
        _made("Immunization", "h-shot", status="completed", patient=CAMILLE, vaccineCode={"text": "v"}, occurrenceDateTime="2026-01-01", **({"reaction": reacted} if reacted else {})),
        _made("Composition", "h-document", status="final", type={"text": "t"}, date="2026", author=[{"reference": "Practitioner/dr-martin"}], title="t",
              subject=CAMILLE, section=_rows(sections, hidden)),
    ]  # fmt: skip


def _list(name: str, entries: list[Json]) -> Json:
    rest = {"entry": entries} if entries else {}
    return _made(
        "List",
        name,
        status="current",
        mode="working",
        title="a list",
        code={"coding": [{"code": "problems"}]},
        subject=CAMILLE,
        **rest,
    )


def _numbers(hidden: bool) -> Any:
    return lambda name, value: {name: value} if hidden else {}


def _ranked(rows: list[Json], name: str, hidden: bool) -> list[Json]:
    return rows if hidden else [{k: v for k, v in row.items() if k != name} for row in rows]


def held(*, hidden: bool = True) -> list[Thing]:
    """All of it."""
    return [thing(one) for one in (*members(), *holders(hidden=hidden))]


HOLDERS = [
    "List/h-some", "List/h-only-hidden", "List/h-plain", "List/h-dangling", "List/h-empty", "Group/h-group", "CareTeam/h-team", "Account/h-account",
    "Encounter/h-diagnosed", "Composition/h-document", "Encounter/h-attended", "DocumentReference/h-following", "Immunization/h-shot",
]  # fmt: skip
_READS = [*HOLDERS, *(f"{one}/_history" for one in HOLDERS[:2]), "List/h-some?_elements=entry", "List/h-some?_summary=true", "Group/h-group?_summary=data"]  # fmt: skip
SEARCHES = [
    *(f"List?item=Observation/{one}" for one in ("h-secret", "h-open", "h-of-noe", "h-no-such", "h-no-other", "h-secret,Observation/h-open")),
    "List?item=Encounter/h-visit", "List?item=Observation/h-open&item=Observation/h-secret", "List?item=Observation/h-open&item=Encounter/h-visit",
    "List?item=Observation/h-secret&_summary=count", "List?item=Observation/h-open&_total=accurate&_count=1", "List?item=Observation/h-open&_count=1",
    "List?subject=Patient/camille&item=Observation/h-of-noe", "List?code=problems&_include=List:item", "List?_id=h-some&_include=List:item:Observation",
    "Observation?_id=h-open&_revinclude=List:item", "Observation?_id=h-open,h-secret&_revinclude=List:item", "List?item:Observation.code=1006-0",
    "List?item:Observation._id=h-secret", "List?item:Observation._id=h-secret,h-open", "List?item:Observation.patient=camille",
    "Observation?_has:List:item:_id=h-some", "Observation?_has:List:item:status=current", "Observation?_has:List:item:_id=h-only-hidden", "Encounter?_has:List:item:code=problems",
    "Observation?_has:List:item:_id=h-some&_summary=count", "Patient?_has:List:subject:item=Observation/h-secret", "Patient?_has:List:subject:item=Observation/h-open",
    "Group?member=Device/h-secret", "Group?member=Device/h-no-such", "Group?member=Patient/camille", "Group?member=Patient/noe", "Patient?_has:Group:member:_id=h-group",
    "Patient?_has:Group:member:member=Device/h-secret", "Device?_has:Group:member:_id=h-group", "Group?_id=h-group&_include=Group:member", "Group?member=Patient/camille&_elements=quantity",
    "CareTeam?participant=RelatedPerson/h-secret", "CareTeam?participant=Practitioner/dr-martin", "CareTeam?participant:RelatedPerson._id=h-secret",
    "Encounter?diagnosis=Condition/h-secret", "Encounter?diagnosis=Condition/h-plain", "Condition?_has:Encounter:diagnosis:_id=h-diagnosed",
    "Composition?entry=Observation/h-secret", "Composition?entry=Observation/h-open", "Composition?entry:Observation.code=1004-0",
    "DocumentReference?encounter=Encounter/h-hidden-visit", "DocumentReference?encounter=Encounter/h-visit", "DocumentReference?encounter.status=finished",
    "Encounter?participant-type=PART", "Encounter?participant-type=ADM", "Encounter?participant-type=PART,ADM", "Encounter?participant-type=PART&_summary=count", "Encounter?participant-type=ADM&participant-type=PART",
    "Composition?section=h-gone", "Composition?section=h-shown", "DocumentReference?relation=replaces", "DocumentReference?relation=appends", "Immunization?reaction-date=2026-01-05",
    "Immunization?reaction-date=ge2020", "Patient?_has:Encounter:patient:participant-type=PART", "Observation?encounter.participant-type=PART",
]  # fmt: skip
"""Searches by members, answered on the visible view: the same as where nothing hidden had ever been written."""
_SHUT = [
    "Encounter?participant-type:not=PART", "Encounter?participant-type:missing=false", "Encounter?_sort=participant-type,_id", "DocumentReference?relation:not=replaces", "Immunization?_sort=reaction-date,_id",
    "List?item.status=final",
    "List?item:missing=false", "List?item:missing=true", "List?_sort=item,_id", "List?item:identifier=x", "Group?member:missing=false", "Group?_sort=member",
    "List?empty-reason:missing=true", "List?empty-reason=x", "Group?characteristic=x", "Observation?_list=h-some", "Patient?_list=h-some", "Patient?_in=Group/h-group",
    "Patient?_list=$current-problems", "Observation?_list=no-such", "List/h-some/$find", "List/$find?patient=camille&name=problems", "List/$find?patient=noe&name=problems",
    "Group/h-group/$everything", "Group/no-such/$everything", "Group/h-group/$members", "Group/h-group/Patient", "List/h-some/Observation", "List/h-some/*",
]  # fmt: skip
HELD_SHAPES = [*map(Shape, (*_READS, *SEARCHES, *_SHUT))]
