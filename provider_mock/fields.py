"""Fields of payloads that users set, typed as `/pointer=value`."""

from __future__ import annotations

from typing import Any

from im_callback.schemas import PointerError, jsontext, replace, resolve


class BadField(ValueError):
    """What was typed cannot be set; the text says why and what to give."""


def parted(assignment: str) -> tuple[str, str]:
    """Return pointer and value as typed; raises `BadField`."""
    pointer, equals, text = assignment.partition("=")
    if not equals:
        raise BadField("give it as /pointer=value")
    if any("\ud800" <= character <= "\udfff" for character in assignment):
        # Other bytes come in as lone surrogates.
        raise BadField("it is not UTF-8; give it in UTF-8")
    return pointer, text


def value_for(payload: Any, pointer: str, text: str) -> Any:
    """Return the value that the text stands for: text where the payload has text or nothing, else JSON.

    Raises `BadField`, also where the pointer is none.
    """
    try:
        return text if isinstance(resolve(payload, pointer, ""), str) else jsontext.parse(text)
    except PointerError as error:
        raise BadField(str(error)) from None
    except ValueError:
        raise BadField(f"{pointer} holds no text; give the value as JSON") from None


def with_field(payload: Any, pointer: str, value: Any) -> Any:
    """Return the payload with the value there; raises `BadField`."""
    try:
        return replace(payload, pointer, value)
    except PointerError as error:
        raise BadField(str(error)) from None
