import json
from pathlib import Path

import pytest

from proxy.sandbox.model import FhirError
from proxy.sandbox.samples import load_samples
from tests.sandbox import made

PATIENT = {"resourceType": "Patient", "id": "a"}


def encoded(resource: object) -> bytes:
    return json.dumps(resource).encode()


def test_single_resources_and_collections_keep_their_ids() -> None:
    store = made.store()
    collection = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Basic", "id": "b"}}, {}],
    }

    assert load_samples(store, [encoded(PATIENT), encoded(collection)]) == 2
    assert store.read("Patient", "a").version == store.read("Basic", "b").version == 1


def test_a_transaction_is_executed() -> None:
    store = made.store()
    observation = {"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}
    transaction = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": PATIENT, "request": {"method": "PUT", "url": "Patient/a"}},
            {"resource": observation, "request": {"method": "POST", "url": "Observation"}},
        ],
    }  # fmt: skip

    assert load_samples(store, [encoded(transaction)]) == 2
    (loaded,) = store.everything("Observation").values()
    assert made.resource(loaded)["subject"] == {"reference": "Patient/a"}


def test_files_and_directories_are_read_but_no_directories_within(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "claims.json").write_text("{}")
    (tmp_path / "a.json").write_bytes(encoded(PATIENT))
    (tmp_path / "b.json").write_bytes(encoded({"resourceType": "Basic", "id": "b"}))
    (tmp_path / "notes.txt").write_text("no resource")
    store = made.store()

    assert load_samples(store, [tmp_path]) == 2
    assert load_samples(store, [tmp_path / "b.json"]) == 0


def test_one_wrong_file_is_named_and_nothing_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(encoded(PATIENT))
    (tmp_path / "b.json").write_bytes(b"{}")
    store = made.store()

    with pytest.raises(FhirError, match=r"b\.json"):
        load_samples(store, [tmp_path])
    assert store.history() == []


def test_a_sample_without_id_is_refused() -> None:
    with pytest.raises(FhirError):
        load_samples(made.store(), [b'{"resourceType":"Patient"}'])
