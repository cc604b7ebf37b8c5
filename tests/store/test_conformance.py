"""What every store does, whichever database holds the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.store import SqliteStore, Store
from overlay.changes import Document


@pytest.fixture(params=["sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the same store again, after closing the one before."""
    assert request.param == "sqlite"
    opened: list[Store] = []

    def again() -> Store:
        for store in opened:
            store.close()
        opened.append(SqliteStore(tmp_path / "state"))
        return opened[-1]

    yield again
    for store in opened:
        store.close()


def _as_dict(store: Store) -> dict[tuple[str, str], object]:
    return {(document.kind, document.id): document.body for document in store.load()}


def test_a_new_store_is_empty(reopen: Callable[[], Store]) -> None:
    """A store that was never written holds nothing, at revision 0."""
    store = reopen()
    assert store.load() == ()
    assert store.revision == 0


def test_documents_survive(reopen: Callable[[], Store]) -> None:
    """What was committed is there after closing and opening, every kind of JSON value included."""
    body = {"text": "naïve ☃ \x00", "whole": 1 << 80, "part": 0.5, "none": None, "list": [1, {"deep": True}], "": ""}
    store = reopen()
    assert store.commit([Document("network", "a", body), Document("port", "a", {})]) == 1
    store = reopen()
    assert _as_dict(store) == {("network", "a"): body, ("port", "a"): {}}
    assert store.revision == 1


def test_put_replaces_and_none_deletes(reopen: Callable[[], Store]) -> None:
    """A later document of the same kind and id replaces the earlier one; one without a body deletes it."""
    store = reopen()
    store.commit([Document("port", "a", {"n": 1}), Document("port", "b", {"n": 1})])
    store.commit([Document("port", "a", {"n": 2}), Document("port", "b", None), Document("port", "c", None)])
    assert _as_dict(store) == {("port", "a"): {"n": 2}}


def test_the_later_of_one_batch_counts(reopen: Callable[[], Store]) -> None:
    """A batch that names an object twice leaves the later document."""
    store = reopen()
    store.commit([Document("port", "a", {"n": 1}), Document("port", "a", None), Document("port", "a", {"n": 3})])
    assert _as_dict(store) == {("port", "a"): {"n": 3}}


def test_the_revision_never_goes_back(reopen: Callable[[], Store]) -> None:
    """Each commit raises the revision by one, across restarts and also when nothing is left in the store."""
    store = reopen()
    assert [store.commit([Document("port", str(n), {})]) for n in range(3)] == [1, 2, 3]
    assert store.commit([Document("port", str(n), None) for n in range(3)]) == 4
    store = reopen()
    assert store.load() == ()
    assert store.revision == 4
    assert store.commit([Document("port", "a", {})]) == 5


def test_a_batch_of_nothing_is_no_commit(reopen: Callable[[], Store]) -> None:
    """An empty batch leaves the revision as it is."""
    store = reopen()
    assert store.commit([]) == 0
    assert reopen().revision == 0


def test_documents_load_in_the_order_of_writing(reopen: Callable[[], Store]) -> None:
    """Documents come back with those first that were written longest ago."""
    store = reopen()
    for name in ("c", "a", "b", "c"):
        store.commit([Document("port", name, {})])
    assert [document.id for document in reopen().load()] == ["a", "b", "c"]


@pytest.mark.parametrize("bad", [{"n": float("nan")}, {"n": {1, 2}}, {"n": object()}])
def test_a_batch_is_whole_or_not_at_all(reopen: Callable[[], Store], bad: dict[str, object]) -> None:
    """A document that cannot be written takes its whole batch with it, and the store goes on working."""
    store = reopen()
    store.commit([Document("port", "a", {"n": 1})])
    with pytest.raises((TypeError, ValueError)):
        store.commit([Document("port", "a", None), Document("port", "b", {}), Document("port", "c", bad)])
    assert _as_dict(store) == {("port", "a"): {"n": 1}}
    assert store.revision == 1
    assert store.commit([Document("port", "b", {})]) == 2
    assert set(_as_dict(reopen())) == {("port", "a"), ("port", "b")}


def test_closing_twice_is_harmless(reopen: Callable[[], Store]) -> None:
    """A store that is closed can be closed again."""
    store = reopen()
    store.close()
    store.close()
