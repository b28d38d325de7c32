"""Digests: equal for equal content, and different for different content."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from vad.store import digests

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=50), st.integers(0, 50))
def test_pieces_have_the_digest_of_the_whole(data, cut):
    whole = hashlib.blake2b(data, digest_size=16).hexdigest()
    hasher = digests.new()
    hasher.update(data[:cut])
    hasher.update(data[cut:])
    assert digests.digest_bytes(data) == hasher.hexdigest() == whole
    assert len(whole) == 32


def test_files_have_the_digest_of_their_bytes_in_order(tmp_path):
    files = [tmp_path / name for name in "ab"]
    for file in files:
        file.write_bytes(file.name.encode() * 3)
    assert digests.digest_files(files) == digests.digest_bytes(b"aaabbb")
    assert digests.digest_files(files[::-1]) == digests.digest_bytes(b"bbbaaa")


@given(st.dictionaries(st.text(), VALUES, max_size=4), VALUES)
def test_the_order_of_keys_does_not_matter_and_values_do(value, other):
    turned = dict(reversed(value.items()))
    assert digests.digest(value) == digests.digest(turned)
    changed = {**value, "another key": other}
    assert digests.digest(changed) != digests.digest(value) or changed == value
