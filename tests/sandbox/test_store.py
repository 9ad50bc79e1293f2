from pathlib import Path

import pytest

from proxy.sandbox.model import FhirError
from tests.sandbox import made


def test_versions_count_up_and_stay() -> None:
    store = made.store()
    made.put(store, "Patient", "a", gender="male")
    made.put(store, "Patient", "a", gender="female")

    assert store.read("Patient", "a").version == 2
    assert made.resource(store.vread("Patient", "a", "1"))["gender"] == "male"
    assert [v.version for v in store.history("Patient", "a")] == [2, 1]


def test_what_changes_nothing_makes_no_version() -> None:
    store = made.store()
    first = made.put(store, "Patient", "a", gender="male")

    assert made.put(store, "Patient", "a", gender="male") is first


def test_a_deletion_is_a_version_without_content() -> None:
    store = made.store()
    made.put(store, "Patient", "a")
    gone = store.delete("Patient", "a")

    assert gone is not None
    assert (gone.version, gone.body) == (2, None)
    assert store.current("Patient", "a") is None
    assert store.types() == []
    assert store.delete("Patient", "a") is None


@pytest.mark.parametrize(
    ("path", "status"),
    [(("Patient", "never"), 404), (("Patient", "gone"), 410)],
)
def test_what_is_not_there_says_why(path: tuple[str, str], status: int) -> None:
    store = made.store()
    made.put(store, "Patient", "gone")
    store.delete("Patient", "gone")

    with pytest.raises(FhirError) as refused:
        store.read(*path)
    assert refused.value.status == status


def test_a_resource_put_again_after_deletion_goes_on_counting() -> None:
    store = made.store()
    made.put(store, "Patient", "a")
    store.delete("Patient", "a")

    assert made.put(store, "Patient", "a").version == 3


def test_a_failing_atomic_block_leaves_nothing_behind() -> None:
    store = made.store()
    made.put(store, "Patient", "a", gender="male")
    seen: list[tuple[str, bool]] = []
    store.listen(lambda version: seen.append((version.id, version.body is None)))

    def fail() -> None:
        with store.atomic():
            made.put(store, "Patient", "a", gender="female")
            made.put(store, "Patient", "b")
            store.delete("Patient", "a")
            raise FhirError(400, "invalid", "on purpose")

    with pytest.raises(FhirError):
        fail()
    assert made.resource(store.read("Patient", "a"))["gender"] == "male"
    assert store.current("Patient", "b") is None
    assert len(store.history()) == 1
    # The listeners hear of the way back too, newest change first.
    assert seen == [
        ("a", False),
        ("b", False),
        ("a", True),
        ("a", False),
        ("b", True),
        ("a", False),
    ]


def test_a_file_brings_everything_back(tmp_path: Path) -> None:
    path = str(tmp_path / "sandbox.db")
    first = made.store(path=path)
    made.put(first, "Patient", "a", gender="male")
    made.put(first, "Patient", "a", gender="female")
    made.put(first, "Patient", "b")
    first.delete("Patient", "b")
    first.close()

    second = made.store(path=path)

    assert second.history() == first.history()
    assert second.everything("Patient") == first.everything("Patient")
    made.put(second, "Patient", "c")
    second.close()
    assert len(made.store(path=path).history()) == 5


def test_a_file_keeps_nothing_of_a_failed_block(tmp_path: Path) -> None:
    path = str(tmp_path / "sandbox.db")
    store = made.store(path=path)

    def fail() -> None:
        with store.atomic():
            made.put(store, "Patient", "a")
            raise FhirError(400, "invalid", "on purpose")

    with pytest.raises(FhirError):
        fail()
    store.close()
    assert made.store(path=path).history() == []


def test_ids_of_created_resources_are_new() -> None:
    store = made.store()
    created = [store.new_id() for _ in range(3)]

    assert created == ["n1", "n2", "n3"]


def test_the_clock_is_an_argument() -> None:
    assert made.put(made.store(), "Patient", "a").updated == "2026-01-01T00:00:00.000Z"
