import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import OwnError
from proxy.fhir.links import gateway_url, page_of, reference_of, widened

BASES = ("https://gateway.example/fhir", "http://up.internal:8090/fhir/")

OURS = [
    "Patient/P1", "Patient/P1/_history/2", "https://gateway.example/fhir/Patient/P1",
    "https://gateway.example/fhir/Patient/P1/_history/2", "HTTPS://GATEWAY.example:443/fhir/Patient/P1",
    "http://up.internal:8090/fhir/Patient/P1", "http://UP.internal:8090/fhir/Patient/P1/_history/abc",
]  # fmt: skip

NOT_OURS = [
    "", "#p1", "urn:uuid:5b1b1b2e-0000-4000-8000-000000000000", "urn:oid:1.2", "Patient", "P1", "Patient/", "/Patient/P1",
    "patient/P1", "Patient/P1/", "Patient/P1/_history", "Patient/P1/_history/", "Patient/P1/_history/..", "Patient/..",
    "Patient/.", "Patient/P 1", "Patient/P1?x=y", "Patient/P1#x", "Patient/%50", "Patient/P1\n", "Patient\\P1",
    "Patient/" + "a" * 65, "Patient/é", "//gateway.example/fhir/Patient/P1", "https://evil.example/fhir/Patient/P1",
    "https://gateway.example.evil/fhir/Patient/P1", "https://gateway.example@evil.example/fhir/Patient/P1",
    "https://user@gateway.example/fhir/Patient/P1", "http://gateway.example/fhir/Patient/P1",
    "https://gateway.example:8443/fhir/Patient/P1", "https://gateway.example:/fhir/Patient/P1",
    "https://gateway.example/fhir2/Patient/P1", "https://gateway.example/Patient/P1", "https://gateway.example/fhir//Patient/P1",
    "https://gateway.example/fhir/../evil/Patient/P1", "https://gateway.example/fhir/%2e%2e/Patient/P1",
    "https://gateway.example/FHIR/Patient/P1", "https:\\\\gateway.example\\fhir\\Patient\\P1",
    "https://gateway.example\\.evil/fhir/Patient/P1", "http://up.internal/fhir/Patient/P1", "Patient?identifier=1",
]  # fmt: skip


@pytest.mark.parametrize("text", OURS)
def test_a_reference_to_this_server_is_its_type_and_id(text: str) -> None:
    assert reference_of(text, BASES) == "Patient/P1"


@pytest.mark.parametrize("text", NOT_OURS)
def test_any_other_reference_is_nobody_s(text: str) -> None:
    assert reference_of(text, BASES) is None


def test_a_base_that_is_no_url_has_no_references() -> None:
    assert reference_of("https://gateway.example/fhir/Patient/P1", ("ftp://x",)) is None


UP = "http://up.internal:80/fhir"

PAGES = [
    ("http://up.internal/fhir?_getpages=1&_getpagesoffset=20", "?_getpages=1&_getpagesoffset=20"),
    ("http://UP.internal:80/fhir/Observation?page=2", "/Observation?page=2"),
    ("http://up.internal/fhir/Observation/?_page_token=a%3D%7Cb", "/Observation/?_page_token=a%3D%7Cb"),
    ("?page=2", "?page=2"),
    ("Observation?page=2", "/Observation?page=2"),
    ("Observation?self=http://up.internal/x", "/Observation?self=http://up.internal/x"),
    ("/fhir/Observation?page=2", "/Observation?page=2"),
    ("/fhir?page=2", "?page=2"),
    ("http://up.internal/fhir", ""),
]  # fmt: skip


