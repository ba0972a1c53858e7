"""Writes the schemas as a package of npm, for teams in other languages: `python -m im_callback.schemas.bundle FOLDER`."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from importlib.metadata import distributions, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

NAME = "im-callback-schemas"
PROJECT = "im-callback-conformance"
DIALECT = "dialect.schema.json"
_ENDING = ".schema.json"
_INDEX = """"use strict";

const index = require("./index.json");

/** Every event type: its name, and the file that describes it. */
exports.eventTypes = index.eventTypes;
/** What describes the answers to some of them. */
exports.answers = index.answers;
/** The dialect that all files are written in, for validators that want to know it. */
exports.dialect = require("./dialect.schema.json");
/** Returns the schema of an event type; throws a RangeError where there is none of this name. */
exports.schema = (name) => {
  const found = index.eventTypes.find((one) => one.name === name);
  if (found === undefined) throw new RangeError(`no event type is called ${name}; eventTypes lists them`);
  return require(`./${found.file}`);
};
"""
_TYPES = """export interface EventType {
  /** Provider and kind, as in `provider.kind`. */
  name: string;
  provider: string;
  /** The provider's callback service that delivers it; null: its first. */
  feed: string | null;
  /** The provider's own code. */
  code: string | null;
  /** undocumented: the documents name it and describe nothing more. */
  status: "documented" | "undocumented";
  /** Its schema, from the root of this package. */
  file: string;
  /** JSON Pointers: two events that agree in all of these are the same event; null: it cannot be told. */
  identity: string[] | null;
}

export interface Answer {
  file: string;
  /** The event types that it answers. */
  to: string[];
}

export type Schema = Record<string, unknown>;
export declare const eventTypes: EventType[];
export declare const answers: Answer[];
export declare const dialect: Schema;
export declare function schema(name: string): Schema;
"""


def contents() -> dict[str, bytes]:
    """Return the files of the package by their paths in it."""
    ours = files("im_callback.schemas")
    found = {DIALECT: (ours / DIALECT).read_bytes(), "README.md": (ours / "README.md").read_bytes()}
    index: dict[str, list[dict[str, Any]]] = {"eventTypes": [], "answers": []}
    for folder in sorted((one for one in ours.iterdir() if one.is_dir()), key=lambda one: one.name):
        for name, content in _schemas(folder):
            found[name] = content
            schema = json.loads(content)
            if "x-event-type" in schema:
                index["eventTypes"].append(_event_type(name, schema))
            else:
                index["answers"].append({"file": name, "to": schema["x-response-to"]})
    found["LICENSE"] = _licence().encode()
    found["index.json"] = _text(index)
    found["index.js"] = _INDEX.encode()
    found["index.d.ts"] = _TYPES.encode()
    found["package.json"] = _text(_description(version(PROJECT)))
    return found


def tarball(package: dict[str, bytes]) -> bytes:
    """Return the archive that `npm install FILE` takes; the same files give the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, content in sorted(package.items()):
            one = tarfile.TarInfo(f"package/{name}")
            one.size, one.mode = len(content), 0o644
            archive.addfile(one, io.BytesIO(content))
    return packed.getvalue()


def main(arguments: list[str]) -> int:
    """Write the package and its archive below a folder, say where, and return the exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("error: give the folder to write to: python -m im_callback.schemas.bundle FOLDER\n")
        return 2
    package = contents()
    folder = Path(arguments[0])
    for name, content in package.items():
        file = folder / NAME / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    archive = folder / f"{NAME}-{version(PROJECT)}.tgz"
    archive.write_bytes(tarball(package))
    sys.stdout.write(f"{archive}\n")
    return 0


def _licence() -> str:
    """Return the licence: from the metadata of the wheel, which in a checkout are not all there is, or beside the folder."""
    kept = (one.read_text("licenses/LICENSE") for one in distributions(name=PROJECT))
    return next(filter(None, kept), None) or (Path(__file__).parents[1] / "LICENSE").read_text("utf-8")


def _schemas(folder: Traversable) -> list[tuple[str, bytes]]:
    found = [one for one in folder.iterdir() if one.name.endswith(_ENDING)]
    return sorted((f"{folder.name}/{one.name}", one.read_bytes()) for one in found)


def _event_type(file: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": schema["x-event-type"],
        "provider": schema["x-event-type"].partition(".")[0],
        "feed": schema.get("x-feed"),
        "code": schema.get("x-code"),
        "status": schema["x-status"],
        "file": file,
        "identity": schema["x-identity"],
    }


def _description(number: str) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": number,
        "description": "JSON Schemas of the callbacks of IM services, with identity and order.",
        "license": "Apache-2.0",
        "main": "./index.js",
        "types": "./index.d.ts",
        "exports": {
            ".": {"types": "./index.d.ts", "default": "./index.js"},
            "./index.json": "./index.json",
            "./package.json": "./package.json",
            "./*.schema.json": "./*.schema.json",
        },
    }


def _text(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
