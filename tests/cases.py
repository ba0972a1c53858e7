"""One test for many cases that differ in their data only.

A test costs some milliseconds to collect, start and report, many times what a look at one payload does. Where the
cases are the whole catalogue, one test looks at all of them, and names every one that is wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., None])
NAMED = 10
"""How many wrong cases are told in full."""


def in_each(
    arguments: str | Sequence[str], cases: Iterable[Any], *, ids: Callable[[Any], str] | None = None
) -> Callable[[Test], Test]:
    """Return what makes a test that gets these arguments one that goes through all cases, then tells which are wrong.

    It takes what `pytest.mark.parametrize` takes. The cases share the test's fixtures.
    """
    names = [arguments] if isinstance(arguments, str) else list(arguments)
    listed = list(cases)
    assert listed, "there are no cases"

    def together(test: Test) -> Test:
        signature = inspect.signature(test)

        @wraps(test)
        def whole(*args: Any, **fixtures: Any) -> None:
            wrong: list[tuple[str, Exception]] = []
            for case in listed:
                values = getattr(case, "values", None) if hasattr(case, "marks") else None
                given = values or ((case,) if isinstance(arguments, str) else case)
                try:
                    test(*args, **fixtures, **dict(zip(names, given, strict=True)))
                except Exception as error:
                    name = getattr(case, "id", None) or " ".join(ids(one) if ids else _told(one) for one in given)
                    wrong.append((name, error))
            if wrong:
                told = "\n".join(f"[{name}] {type(error).__name__}: {error}" for name, error in wrong[:NAMED])
                more = f"\nand {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
                raise AssertionError(f"{len(wrong)} of {len(listed)} cases:\n{told}{more}") from wrong[0][1]

        kept = [one for name, one in signature.parameters.items() if name not in names]
        whole.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return whole  # type: ignore[return-value]

    return together


def _told(value: Any) -> str:
    return str(getattr(value, "name", value))[:60]
