"""Who works with the program, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hemodetect.errors import HemodetectError
from hemodetect.settings import settings

Role = Literal["reader", "lead", "trainer"]
"""A reader reads, a lead makes review sessions and sees their results, a trainer changes models."""
EVERYBODY = "*"
LONGEST_NAME = 200


class NotAllowed(HemodetectError):
    """Somebody asked for something that their roles do not cover."""


@dataclass(frozen=True)
class Person:
    """Somebody who is known by a name.

    Attributes:
        name: what is written down with all they do; an e-mail address where they signed in.
        roles: what they may do.
    """

    name: str
    roles: frozenset[Role]

    def require(self, role: Role) -> None:
        """Raises `NotAllowed` where the person has no name or not this role."""
        if not self.name.strip():
            raise NotAllowed("A name is needed: it is kept with what you do.")
        if len(self.name) > LONGEST_NAME:
            raise NotAllowed(f"A name has at most {LONGEST_NAME} characters.")
        if role not in self.roles:
            raise NotAllowed(
                f"{self.name} has not the role {role}; ask who runs this server for it."
            )


def local_person(name: str) -> Person:
    """Who uses a program without sign-in; may do everything."""
    return Person(name.strip(), frozenset(get_args(Role)))


def signed_in_person(address: str) -> Person:
    """Who signed in with this e-mail address, with the roles that the settings give them."""
    own = settings()
    given = {"reader": own.readers, "lead": own.leads, "trainer": own.trainers}
    roles = frozenset(role for role in get_args(Role) if _named(address, given[role]))
    return Person(address, roles)


def _named(address: str, listed: str) -> bool:
    names = {name.strip().lower() for name in listed.split(",")}
    return EVERYBODY in names or address.strip().lower() in names - {""}
