"""Hypothesis strategies: what is signed, with what, and how it is written."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from im_callback.provider_mock.contract import Credentials, Stamp
from im_callback.provider_mock.wire import Wire

#: Every run tries the same examples, however slow the machine is.
repeatable = settings(derandomize=True, deadline=None, max_examples=50)

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

#: Long enough that it cannot turn up by chance, and of all sorts of characters.
secrets = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda text: f"a-secret-{text}")
app_keys = st.text(LETTERS, min_size=1, max_size=32) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1
)
credentials = st.builds(Credentials, app_keys, secrets)
millis = st.integers(min_value=0, max_value=2**43)
nonces = st.text("0123456789", min_size=1, max_size=18)
stamps = st.builds(Stamp, millis, nonces)
bodies = st.binary(max_size=200)

keys = st.text(max_size=6) | st.sampled_from(["Aa", "BB", "a/b", "eventType", "msgTimestamp", "键"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
    | st.sampled_from(["http://a/b", "\\/", "\u2028", "\x00", "</script>", "中文"])
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=20), max_leaves=25
)
wires = st.builds(
    Wire,
    key_order=st.sampled_from(["documented", "alphabetical", "java-hashmap"]),
    escapes=st.sampled_from(["raw", "slashes", "unicode"]),
    spaces=st.booleans(),
    tail=st.sampled_from(["", "\n", "\r\n", "  "]),
    integers_as_floats=st.booleans(),
    header_case=st.sampled_from(["documented", "lower", "upper"]),
    content_type=st.sampled_from(["application/json", "application/json;charset=utf-8", None]),
    chunked=st.booleans(),
)
