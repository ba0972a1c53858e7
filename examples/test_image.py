"""The container image's definition builds from wheels alone: its steps, as they stand, in a folder in place of the root.

Not part of `make test`: the wheels come from package registries. Nothing else does: where the kernel lets us, the steps run
without a network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from im_callback.conformance.around.command import free_port

from tests.programs import spawned

ROOT = Path(__file__).parents[1]
TOKEN = "a-token-for-tests"
#: What the steps write to, below the root of the image.
PLACES = ("/opt/provider-mock", "/tmp/wheelhouse", "/data")
DEAD = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Image:
    """What a definition says: each instruction with its text."""

    steps: tuple[tuple[str, str], ...]

    def of(self, instruction: str) -> str:
        """Return the text of the last such instruction."""
        return [text for name, text in self.steps if name == instruction][-1]


def read(text: str) -> Image:
    """Return a definition without its comments, continued lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return Image(
        tuple((name, rest.strip()) for name, _, rest in (one.partition(" ") for one in joined.splitlines()) if name)
    )


IMAGE = read((ROOT / "Containerfile").read_text(encoding="utf-8"))
FOR_PEOPLE = (ROOT / "Containerfile").read_text(encoding="utf-8")


def without_network() -> list[str]:
    """Return what runs a command without a network; nothing where that is not allowed."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return []
    command = [unshare, "--net"] if os.geteuid() == 0 else [unshare, "--map-root-user", "--net"]
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if tried.returncode == 0 else []


def placed(text: str, folder: Path) -> str:
    """Return a command with the places of the image below a folder, and the user who runs it."""
    for place in PLACES:
        text = text.replace(place, f"{folder}{place}")
    return text.replace("chown 10001:10001", f"chown {os.getuid()}:{os.getgid()}")


@pytest.fixture(scope="module")
def built(shop: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for the image's root; the wheels were made by the command at the head of the definition."""
    folder = tmp_path_factory.mktemp("image")
    for place in ("/opt", "/tmp"):
        Path(f"{folder}{place}").mkdir()
    wheels = re.search(r"^#   (pip wheel --wheel-dir wheelhouse '\.(\[.*?\])')", FOR_PEOPLE, re.MULTILINE)
    assert wheels is not None
    # From the wheel of `shop`: built in place, it would leave files in the checkout.
    command = wheels[1].replace(f"'.{wheels[2]}'", f"'im-callback-conformance{wheels[2]}'")
    subprocess.run(["bash", "-euc", command], cwd=folder, env={**os.environ, **shop}, check=True)
    source, target = IMAGE.of("COPY").split()
    shutil.copytree(folder / source, f"{folder}{target}")
    alone = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_INDEX_URL": DEAD, "PIP_RETRIES": "0"}
    for name, text in IMAGE.steps:
        if name == "RUN":
            ran = subprocess.run(
                [*without_network(), "sh", "-euc", placed(text, folder)],
                cwd=folder, env=alone, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of the image."""
    name, _, value = IMAGE.of("ENV").partition("=")
    return {name: placed(value, folder).replace(f"${name}", os.environ[name]), "PROVIDER_MOCK_TOKEN": TOKEN}


def test_definition() -> None:
    """No root, nothing fetched, a base that can be named by its digest, and nothing sent to the builder but wheels."""
    assert {
        "ARG",
        "FROM",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "WORKDIR",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    } == {name for name, _ in IMAGE.steps}
    assert "${BASE}" == IMAGE.of("FROM")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", IMAGE.of("USER"))
    assert all("--no-index" in text for name, text in IMAGE.steps if name == "RUN" and "pip install" in text)
    # Their own format has no health check.
    assert "buildah build --network none --format docker " in FOR_PEOPLE
    assert ["*", "!wheelhouse"] == (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.xdist_group("image")
def test_version(built: Path) -> None:
    """The entry point is the command; the wheels are gone."""
    ran = subprocess.run(
        [*json.loads(IMAGE.of("ENTRYPOINT")), "--version"],
        env=environment(built),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("provider-mock, version ")
    assert not (built / "tmp" / "wheelhouse").exists()


@pytest.mark.xdist_group("image")
def test_serves(built: Path) -> None:
    """Without further words it serves, in its folder for data; the health check says so, and says no once it is gone."""
    port = free_port()
    command = [*json.loads(IMAGE.of("ENTRYPOINT")), *json.loads(IMAGE.of("CMD")), "--port", str(port)]
    check = json.loads(IMAGE.of("HEALTHCHECK").partition("CMD ")[2].replace(f":{IMAGE.of('EXPOSE')}/", f":{port}/"))
    healthy = lambda: subprocess.run(check, env=environment(built), capture_output=True, check=False).returncode == 0  # noqa: E731
    with spawned(
        command, cwd=f"{built}{IMAGE.of('WORKDIR')}", env=environment(built), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["apps"] == []
        assert healthy()
        process.terminate()
        assert process.wait(30) == 0
    assert not healthy()
    assert (built / "data" / "provider-mock.db").exists()
