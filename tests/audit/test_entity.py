from base64 import b64decode

from proxy.audit.entity import query_entity, request_entities, token_entities
from proxy.audit.entry import Actor, Entry
from tests.audit.cases import OBSERVER, POST_SEARCH, READ, SEARCH, changed


def raw(entry: Entry) -> str:
    return b64decode(query_entity(entry, OBSERVER)["query"]).decode()


def test_a_query_keeps_the_raw_request() -> None:
    assert raw(SEARCH) == (
        "GET https://gateway.example.org/fhir/Observation?code=1234-5&_count=10\n"
        "Accept: application/fhir+json\nX-Request-Id: req-1"
    )


def test_a_query_by_post_keeps_request_line_headers_and_form() -> None:
    assert raw(POST_SEARCH) == (
        "POST /fhir/Observation/_search HTTP/1.1\nHost: gateway.example.org\n"
        "Content-Type: application/x-www-form-urlencoded\n"
        "Accept: application/fhir+json\nX-Request-Id: req-1\n\ncode=1234-5&_count=10"
    )


def test_malformed_content_is_kept() -> None:
    assert "/fhir/%zz?<script>=%00 " in raw(changed(SEARCH, target="/fhir/%zz?<script>=%00 "))


def test_the_body_of_a_write_is_no_part_of_a_query() -> None:
    write = changed(SEARCH, method="POST", target="/fhir/Patient?_search", form='{"name":"Paula"}')
    assert "Paula" not in raw(write)


def test_a_query_names_nothing_but_itself() -> None:
    assert query_entity(SEARCH, OBSERVER).keys() == {"type", "role", "query"}


def test_the_request_id_is_an_entity_where_there_is_one() -> None:
    (entity,) = request_entities(READ)
    assert entity["what"] == {"identifier": {"value": "req-1"}}
    assert request_entities(changed(READ, request_id=" ")) == []


def test_the_token_is_an_entity_where_it_has_an_id() -> None:
    (entity,) = token_entities(Actor(token_id="j"))
    assert entity["what"] == {"identifier": {"value": "urn:ietf:params:oauth:jti:j"}}
    assert token_entities(Actor()) == []
