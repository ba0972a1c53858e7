"""The fault `reset`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Failing, attribute
from im_callback.provider_mock.delivery.plan import Transport


@dataclass(frozen=True)
class Reset(Failing):
    """Reset the connection (RST) after the request, and send again."""

    name: ClassVar[str] = "reset"

    missing: int = attribute(0, "bytes of the body that do not go out before", least=0)

    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""
        return replace(transport, reset=True, body_limit=-self.missing if self.missing else transport.body_limit)


FAULT = Reset
