"""The fault `truncate`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Failing, attribute
from im_callback.provider_mock.delivery.plan import Transport


@dataclass(frozen=True)
class Truncate(Failing):
    """Close the connection in the middle of the body, whose Content-Length promises all of it, and send again."""

    name: ClassVar[str] = "truncate"

    missing: int = attribute(16, "bytes of the body that do not go out", least=1)

    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""
        return replace(transport, body_limit=-self.missing)


FAULT = Truncate
