"""The event types that the tests of traffic go through."""

from __future__ import annotations

from im_callback.provider_mock import providers

from tests.cases import in_each

NOW = 1_767_225_600_000
TYPES = [one for name in ("commsease", "rongcloud", "tencent") for one in providers.load(name).catalogue]
BY_NAME = {one.name: one for one in TYPES}
DESCRIBED = [one for one in TYPES if one.status == "documented"]
VARIED = [(one, variant) for one in DESCRIBED for variant in one.variants]
each = in_each("event_type", DESCRIBED, ids=lambda one: one.name)
each_variant = in_each(("event_type", "variant"), VARIED)
