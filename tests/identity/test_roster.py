"""Projects and tokens are made and taken away, and a token opens what it says and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.identity.roles import Role
from controller.identity.roster import TOKENS_MOST, CreateProject, DeleteProject, IssueToken, RevokeToken, Roster
from controller.identity.values import Credential, Project, digest, id_of, token
from overlay.changes import Document
from overlay.refusals import Conflict, Exhausted, Invalid, NotFound, Refusal

SECRETS = {number: token(f"{number:016x}", f"{number:043d}") for number in range(10)}


def owning(what: str | None = None):
    """A world in which every project owns this."""
    return lambda _project: what


def issue(number: int, project: str = "blue", lifetime: float | None = None, *roles: Role) -> IssueToken:
    """Have a token issued."""
    given_roles = frozenset(roles or {Role.MEMBER})
    return IssueToken(f"{number:016x}", project, "ann", given_roles, digest(SECRETS[number]), lifetime)


@pytest.fixture
def roster() -> Roster:
    """A project blue with token 1 for ever and token 2 for ten seconds, and a project red."""
    roster = Roster({"operator"})
    for change in (CreateProject("red"), CreateProject("blue", "ours"), issue(1), issue(2, "blue", 10.0, Role.READER)):
        roster.apply(change, 100.0, owning())
    return roster


def state(roster: Roster) -> tuple[object, ...]:
    """All that there is to see."""
    return roster.projects(), roster.credentials()


def test_roles_include_those_below() -> None:
    """An admin is a member, and a member is a reader; nothing goes the other way."""
    includes = {(a.value, b.value) for a in Role for b in Role if a.includes(b)}
    assert includes == {
        *((role.value, role.value) for role in Role),
        ("admin", "member"),
        ("admin", "reader"),
        ("member", "reader"),
    }


def test_a_token_opens_its_project(roster: Roster) -> None:
    """Who shows a token is who it was issued to, in the project and with the roles that were said."""
    holder = roster.holder(SECRETS[2], 109.9)
    assert holder is not None
    assert (holder.project, holder.user, holder.roles) == ("blue", "ann", {Role.READER})
    assert holder == roster.credential(f"{2:016x}")


def test_a_token_is_over_when_its_time_is(roster: Roster) -> None:
    """At the moment at which a token expires it opens nothing any more, though it is listed until it is revoked."""
    assert roster.holder(SECRETS[2], 110.0) is None
    assert [credential.is_over(110.0) for credential in roster.credentials("blue")] == [False, True]


def test_a_revoked_token_opens_nothing(roster: Roster) -> None:
    """Revocation takes effect with the change itself."""
    assert roster.apply(RevokeToken(f"{1:016x}"), 100.0, owning()) == (Document("credential", f"{1:016x}", None),)
    assert roster.holder(SECRETS[1], 100.0) is None


@given(shown=st.text(max_size=80) | st.binary(max_size=80).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_nothing_else_opens(shown: str) -> None:
    """Whatever is shown instead of a token, nobody is known by it and nothing breaks."""
    roster = Roster()
    roster.apply(CreateProject("blue"), 100.0, owning())
    roster.apply(issue(1), 100.0, owning())
    assert roster.holder(shown, 100.0) is None


@pytest.mark.parametrize(
    "shown",
    [
        token(f"{1:016x}", f"{2:043d}"),
        token(f"{9:016x}", f"{1:043d}"),
        SECRETS[1] + "0",
        SECRETS[1] + "\n",
        SECRETS[1][:-1],
        SECRETS[1].upper(),
        digest(SECRETS[1]),
        f"{1:016x}",
        "",
    ],
)
def test_nearly_a_token_opens_nothing(roster: Roster, shown: str) -> None:
    """A token whose secret is wrong, whose id nobody has, or that is what the store or a list shows, opens nothing."""
    assert roster.holder(shown, 100.0) is None


def test_only_the_digest_is_kept(roster: Roster) -> None:
    """Neither the documents nor a repr hold a token; a repr does not even hold the digest."""
    credential = roster.credential(f"{1:016x}")
    secret = SECRETS[1].split("_")[2]
    assert secret not in str(credential.document())
    assert credential.document().body["digest"] == digest(SECRETS[1])
    assert digest(SECRETS[1]) not in repr(credential) + repr(issue(1))
    assert id_of(SECRETS[1]) == credential.id


def test_what_is_stored_is_restored(roster: Roster) -> None:
    """A roster that is built from what was stored knows the same; it passes over what is not its own."""
    documents = [*(one.document() for one in (*roster.credentials(), *roster.projects()))]
    others = [Document("network", "n", {}), Document("project", "gone", None)]
    again = Roster.restore([*documents, *others], {"operator"})
    assert state(again) == state(roster)
    assert again.holder(SECRETS[1], 100.0) is not None
    with pytest.raises(Invalid):
        again.apply(CreateProject("operator"), 100.0, owning())


def test_changes_are_stored_as_they_are(roster: Roster) -> None:
    """Each change answers with the documents that it made."""
    (made,) = roster.apply(CreateProject("green", "new"), 200.0, owning())
    assert made == Project("green", "new", 200.0).document()
    (issued,) = roster.apply(issue(3, "green", 5.0), 200.0, owning())
    digested = digest(SECRETS[3])
    credential = Credential(f"{3:016x}", "green", "ann", frozenset({Role.MEMBER}), digested, 200.0, 205.0)
    assert issued == credential.document()
    assert roster.project("green") == Project("green", "new", 200.0)


def test_what_is_over_makes_room(roster: Roster) -> None:
    """Tokens of a project that have expired are forgotten when it gets another one; they do not count."""
    documents = roster.apply(issue(3), 110.0, owning())
    assert [(one.id, one.body is None) for one in documents] == [(f"{2:016x}", True), (f"{3:016x}", False)]
    assert [one.id for one in roster.credentials("blue")] == [f"{1:016x}", f"{3:016x}"]


def test_a_project_goes_with_its_tokens(roster: Roster) -> None:
    """A project that owns nothing is deleted, and its tokens with it."""
    gone = roster.apply(DeleteProject("blue"), 100.0, owning())
    assert [(one.kind, one.id, one.body) for one in gone] == [
        ("credential", f"{1:016x}", None),
        ("credential", f"{2:016x}", None),
        ("project", "blue", None),
    ]
    assert [project.name for project in roster.projects()] == ["red"]
    assert roster.credentials() == ()
    assert roster.holder(SECRETS[1], 100.0) is None


@pytest.mark.parametrize(
    ("change", "refusal", "word"),
    [
        (CreateProject("blue"), Conflict, "name"),
        (CreateProject("operator"), Invalid, "name"),
        (CreateProject("a b"), Invalid, "name"),
        (CreateProject("a:b"), Invalid, "name"),
        (CreateProject("a\n"), Invalid, "name"),
        (CreateProject(""), Invalid, "name"),
        (CreateProject("-a"), Invalid, "name"),
        (CreateProject("a" * 64), Invalid, "name"),
        (DeleteProject("green"), NotFound, "Project green"),
        (DeleteProject("blue"), Conflict, "network n"),
        (issue(3, "green"), NotFound, "Project green"),
        (issue(1), Conflict, "id"),
        (replace(issue(3), roles=frozenset()), Invalid, "roles"),
        (replace(issue(3), user="a\nb"), Invalid, "user"),
        (replace(issue(3), user="operator"), Invalid, "user"),
        (RevokeToken(f"{3:016x}"), NotFound, "Token"),
    ],
)
def test_a_refusal_changes_nothing(roster: Roster, change, refusal: type[Refusal], word: str) -> None:
    """What cannot be is refused with its field's name, and everything stays as it was."""
    before = state(roster)
    with pytest.raises(refusal, match=word):
        roster.apply(change, 100.0, owning("network n"))
    assert state(roster) == before


def test_tokens_are_bounded(roster: Roster) -> None:
    """A project has so many tokens and no more; another one is not hindered by that."""
    for number in range(2, TOKENS_MOST):
        wish = IssueToken(f"{number + 100:016x}", "blue", "ann", frozenset({Role.READER}), "x")
        roster.apply(wish, 100.0, owning())
    with pytest.raises(Exhausted, match="blue has 1000"):
        roster.apply(issue(3), 100.0, owning())
    assert roster.apply(issue(3, "red"), 100.0, owning())
