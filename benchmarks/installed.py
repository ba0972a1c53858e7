"""Measures what `pip install` brings: packages and megabytes, beside pytest alone.

Run it from the repository's root: `python -m benchmarks.installed`. The wheel is built from the checkout, and each row is
an environment of its own with the newest packages of today. Counted is what is new in it: packages, and the bytes of their
files as they were unpacked, without bytecode.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "im-callback-conformance"
EXTRAS = ("server", "load", "traffic", "sql", "redis", "explore")
COUNT = """
import json
from importlib.metadata import distributions
found = [one for one in distributions() if one.metadata["Name"].lower() not in ("pip", "setuptools")]
sizes = [sum(file.locate().stat().st_size for file in one.files or () if file.locate().is_file()) for one in found]
print(json.dumps({one.metadata["Name"]: size for one, size in zip(found, sizes)}))
"""


@dataclass(frozen=True)
class Brought:
    """What an environment holds: bytes by package."""

    title: str
    sizes: dict[str, int]

    @property
    def megabytes(self) -> float:
        """All of it, in MB."""
        return sum(self.sizes.values()) / 1e6


def built(folder: Path) -> Path:
    """Return the wheel of the checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def brought(title: str, wanted: str, folder: Path) -> Brought:
    """Install it in an environment of its own."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile", wanted)
    subprocess.run(pip, check=True)
    counted = subprocess.run([python, "-I", "-c", COUNT], check=True, capture_output=True, text=True).stdout
    return Brought(title, json.loads(counted))


def main() -> None:
    """Install, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", nargs="*", choices=EXTRAS, default=[], help="also with these extras, one by one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = built(folder)
        wanted = [("pytest alone", "pytest"), (NAME, str(wheel))]
        wanted += [(f"{NAME}[{extra}]", f"{wheel}[{extra}]") for extra in options.extras]
        found = [brought(title, what, folder / f"venv-{number}") for number, (title, what) in enumerate(wanted)]
    alone, ours = found[:2]
    print(f"{'':<40}{'packages':>9}{'MB':>7}")
    for one in found:
        print(f"{one.title:<40}{len(one.sizes):>9}{one.megabytes:>7.1f}")
    print(f"the wheel itself: {ours.sizes[NAME] / 1e6:.1f} MB unpacked")
    largest = sorted(ours.sizes.items(), key=lambda item: -item[1])[:5]
    print(f"the largest: {', '.join(f'{name} {size / 1e6:.1f}' for name, size in largest)}")
    print(
        f"beside pytest alone: {len(ours.sizes) - len(alone.sizes)} packages more, "
        f"{ours.megabytes / alone.megabytes:.1f} x the megabytes"
    )


if __name__ == "__main__":
    main()
