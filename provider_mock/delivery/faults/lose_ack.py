"""The fault `lose-ack`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Failing
from im_callback.provider_mock.delivery.plan import Transport


@dataclass(frozen=True)
class LoseAck(Failing):
    """Close the connection as soon as the reply begins, without reading it, and send again."""

    name: ClassVar[str] = "lose-ack"

    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""
        return replace(transport, read_reply=False)


FAULT = LoseAck
