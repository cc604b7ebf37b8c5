"""What the SQLite store does when the process, the file or the operator misbehaves."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.store import SqliteStore, StoreDamagedError, StoreError, StoreInUseError
from overlay.changes import Document

BATCH = 20

WRITER = """
import sys
from pathlib import Path
from controller.store import SqliteStore
from overlay.changes import Document

store = SqliteStore(Path(sys.argv[1]))
while True:
    turn = store.revision + 1
    store.commit([Document("port", str(n), {"turn": turn, "fill": "x" * 500}) for n in range(int(sys.argv[2]))])
    print(turn, flush=True)
"""


def _writer(state_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(state_dir), str(BATCH)], stdout=subprocess.PIPE, text=True
    )


def _kill(process: subprocess.Popen[str]) -> int:
    """Kill at once and return the last commit that the process could still report."""
    os.kill(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    with process, process.stdout:  # the same reader as before: it may hold lines already
        rest = process.stdout.read().split("\n")
    return int(rest[-2]) if len(rest) > 1 else 0


def test_a_killed_controller_leaves_whole_commits(tmp_path: Path) -> None:
    """After kill -9 amid commits, the store holds the last commit that was reported or the one after it, whole."""
    for delay in (0.001, 0.005, 0.0123, 0.002, 0.0301):
        process = _writer(tmp_path)
        assert process.stdout is not None
        seen = int(process.stdout.readline())
        # Where in a commit the kill hits must differ from round to round; this is chance, not waiting for something.
        until = time.monotonic() + delay
        while time.monotonic() < until:
            pass
        seen = max(seen, _kill(process))
        store = SqliteStore(tmp_path)
        turns = {document.body["turn"] for document in store.load() if document.body is not None}
        assert turns == {store.revision}
        assert len(store.load()) == BATCH
        assert store.revision in (seen, seen + 1)
        store.close()


def test_one_controller_at_a_time(tmp_path: Path) -> None:
    """A second controller on the same state directory is refused with the process that holds it, until that dies."""
    process = _writer(tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(StoreInUseError, match=f"in use by another controller .process {process.pid}"):
        SqliteStore(tmp_path)
    _kill(process)
    SqliteStore(tmp_path).close()


def test_the_same_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    """Opening twice is refused within one process as well, and closing lets go."""
    first = SqliteStore(tmp_path)
    with pytest.raises(StoreInUseError):
        SqliteStore(tmp_path)
    first.close()
    SqliteStore(tmp_path).close()


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """The state directory and what the store makes in it are closed to other users."""
    store = SqliteStore(tmp_path / "state")
    store.commit([Document("port", "a", {})])
    made = [tmp_path / "state", *(tmp_path / "state").iterdir()]
    assert {entry.name for entry in made} >= {"state", "vl2.sqlite", "vl2.sqlite-wal", "controller.lock"}
    for entry in made:
        assert not stat.S_IMODE(entry.stat().st_mode) & 0o077, entry
    store.close()


def test_a_file_of_garbage_is_refused(tmp_path: Path) -> None:
    """A file that is no database is refused with its path and left as it is."""
    file = tmp_path / "vl2.sqlite"
    file.write_bytes(b"this is no database at all" * 1000)
    before = file.read_bytes()
    with pytest.raises(StoreDamagedError, match=r"vl2\.sqlite: the store is damaged"):
        SqliteStore(tmp_path)
    assert file.read_bytes() == before
    file.unlink()
    SqliteStore(tmp_path).close()


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    """A store with overwritten pages is refused when it is opened, not when a document is missed."""
    store = SqliteStore(tmp_path)
    store.commit([Document("port", str(n), {"fill": "x" * 1000}) for n in range(200)])
    store.close()
    file = tmp_path / "vl2.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:12288] = os.urandom(8192)
    file.write_bytes(content)
    with pytest.raises(StoreDamagedError):
        SqliteStore(tmp_path)


def test_a_document_that_is_no_json_is_named(tmp_path: Path) -> None:
    """A document that cannot be read is named, so that the operator knows what is lost."""
    store = SqliteStore(tmp_path)
    store.commit([Document("port", "a", {}), Document("port", "b", {})])
    store.close()
    for body in ("{", "[]"):
        with sqlite3.connect(tmp_path / "vl2.sqlite") as database:
            database.execute("UPDATE document SET body = ? WHERE id = 'b'", (body,))
        database.close()
        store = SqliteStore(tmp_path)
        with pytest.raises(StoreDamagedError, match="document port b is not"):
            store.load()
        store.close()


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """A database that somebody else made is refused and not written to."""
    file = tmp_path / "vl2.sqlite"
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE holiday (day TEXT)")
    database.close()
    before = file.read_bytes()
    with pytest.raises(StoreDamagedError, match="another program's"):
        SqliteStore(tmp_path)
    assert file.read_bytes() == before


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A store that a later controller wrote is refused with both formats."""
    SqliteStore(tmp_path).close()
    database = sqlite3.connect(tmp_path / "vl2.sqlite")
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(StoreError, match="has format 7, this controller reads format 1"):
        SqliteStore(tmp_path)


def test_a_place_without_a_directory(tmp_path: Path) -> None:
    """A state directory that cannot be made is an error that names the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="state_dir: "):
        SqliteStore(tmp_path / "file" / "state")


def test_a_write_that_fails_is_told(tmp_path: Path) -> None:
    """A commit that the database refuses raises, and the revision stays."""
    store = SqliteStore(tmp_path)
    store.commit([Document("port", "a", {})])
    other = sqlite3.connect(tmp_path / "vl2.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="cannot write"):
        store.commit([Document("port", "b", {})])
    other.execute("ROLLBACK")
    other.close()
    assert store.revision == 1
    assert store.commit([Document("port", "b", {})]) == 2
    store.close()


def test_whoever_is_in_the_way_is_waited_for_once(tmp_path: Path) -> None:
    """Another writer is given a second to end; after that a commit fails at once, until one has succeeded again."""
    store = SqliteStore(tmp_path)
    other = sqlite3.connect(tmp_path / "vl2.sqlite", isolation_level=None)

    def patience() -> int:
        ((found,),) = store._database.execute("PRAGMA busy_timeout").fetchall()
        return int(found)

    try:
        assert patience() == 1000
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot write: database is locked"):
                store.commit([Document("network", "n", {})])
            assert (patience(), store.revision) == (0, 0)
        other.execute("ROLLBACK")
        assert store.commit([Document("network", "n", {})]) == 1
        assert patience() == 1000
    finally:
        other.close()
        store.close()