@pytest.mark.parametrize(("url", "page"), PAGES)
def test_a_page_link_inside_the_base_is_taken_relative_to_it(url: str, page: str) -> None:
    assert page_of(url, UP) == page


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/x", "//evil/x", "//up.internal/fhir?x=1", "/\\evil/x", "\\\\evil\\x", "/admin", "/fhir2?x=1",
        "/fhir/../admin", "/fhir/%2e%2e/admin", "../admin", "Observation/../../admin", "http://up.internal:81/fhir?x=1",
        "https://up.internal/fhir?x=1", "http://up.internal@evil/fhir?x=1", "http://a:b@up.internal/fhir?x=1",
        "http://up.internal/fhir#x", "http://up.internal/fhir?x=1#y", "http://up.internal/fhir?x=\\", "http://up.internal",
        "http://up.internal/fhir//evil", "javascript:alert(1)", "file:///etc/passwd", "http:/evil/x", "http:evil",
        "http://up.internal/fhir?x=\u00e9", "http://up.internal/fhir?x= y", "http://up.internal/fhir?x=1\nHost: evil",
        "http://up.internal\\@evil/fhir?x=1", "http://up.internal/fhir;x/Observation", "http://up.internal:/fhir?x=1",
    ],
)  # fmt: skip
def test_a_page_link_that_leads_elsewhere_is_dropped(url: str) -> None:
    assert page_of(url, UP) is None


def test_a_base_at_the_root_of_its_host_has_pages_too() -> None:
    assert page_of("/Observation?p=2", "http://up.internal/") == "/Observation?p=2"
    assert page_of("//evil/x", "http://up.internal/") is None
    assert page_of("", "http://up.internal/") == ""
    assert page_of("?p=2", "no base") is None


def test_a_public_url_is_the_base_and_a_reference() -> None:
    assert (
        gateway_url("https://g.example/fhir/", "Patient/P1") == "https://g.example/fhir/Patient/P1"
    )
    with pytest.raises(OwnError):
        gateway_url("https://g.example/fhir", "../P1")


@given(st.text())
def test_any_text_is_a_reference_and_a_page_or_neither(text: str) -> None:
    reference = reference_of(text, BASES)
    page = page_of(text, UP)

    assert reference is None or gateway_url(BASES[0], reference).startswith(f"{BASES[0]}/")
    assert page is None or page[:1] in ("", "/", "?")


@given(st.from_regex(r"[A-Z][A-Za-z]{2,20}/[A-Za-z0-9-]{1,20}", fullmatch=True))
def test_a_public_url_reads_back_as_its_reference(reference: str) -> None:
    assert reference_of(gateway_url(BASES[0], reference), BASES) == reference


@pytest.mark.parametrize(
    ("link", "wider"),
    [
        ("?_getpages=u&_getpagesoffset=100&_count=100", "?_getpages=u&_getpagesoffset=100&_count=200"),
        ("?_getpages=u&_getpagesoffset=9&_count=700&_bundletype=searchset", "?_getpages=u&_getpagesoffset=9&_count=1000&_bundletype=searchset"),
        ("?_getpages=u&_getpagesoffset=9&_count=1000", "?_getpages=u&_getpagesoffset=9&_count=1000"),
        ("?_getpages=u&_getpagesoffset=9&_count=2000", "?_getpages=u&_getpagesoffset=9&_count=2000"),
        ("?_getpages=u&_count=50&_getpagesoffset=9&_leg=x", "?_getpages=u&_count=100&_getpagesoffset=9&_leg=x"),
    ],
)  # fmt: skip
def test_a_link_that_counts_rows_may_ask_for_more_of_them(link: str, wider: str) -> None:
    assert widened(link, 1000) == wider


@pytest.mark.parametrize(
    "link",
    ["/Observation?page=2&_count=100", "/Observation?ct=abc&_count=100", "?_getpages=u&_getpagesoffset=x&_count=100",
     "?_getpages=u&_getpagesoffset=1", "?_getpages=u&_getpagesoffset=1&_count=1&_count=2", "/Observation?_count=100", ""],
)  # fmt: skip
def test_any_other_link_stays_as_it_is(link: str) -> None:
    assert widened(link, 1000) == link
