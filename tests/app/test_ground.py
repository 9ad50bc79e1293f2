"""The composition root: what it refuses to start with, and that it stops as it started."""

from pathlib import Path

import pytest

from proxy.app.ground import secret_for
from proxy.errors import UnusableError
from tests.app.settled import settings_of


def test_a_secret_is_long_and_where_none_is_given_it_is_new_each_time(tmp_path: Path) -> None:
    plain = settings_of(tmp_path, "http://127.0.0.1:1/fhir")
    assert secret_for(plain, {}) != secret_for(plain, {})
    named = settings_of(tmp_path, "http://127.0.0.1:1/fhir", PROXY_PAGING__KEY__ENV="KEY")
    assert secret_for(named, {"KEY": "k" * 32}) == b"k" * 32
    for short in ("k" * 31, "", "  "):
        with pytest.raises(UnusableError):
            secret_for(named, {"KEY": short})
