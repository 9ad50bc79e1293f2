from proxy.facts.finding import FindingKind, untold


def test_every_kind_is_a_label_of_its_own_without_anything_personal_in_it() -> None:
    labels = [kind.value for kind in FindingKind]
    assert len(set(labels)) == len(labels)
    assert all(label.replace("-", "").isalpha() and label.islower() for label in labels)


def test_nobody_need_listen() -> None:
    untold(FindingKind.DEAD_REFERENCE, "Consent/x")
