"""People who use the program, and their roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hemodetect.errors import HemodetectError
from hemodetect.settings import settings

Role = Literal["reader", "lead", "trainer"]
"""A reader reads, a lead creates review sessions and sees their results, a trainer changes models."""
EVERYBODY = "*"
LONGEST_NAME = 200


class NotAllowed(HemodetectError):
    """A person lacks the role for an action, or has no name."""


@dataclass(frozen=True)
class Person:
    """A person with a name.

    Attributes:
        name: recorded with every action; the e-mail address of a person who signed in.
        roles: what the person may do.
    """

    name: str
    roles: frozenset[Role]

    def require(self, role: Role) -> None:
        """Raises `NotAllowed` where the person has no name or not this role."""
        if not self.name.strip():
            raise NotAllowed("A name is needed: it is recorded with every action.")
        if len(self.name) > LONGEST_NAME:
            raise NotAllowed(f"A name has at most {LONGEST_NAME} characters.")
        if role not in self.roles:
            raise NotAllowed(
                f"{self.name} does not have the role {role}; ask the administrator of this server."
            )


def local_person(name: str) -> Person:
    """A person of a program without sign-in, who has every role."""
    return Person(name.strip(), frozenset(get_args(Role)))


def signed_in_person(address: str) -> Person:
    """The person who signed in with this e-mail address, with the roles of the settings."""
    current = settings()
    listed = {"reader": current.readers, "lead": current.leads, "trainer": current.trainers}
    roles = frozenset(role for role in get_args(Role) if _is_listed(address, listed[role]))
    return Person(address, roles)


def _is_listed(address: str, listed: str) -> bool:
    names = {name.strip().lower() for name in listed.split(",")}
    return EVERYBODY in names or address.strip().lower() in names - {""}
