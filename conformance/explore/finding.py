"""The file of a finding: a script, which invariant it broke at which feed, and how often. Written, and read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from im_callback.conformance.explore.judging import Invariant
from im_callback.conformance.explore.script import Script, from_json, to_json
from im_callback.conformance.text_files import text_of

FORMAT = "receiver-finding"
VERSION = 1


class NoFinding(ValueError):
    """A file that does not hold a finding, or none that can be played here; the text says why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A script that broke an invariant at a feed: `failed` of the `of` times that it was played."""

    provider: str
    feed: str
    invariant: Invariant
    script: Script
    failed: int
    of: int

    @property
    def name(self) -> str:
        """The file's name: the same script at the same feed has the same."""
        said = json.dumps([self.provider, self.feed, to_json(self.script)], sort_keys=True)
        return f"{FORMAT}-{self.invariant}-{hashlib.sha256(said.encode()).hexdigest()[:8]}.json"


def written(one: Recorded, *, seed: int, made_by: str, timeline: Sequence[str]) -> str:
    """Return the text of the file."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "provider": one.provider,
        "feed": one.feed,
        "invariant": one.invariant,
        "failed": one.failed,
        "of": one.of,
        "seed": seed,
        "made_by": made_by,
        **to_json(one.script),
        "timeline": list(timeline),
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def read(path: Path) -> Recorded:
    """Return what a file holds; `NoFinding` if that is no finding of this version."""
    try:
        document = json.loads(text_of(path.read_bytes()))
    except OSError as error:
        raise NoFinding(f"it cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise NoFinding(f"it is not JSON ({error}); give a file that --receiver-explore has written") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NoFinding('it is no finding (its "format" is not "receiver-finding"); give one of --receiver-explore')
    if document.get("version") != VERSION:
        raise NoFinding(
            f"it is of version {document.get('version')!r}, and this package reads {VERSION}; explore again with it"
        )
    for problem in _validator().iter_errors(document):
        place = "/".join(map(str, problem.absolute_path)) or "the document"
        raise NoFinding(f"{place}: {problem.message[:200]}; give the file as --receiver-explore has written it")
    try:
        script = from_json(document)
    except ValueError as error:
        raise NoFinding(f"{error}; give the file as --receiver-explore has written it") from None
    return Recorded(
        document["provider"],
        document["feed"],
        cast("Invariant", document["invariant"]),
        script,
        document["failed"],
        document["of"],
    )


@lru_cache(maxsize=1)
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads((files(__package__) / "finding.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)
