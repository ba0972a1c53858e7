"""The event types that the tests of traffic go through."""

from __future__ import annotations

import pytest
from im_callback.provider_mock import providers

NOW = 1_767_225_600_000
TYPES = [one for name in ("commsease", "rongcloud", "tencent") for one in providers.load(name).catalogue]
BY_NAME = {one.name: one for one in TYPES}
DESCRIBED = [one for one in TYPES if one.status == "documented"]
VARIED = [(one, variant) for one in DESCRIBED for variant in one.variants]
each = pytest.mark.parametrize("event_type", DESCRIBED, ids=lambda one: one.name)
each_variant = pytest.mark.parametrize(
    ("event_type", "variant"), VARIED, ids=[f"{one.name}/{variant}" for one, variant in VARIED]
)
