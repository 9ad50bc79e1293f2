import json

import pytest

from proxy.sandbox.interactions import Interactions
from proxy.sandbox.model import FhirError, Version
from proxy.sandbox.paging import MAX_SNAPSHOTS, Pages, Snapshot
from tests.sandbox import made


def snapshot(versions: tuple[Version, ...], count: int) -> Snapshot:
    def entries(_base: str, page: tuple[Version, ...]) -> list[bytes]:
        return [b'{"resource":%b}' % (version.body or b"{}") for version in page]

    return Snapshot("searchset", versions, entries, count, len(versions))


def versions(number: int) -> tuple[Version, ...]:
    store = made.store()
    return tuple(made.put(store, "Patient", f"p{i}") for i in range(number))


def links(page: bytes) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in json.loads(page)["link"]}


def follow(pages: Pages, url: str) -> bytes:
    return pages.page(made.ask("GET", url.removeprefix("http://here/fhir")))


@pytest.mark.parametrize(("number", "count"), [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2), (5, 1)])
def test_following_next_shows_everything_once(number: int, count: int) -> None:
    pages, seen = Pages(), []
    page = pages.first(snapshot(versions(number), count), "http://here/fhir", "self")
    seen += made.ids(json.loads(page))
    while "next" in links(page):
        page = follow(pages, links(page)["next"])
        seen += made.ids(json.loads(page))

    assert seen == [f"p{i}" for i in range(number)]


def test_previous_leads_back() -> None:
    pages = Pages()
    first = pages.first(snapshot(versions(5), 2), "http://here/fhir", "self")
    second = follow(pages, links(first)["next"])

    assert made.ids(json.loads(follow(pages, links(second)["previous"]))) == ["p0", "p1"]
    assert "previous" not in links(first)


def test_only_the_latest_snapshots_are_kept() -> None:
    pages, found = Pages(), versions(2)
    firsts = [
        pages.first(snapshot(found, 1), "http://here/fhir", "s") for _ in range(MAX_SNAPSHOTS + 1)
    ]

    assert made.ids(json.loads(follow(pages, links(firsts[1])["next"]))) == ["p1"]
    with pytest.raises(FhirError) as gone:
        follow(pages, links(firsts[0])["next"])
    assert gone.value.status == 410


def test_a_link_made_up_is_refused() -> None:
    pages = Pages()
    url = links(pages.first(snapshot(versions(2), 1), "http://here/fhir", "s"))["next"]

    for wrong in (url.replace("_count=1", "_count=0"), url.replace("offset=1", "offset=x")):
        with pytest.raises(FhirError):
            follow(pages, wrong)


def test_what_was_deleted_since_is_not_on_the_next_page() -> None:
    store = made.store()
    for i in range(3):
        made.put(store, "Patient", f"p{i}")
    server = Interactions(store)
    first = made.read(server.answer(made.ask("GET", "Patient?_count=1")))
    store.delete("Patient", "p1")

    url = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = made.read(server.answer(made.ask("GET", url.removeprefix("http://here/fhir"))))

    assert made.ids(second) == []
    assert any(link["relation"] == "next" for link in second["link"])
