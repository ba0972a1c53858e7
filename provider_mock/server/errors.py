"""What the service refuses, and why: sentences that name the field and the fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objection:
    """One thing that is wrong with what was given. No value that could be a secret is ever in it.

    `field` is a JSON Pointer into the request's body (`/events/3/payload/eventType`), or the name
    of an argument without a slash; empty where it is about the whole.
    """

    field: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}; {self.fix}" if self.field else f"{self.problem}; {self.fix}"


class ServiceError(Exception):
    """Anything that the service refuses. `problems` has at least one entry."""

    def __init__(self, problems: Sequence[Objection]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))

    @classmethod
    def of(cls, field: str, problem: str, fix: str) -> ServiceError:
        """Return the error with one problem."""
        return cls([Objection(field, problem, fix)])


class NotFound(ServiceError, LookupError):
    """There is nothing of this name or id."""


class Conflict(ServiceError, ValueError):
    """It cannot be done as things stand: an app of the file, a name that is taken, a key that is used already."""


class Invalid(ServiceError, ValueError):
    """What was given cannot be used."""


class Unavailable(ServiceError, ConnectionError):
    """It cannot be done now, and may be later.

    A database that does not answer is `im_callback.provider_mock.delivery.ledger.LedgerUnavailable` instead, as the ledger
    raises it; both mean 503 to a client.
    """
