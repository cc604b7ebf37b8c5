"""Where do the documents live while no controller runs?

The store holds one JSON document for each object of the world and a revision that every commit raises by one.  A batch
is committed whole or not at all, whatever happens to the process; SQLite sees to that.  What a document says is the
overlay's business.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import Final, Protocol

from overlay.changes import Document

_APPLICATION_ID: Final = 0x564C3200
_SCHEMA_VERSION: Final = 1
_REVISION_KEY: Final = ("", "revision")
"""The row that keeps the revision when the last document is deleted; no document has an empty kind."""

_SCHEMA: Final = """
CREATE TABLE document (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID
"""
_CACHE_KIB: Final = 16 << 10
"""With SQLite's own 2 MiB, a commit of thousands of documents writes pages twice."""
_PATIENCE_MS: Final = 1000
_LOG_PAGES: Final = 4000
"""After so many pages (16 MiB) the log is copied into the database; with SQLite's own 1000, each commit of a thousand
documents would wait for that."""
_WRITE: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_PUT: Final = """
INSERT INTO document (kind, id, revision, body) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET revision = excluded.revision, body = excluded.body
"""
_DELETE: Final = "DELETE FROM document WHERE kind = ? AND id = ?"


class StoreError(Exception):
    """The store cannot be used; the message says what to do about it."""


class StoreInUseError(StoreError):
    """Another controller runs on this state directory."""


class StoreDamagedError(StoreError):
    """What is in the file is not (or no longer) a store of ours."""


class Store(Protocol):
    """Documents with revisions, whichever database holds them."""

    @property
    def revision(self) -> int:
        """The number of the last commit, 0 for a new store; it never goes back."""

    def load(self) -> tuple[Document, ...]:
        """Every document, those written longest ago first.

        :raises StoreDamagedError: when one cannot be read.
        """

    def commit(self, documents: Iterable[Document]) -> int:
        """Write and delete documents, all or none; returns the new revision.

        A batch of nothing is no commit.  Where a batch names an object twice, the later one counts.

        :raises StoreError: when it cannot be written; then nothing of it was.
        """

    def close(self) -> None:
        """Let go of the database; a second time does nothing."""


class SqliteStore:
    """A store in one SQLite file of the state directory (WAL, synchronous=NORMAL).

    A killed process loses nothing that was committed.  A power failure may take the last commits, each of them whole
    (https://www.sqlite.org/pragma.html#pragma_synchronous); the switches then hold more than the store knows and are
    reconciled.

    :param state_dir: made when it is not there, closed to other users.
    :raises StoreInUseError: when another controller holds the directory.
    :raises StoreDamagedError: when the file is not a store of ours, or is corrupt.
    :raises StoreError: when the directory or the file cannot be made or opened.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "vl2.sqlite"
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(state_dir)
        except OSError as error:
            raise StoreError(f"state_dir: {state_dir}: {error.strerror}") from error
        try:
            self._database = self._open()
            self._patience = _PATIENCE_MS
            self._revision = self._read_revision()
        except BaseException:
            self._lock.close()
            raise

    @property
    def revision(self) -> int:
        """The number of the last commit, 0 for a new store."""
        return self._revision

    def load(self) -> tuple[Document, ...]:
        """Every document, those written longest ago first."""
        try:
            rows = self._database.execute(
                "SELECT kind, id, body FROM document WHERE kind <> '' ORDER BY revision, kind, id"
            ).fetchall()
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from error
        return tuple(Document(kind, id_, self._body(kind, id_, body)) for kind, id_, body in rows)

    def commit(self, documents: Iterable[Document]) -> int:
        """Write and delete documents, all or none; returns the new revision."""
        batch = {(document.kind, document.id): document.body for document in documents}
        if not batch:
            return self._revision
        if any(not kind for kind, _ in batch):
            raise ValueError("a document without a kind")
        gone = [at for at, body in batch.items() if body is None]
        # In the order of the table's rows: for thousands that takes half of the time.
        kept = sorted(((at, body) for at, body in batch.items() if body is not None), key=itemgetter(0))
        revision = self._revision + 1
        try:
            with self._database:  # commits, or rolls back when anything in it raises
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany(_DELETE, gone)
                self._database.executemany(_PUT, ((*at, revision, _WRITE(body)) for at, body in kept))
                self._database.execute(_PUT, (*_REVISION_KEY, revision, "null"))
        except sqlite3.Error as error:
            self._be_patient(0)
            raise StoreError(f"{self.path}: cannot write: {error}") from error
        if self._patience != _PATIENCE_MS:
            self._be_patient(_PATIENCE_MS)
        self._revision = revision
        return revision

    def _be_patient(self, milliseconds: int) -> None:
        """How long to stand still for another writer: not at all for one who was in the way at the last commit.

        Whoever could not commit tries again and again, and has other things to do in between.
        """
        self._patience = milliseconds
        self._database.execute(f"PRAGMA busy_timeout = {milliseconds}")

    def close(self) -> None:
        """Let go of the database and of the directory; a second time does nothing."""
        self._database.close()
        self._lock.close()

    def _open(self) -> sqlite3.Connection:
        try:
            # Made by us first: SQLite would make it readable for everybody.  Its other files take the mode over.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(self.path, isolation_level=None, timeout=_PATIENCE_MS / 1000)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.path}: cannot open: {error}") from error
        try:
            self._prepare(database)
        except sqlite3.OperationalError as error:
            database.close()
            raise StoreError(f"{self.path}: cannot open: {error}") from error
        except sqlite3.DatabaseError as error:
            database.close()
            raise self._damaged(str(error)) from error
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        ((application,),) = database.execute("PRAGMA application_id").fetchall()
        ((version,),) = database.execute("PRAGMA user_version").fetchall()
        ((tables,),) = database.execute("SELECT count(*) FROM sqlite_master").fetchall()
        if tables and application != _APPLICATION_ID:
            raise self._damaged("it is another program's database")
        if tables and version != _SCHEMA_VERSION:
            raise StoreError(f"{self.path}: has format {version}, this controller reads format {_SCHEMA_VERSION}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        ((found,),) = database.execute("PRAGMA quick_check(1)").fetchall()
        if found != "ok":
            raise self._damaged(found)
        if not tables:
            database.execute("BEGIN IMMEDIATE")
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            database.execute("COMMIT")

    def _read_revision(self) -> int:
        try:
            row = self._database.execute(
                "SELECT revision FROM document WHERE kind = ? AND id = ?", _REVISION_KEY
            ).fetchone()
        except sqlite3.Error as error:
            self._database.close()
            raise self._damaged(str(error)) from error
        return int(row[0]) if row else 0

    def _body(self, kind: str, id_: str, text: str) -> dict[str, object]:
        try:
            body = json.loads(text)
        except ValueError as error:
            raise self._damaged(f"document {kind} {id_} is not JSON") from error
        if not isinstance(body, dict):
            raise self._damaged(f"document {kind} {id_} is not a JSON object")
        return body

    def _damaged(self, reason: str) -> StoreDamagedError:
        return StoreDamagedError(
            f"{self.path}: the store is damaged ({reason}); put a backup in its place, or move it away to start empty"
        )


class _Lock:
    """The right to use a state directory; the kernel takes it back when the process dies, however it dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(state_dir: Path) -> _Lock:
    path = state_dir / "controller.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreInUseError(
            f"state_dir: {state_dir} is in use by another controller (process {holder}); stop it, or choose another "
            "state_dir"
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    # The number is for people only; the lock itself is the kernel's.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return _Lock(descriptor)
