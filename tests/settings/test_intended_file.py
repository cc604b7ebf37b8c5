"""The controller starts with the intended topology that its configuration names, or else with the stored one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from controller import process
from controller.configuration import SettingsError
from controller.fabric.drawing import Format
from controller.fabric.intended import stated, written
from controller.settings import Settings, parse
from controller.store import SqliteStore
from overlay.changes import Document

SOUND = json.dumps({"nodes": [{"id": "a", "dpid": 1}], "edges": []})
OTHER = '<graphml><key id="d" for="node" attr.name="dpid" attr.type="int"/><graph><node id="b">\
<data key="d">2</data></node></graph></graphml>'


def settings(tmp_path: Path, text: str | None = None) -> Settings:
    """Settings that name a file with this text, or none."""
    fabric = {}
    if text is not None:
        file = tmp_path / "fabric.drawing"
        file.write_text(text)
        fabric["intended"] = str(file)
    return parse({"state_dir": str(tmp_path / "state"), "fabric": fabric})


@pytest.fixture
def store(tmp_path: Path):
    """A store in a state directory of its own."""
    store = SqliteStore(tmp_path / "state")
    yield store
    store.close()


@pytest.mark.parametrize("text", [SOUND, OTHER, "\ufeff" + SOUND], ids=["json", "graphml", "bom"])
def test_the_file_is_read(tmp_path: Path, store: SqliteStore, text: str) -> None:
    """The file is read at the start, whichever of the languages it is in, and counts more than what is stored."""
    store.commit([written(stated(OTHER, Format.GRAPHML))])
    owner = process.restore(settings(tmp_path, text), store)
    assert owner.intended is not None
    assert owner.intended.file == str(tmp_path / "fabric.drawing")
    assert owner.intended.text == text.removeprefix("\ufeff")


def test_what_was_stored_comes_back(tmp_path: Path, store: SqliteStore) -> None:
    """An intended topology that came over the API is there again after a restart; without one there is none."""
    assert process.restore(settings(tmp_path), store).intended is None
    store.commit([written(stated(SOUND, Format.JSON))])
    assert process.restore(settings(tmp_path), store).intended == stated(SOUND, Format.JSON)
    store.commit([written(None)])
    assert process.restore(settings(tmp_path), store).intended is None


def test_a_stored_one_that_is_not_taken_any_more(tmp_path: Path, store: SqliteStore, caplog) -> None:
    """A stored topology that this version refuses is left out and logged: the fabric works without it."""
    store.commit([Document("intended", "topology", {"format": "json", "document": "nonsense"})])
    with caplog.at_level(logging.WARNING):
        assert process.restore(settings(tmp_path), store).intended is None
    assert "intended topology is not taken any more: document: is not JSON" in caplog.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not JSON"),
        ("<graphml", "is not XML"),
        ("{}", "must have either"),
        ("<!DOCTYPE x><graphml/>", "DOCTYPE"),
    ],
)
def test_a_bad_file_stops_the_start(tmp_path: Path, capsys, text: str, why: str) -> None:
    """A file that does not parse or contradicts itself is one line that names key, file and reason, and exit code 2."""
    given = settings(tmp_path, text)
    config = tmp_path / "vl2.toml"
    config.write_text(f'state_dir = "{given.state_dir}"\n[fabric]\nintended = "{given.fabric.intended}"\n')
    assert process.main(config) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vl2 controller: fabric.intended: {given.fabric.intended} ")
    assert why in line


def test_a_missing_file_stops_the_start(tmp_path: Path, store: SqliteStore) -> None:
    """A file that is not there is an error, not an empty intention."""
    given = parse({"state_dir": str(tmp_path), "fabric": {"intended": str(tmp_path / "none")}})
    with pytest.raises(SettingsError, match=r"fabric\.intended: .*/none: No such file"):
        process.restore(given, store)
    given = parse({"state_dir": str(tmp_path), "fabric": {"intended": str(tmp_path)}})
    with pytest.raises(SettingsError, match=r"fabric\.intended: .*: Is a directory"):
        process.restore(given, store)
