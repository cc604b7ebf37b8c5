"""What is known of those who may call?

A project owns networks and ports; a credential lets somebody act in one project.  Both are frozen; what a document of
the store says about either is read and written here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from controller.identity.roles import Role
from overlay.changes import Document
from overlay.refusals import Invalid

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECRET: Final = re.compile(r"vl2_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
"""Who finds one lying about sees what it opens; so do programs that search for leaked secrets."""


class IdentityKind(StrEnum):
    """What is stored of identities; the order is that in which they can be restored."""

    PROJECT = "project"
    CREDENTIAL = "credential"


def checked_name(text: str, field: str) -> str:
    """Refuse a name of a project or a user that could not stand in a path, before a colon, or in a line of a log.

    :raises Invalid: naming the field.
    """
    if not _NAME.fullmatch(text):
        raise Invalid(
            f"{field}: {text!r} is not a name (letters, digits, dot, dash and underscore; at most 63, the first one a"
            " letter or digit)",
            field=field,
        )
    return text


@dataclass(frozen=True, slots=True)
class Project:
    """Who owns networks, subnets and ports.  Its name is its id, as it stands in every ``project_id``.

    :param created: seconds since the epoch.
    """

    name: str
    description: str
    created: float

    def document(self) -> Document:
        """What the store keeps."""
        return Document(IdentityKind.PROJECT, self.name, {"description": self.description, "created": self.created})


@dataclass(frozen=True, slots=True)
class Credential:
    """A token that was handed out: all that is kept of it.

    :param id: the public part of the token, by which it is found and revoked.
    :param user: for people, and for the audit log.
    :param digest: of the whole token, see :func:`digest`.
    :param created: seconds since the epoch, as is ``expires``; None for never.
    """

    id: str
    project: str
    user: str
    roles: frozenset[Role]
    digest: str = field(repr=False)
    created: float
    expires: float | None = None

    def opens(self, secret: str, now: float) -> bool:
        """Whether this is the token, and holds still; compared in constant time."""
        same = hmac.compare_digest(self.digest, digest(secret))
        return same and not self.is_over(now)

    def is_over(self, now: float) -> bool:
        """Whether it has expired."""
        return self.expires is not None and now >= self.expires

    def document(self) -> Document:
        """What the store keeps."""
        return Document(
            IdentityKind.CREDENTIAL,
            self.id,
            {
                "project": self.project,
                "user": self.user,
                "roles": sorted(self.roles),
                "digest": self.digest,
                "created": self.created,
                "expires": self.expires,
            },
        )


def digest(secret: str) -> str:
    """The digest by which a token is known again.

    A plain SHA-256: what makes passwords need a slow, salted hash is that people choose them, so that they can be
    guessed.  A token has 256 random bits, of which no computer tries a noticeable part, and no two are alike; a slow
    hash would only make each request slow, and give strangers a way to keep the controller busy.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def token(id_: str, random: str) -> str:
    """Write a token down: a mark, its public id, and what nobody can guess.

    :param id_: 16 hex digits.
    :param random: 256 random bits in base64url, 43 characters.
    """
    return f"vl2_{id_}_{random}"


def id_of(secret: str) -> str | None:
    """The public id in a token; None for what has not the form of one of ours."""
    found = _SECRET.fullmatch(secret)
    return None if found is None else found[1]


def restored(document: Document) -> Project | Credential | None:
    """Read back what was written down; None for a document of another kind."""
    body = document.body
    if body is None:
        return None
    match document.kind:
        case IdentityKind.PROJECT:
            return Project(document.id, body["description"], body["created"])
        case IdentityKind.CREDENTIAL:
            roles = frozenset(map(Role, body["roles"]))
            return Credential(
                document.id, body["project"], body["user"], roles, body["digest"], body["created"], body["expires"]
            )
        case _:
            return None
