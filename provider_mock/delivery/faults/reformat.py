"""The fault `reformat`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

from im_callback.provider_mock.delivery.fault import Changing, attribute
from im_callback.provider_mock.delivery.plan import Step

KeyOrder = Literal["documented", "alphabetical", "java-hashmap"]
Escapes = Literal["raw", "slashes", "unicode"]


@dataclass(frozen=True)
class Reformat(Changing):
    """Write the body's JSON in another way that means the same."""

    name: ClassVar[str] = "reformat"

    key_order: str = attribute(
        "alphabetical", "order of the keys", choices=("documented", "alphabetical", "java-hashmap")
    )
    escapes: str = attribute("raw", "how characters are escaped", choices=("raw", "slashes", "unicode"))
    spaces: bool = attribute(True, "whether there is white space")
    newline: bool = attribute(False, "whether there is a line break at the end")
    floats: bool = attribute(False, "whether whole numbers are written as 1.0")

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        wire = replace(
            step.wire,
            key_order=cast("KeyOrder", self.key_order),
            escapes=cast("Escapes", self.escapes),
            spaces=self.spaces,
            tail="\n" if self.newline else "",
            integers_as_floats=self.floats,
        )
        return replace(step, wire=wire)


FAULT = Reformat
