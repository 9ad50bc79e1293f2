import copy

import pytest
from fhir.resources.auditevent import AuditEvent

from proxy.audit.entry import Entry
from proxy.audit.event import events_of
from proxy.audit.event_r5 import r5_of
from tests.audit.cases import ALL, OBSERVER, READ


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL.keys())
def test_every_event_is_valid_r5(entry: Entry) -> None:
    found = events_of(entry, observer=OBSERVER, fhir_version="5.0.0")
    assert found
    for event in found:
        AuditEvent.model_validate(event)


def test_the_elements_are_those_of_r5() -> None:
    event = events_of(READ, observer=OBSERVER, fhir_version="5.0.0")[0]
    assert event["category"][0]["coding"][0]["code"] == "rest"
    assert event["code"]["coding"][0]["code"] == "read"
    assert event["outcome"]["code"]["code"] == "0"
    assert event["patient"] == {"reference": "Patient/p1"}
    client, server, user, _ = event["agent"]
    assert client["networkString"] == "192.0.2.7"
    assert server["networkUri"] == OBSERVER.public_url
    assert user["authorization"][0]["coding"][0]["code"] == "TREAT"
    assert [one["role"]["coding"][0]["code"] for one in event["entity"]] == ["4", "1", "XrequestId"]


def test_r4_profiles_are_not_claimed() -> None:
    assert all(
        "meta" not in event for event in events_of(READ, observer=OBSERVER, fhir_version="5.0.0")
    )


def test_the_r4_event_stays_as_it_was() -> None:
    event = events_of(READ, observer=OBSERVER)[0]
    before = copy.deepcopy(event)
    r5_of(event)
    assert event == before


def test_ids_are_those_of_r4() -> None:
    r4, r5 = (events_of(READ, observer=OBSERVER, fhir_version=v) for v in ("4.0.1", "5.0.0"))
    assert [event["id"] for event in r4] == [event["id"] for event in r5]
