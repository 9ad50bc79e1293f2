"""The House is built as the settings say."""

from pathlib import Path

from proxy.app.house import paging_of
from proxy.enforcement.house import Paging
from tests.app.settled import settings_of


def test_pages_are_made_as_the_settings_say(tmp_path: Path) -> None:
    env = {
        "PROXY_PAGING__MAX_COUNT": "77",
        "PROXY_PAGING__DEFAULT_COUNT": "7",
        "PROXY_PAGING__MAX_UPSTREAM_PAGES": "9",
        "PROXY_PAGING__TTL_S": "60",
        "PROXY_PAGING__MAX_CONSULTED": "3",
        "PROXY_PAGING__MAX_COUNTED": "30",
    }
    settings = settings_of(tmp_path, "http://127.0.0.1:1/fhir", **env)
    assert paging_of(settings) == Paging(7, 77, 9, 60, 3, 30)
