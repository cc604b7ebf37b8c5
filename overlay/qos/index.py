"""Who has which policy, and which is a project's default one?"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from overlay.qos.values import QosPolicy
from overlay.refusals import NotFound


class User(NamedTuple):
    """What has a policy of its own: ``network`` or ``port``, and its id."""

    kind: str
    id: str


class QosPolicies:
    """All policies.  Inner dicts with ``None`` values are ordered sets."""

    def __init__(self) -> None:
        self.by_id: dict[str, QosPolicy] = {}
        self.defaults: dict[str, str] = {}
        self._users: dict[str, dict[User, None]] = {}

    def policy(self, policy_id: str) -> QosPolicy:
        """Look up.  :raises NotFound: ``QosPolicyNotFound``."""
        try:
            return self.by_id[policy_id]
        except KeyError:
            message = f"QoS policy {policy_id} could not be found."
            raise NotFound(message, field="qos_policy_id", kind="QosPolicyNotFound") from None

    def check(self, policy_id: str | None) -> None:
        """Check that a policy that somebody is to have is there.

        :raises NotFound: ``QosPolicyNotFound``.
        """
        if policy_id is not None:
            self.policy(policy_id)

    def put(self, policy: QosPolicy) -> None:
        """Add or replace."""
        self.by_id[policy.id] = policy
        if policy.is_default:
            self.defaults[policy.project_id] = policy.id
        elif self.defaults.get(policy.project_id) == policy.id:
            del self.defaults[policy.project_id]

    def drop(self, policy_id: str) -> QosPolicy:
        """Remove a policy that nobody has.  :returns: what it was."""
        policy = self.by_id.pop(policy_id)
        if policy.is_default:
            del self.defaults[policy.project_id]
        return policy

    def use(self, user: User, before: str | None, after: str | None) -> None:
        """Somebody has another policy of its own now, or none."""
        if before == after:
            return
        if before is not None:
            del self._users[before][user]
            if not self._users[before]:
                del self._users[before]
        if after is not None:
            self._users.setdefault(after, {})[user] = None

    def users(self, policy_id: str) -> Collection[User]:
        """Who has a policy."""
        return self._users.get(policy_id, {}).keys()
