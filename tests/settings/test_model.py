from pathlib import Path

import pytest

from tests.settings.written import LEAST, complaint, loaded


def test_what_is_not_said_keeps_to_this_machine_and_closes(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.listen.host == settings.admin.host == "127.0.0.1"
    assert settings.mode == "enforce"
    assert settings.audit.on_failure == "refuse"
    assert settings.upstream.auth.type == "none"


# ---- what refuses to start -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "names"),
    [
        (LEAST + "mode: sleep\n", 9, "mode"),
        (LEAST + "mode: observe\n", 2, "observe_acknowledged: answers leave unfiltered"),
        (LEAST + "mode: observe\nobserve_acknowledged: yes please\n", 10, "observe_acknowledged"),
        (LEAST + "time_zone: Mars/Olympus\n", 9, "IANA"),
        (LEAST + "surprise: 1\n", 9, "surprise"),
        (LEAST + "listen: {port: 70000}\n", 9, "port"),
        (LEAST + "audit: {on_failure: ignore}\n", 9, "on_failure"),
        (LEAST + "audit: {journal: /var/journal.db}\n", 9, "journal"),
        (LEAST + "paging: {max_upstream_pages: 1}\n", 9, "max_upstream_pages"),
        (LEAST + "paging: {key: a-literal-secret}\n", 9, "key"),
        (LEAST.replace("http://127.0.0.1:8090/fhir", "'http://a/fhir?x=1'"), 2, "url"),
        (LEAST.replace("http://127.0.0.1:8090", "http://me:secret@127.0.0.1"), 2, "url"),
        (
            LEAST.replace("{file: keys.json}", "{file: k, url: https://idp.example.org}"),
            7,
            "exactly one",
        ),
    ],
)
def test_a_wrong_setting_is_one_finding_with_its_line(
    tmp_path: Path, text: str, line: int, names: str
) -> None:
    said = complaint(tmp_path, text)
    assert said.startswith(f"{line}: ")
    assert names in said


@pytest.mark.parametrize("key", ["upstream", "identity", "policies"])
def test_what_is_required_is_named_when_it_is_missing(tmp_path: Path, key: str) -> None:
    blocks = LEAST.strip().split("\n")
    keep = [line for line in blocks if not line.startswith(key)]
    if key == "identity":
        keep = [line for line in keep if not line.startswith(" ")]
    assert key in complaint(tmp_path, "\n".join(keep) + "\n")


def test_partial_dates_are_understood_in_the_zone_of_the_house(tmp_path: Path) -> None:
    assert loaded(tmp_path, f"{LEAST}time_zone: America/Montreal\n").zone.key == "America/Montreal"
