"""The fault `reuse-connection`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import attribute
from im_callback.provider_mock.delivery.plan import Plan


@dataclass(frozen=True)
class ReuseConnection:
    """Send all deliveries over the same kept-alive connections, one request at a time on each."""

    name: ClassVar[str] = "reuse-connection"

    connections: int = attribute(1, "connections that take turns", least=1)

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with a named connection for every step."""
        del rng
        return tuple(replace(step, connection=f"kept {step.index % self.connections + 1}") for step in plan)


FAULT = ReuseConnection
