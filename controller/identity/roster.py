"""Who is known here, and whose token is this?

Projects and credentials, kept by the owner and changed by :meth:`Roster.apply` alone.  A token is found by its public
id, however many there are; it opens nothing any more from the moment at which it was revoked or expired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

from controller.identity.roles import Role
from controller.identity.values import Credential, Project, checked_name, id_of, restored
from overlay.changes import Document
from overlay.refusals import Conflict, Exhausted, Invalid, NotFound

TOKENS_MOST: Final = 1000
"""For each project; a script that makes one for every run and revokes none is stopped there."""


@dataclass(frozen=True, slots=True)
class CreateProject:
    """Know a project from now on."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class DeleteProject:
    """Forget a project that owns nothing, with all its tokens."""

    name: str


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Let somebody act in a project; what has expired there is forgotten on that occasion.

    :param lifetime: seconds; None for ever.
    """

    id: str
    project: str
    user: str
    roles: frozenset[Role]
    digest: str = field(repr=False)
    lifetime: float | None = None


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Let a token open nothing any more."""

    id: str


Enrolment: TypeAlias = CreateProject | DeleteProject | IssueToken | RevokeToken


class Roster:
    """Everybody who is known from the store.

    :param reserved: names that neither a project nor a user may have.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._reserved = frozenset(reserved)
        self._projects: dict[str, Project] = {}
        self._credentials: dict[str, Credential] = {}

    @classmethod
    def restore(cls, documents: Iterable[Document], reserved: Iterable[str] = ()) -> Roster:
        """Build the roster that wrote these documents; those of other kinds are passed over."""
        roster = cls(reserved)
        for document in documents:
            match restored(document):
                case Project() as project:
                    roster._projects[project.name] = project
                case Credential() as credential:
                    roster._credentials[credential.id] = credential
        return roster

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────

    def projects(self) -> tuple[Project, ...]:
        """All projects, by name."""
        return tuple(project for _, project in sorted(self._projects.items()))

    def project(self, name: str) -> Project:
        """One project.

        :raises NotFound: kind ``ProjectNotFound``.
        """
        try:
            return self._projects[name]
        except KeyError:
            raise NotFound(f"Project {name} could not be found.", field="project", kind="ProjectNotFound") from None

    def credentials(self, project: str | None = None) -> tuple[Credential, ...]:
        """All credentials, or those for one project, the oldest first."""
        found = (one for one in self._credentials.values() if project is None or project == one.project)
        return tuple(sorted(found, key=lambda one: (one.created, one.id)))

    def credential(self, id_: str) -> Credential:
        """One credential.

        :raises NotFound: kind ``TokenNotFound``.
        """
        try:
            return self._credentials[id_]
        except KeyError:
            raise NotFound(f"Token {id_} could not be found.", field="token_id", kind="TokenNotFound") from None

    def holder(self, secret: str, now: float) -> Credential | None:
        """Whose token this is; None when it is nobody's (any more)."""
        id_ = id_of(secret)
        # Ids are public: how long it takes to find that there is none tells nothing that could not be known.
        found = None if id_ is None else self._credentials.get(id_)
        return found if found is not None and found.opens(secret, now) else None

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, change: Enrolment, now: float, owned: Callable[[str], str | None]) -> tuple[Document, ...]:
        """Change it, and return what is to be stored.

        :param owned: names something that a project owns still, or None.
        :raises Refusal: when it cannot be; then nothing changed.
        """
        match change:
            case CreateProject():
                return self._create(change, now)
            case DeleteProject(name):
                return self._delete(self.project(name), owned(name))
            case IssueToken():
                return self._issue(change, now)
            case RevokeToken(id_):
                return (self._forget(self.credential(id_)),)
            case _:
                assert_never(change)

    def _create(self, change: CreateProject, now: float) -> tuple[Document, ...]:
        name = checked_name(change.name, "name")
        if name in self._reserved:
            raise Invalid(f"name: no project may be called {name!r}", field="name")
        if name in self._projects:
            raise Conflict(f"name: there is a project {name} already", field="name", kind="ProjectInUse")
        self._projects[name] = Project(name, change.description, now)
        return (self._projects[name].document(),)

    def _delete(self, project: Project, owned: str | None) -> tuple[Document, ...]:
        if owned is not None:
            raise Conflict(
                f"project: {project.name} owns {owned}; delete what it owns first", field="project", kind="ProjectInUse"
            )
        tokens = [self._forget(credential) for credential in self.credentials(project.name)]
        del self._projects[project.name]
        return (*tokens, Document(project.document().kind, project.name, None))

    def _issue(self, change: IssueToken, now: float) -> tuple[Document, ...]:
        project = self.project(change.project)
        if not change.roles:
            raise Invalid("roles: at least one is wanted", field="roles")
        if change.id in self._credentials:
            raise Conflict(f"id: there is a token {change.id} already", field="id", kind="TokenInUse")
        known = self.credentials(project.name)
        over = [one for one in known if one.is_over(now)]
        if len(known) - len(over) >= TOKENS_MOST:
            raise Exhausted(f"project: {project.name} has {TOKENS_MOST} tokens, the most that it may", field="project")
        user = checked_name(change.user, "user")
        if user in self._reserved:
            raise Invalid(f"user: nobody may be called {user!r}", field="user")
        expires = None if change.lifetime is None else now + change.lifetime
        credential = Credential(change.id, project.name, user, change.roles, change.digest, now, expires)
        self._credentials[credential.id] = credential
        return (*map(self._forget, over), credential.document())

    def _forget(self, credential: Credential) -> Document:
        del self._credentials[credential.id]
        return Document(credential.document().kind, credential.id, None)
