"""The package, built once, and a process in which it is installed for one test."""

from __future__ import annotations

from pathlib import Path

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Provider

from tests.plugin_provider.installed import install


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the package is installed."""
    return install(tmp_path_factory.mktemp("acme"))


@pytest.fixture
def acme(site: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The provider of the package, which is installed here until the test ends."""
    monkeypatch.syspath_prepend(str(site))
    return providers.load("acme")
