"""What is somebody trusted with?

Three roles, each of which includes those below it, as in Keystone's default roles.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What somebody is trusted with; the least comes first."""

    READER = "reader"
    """Sees what is its project's."""
    MEMBER = "member"
    """Changes it as well."""
    ADMIN = "admin"
    """Sees and changes everything, of every project and of the machines: the operator."""

    def includes(self, other: Role) -> bool:
        """Whether who has this role may also do what the other one may."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)
