"""A guest's first word is the first that is seen at its host after RESUME."""

from __future__ import annotations

import struct

import pytest

from bench.waking import Words, times


def test_a_capture_tells_when_each_frame_was_seen():
    """Every frame of a capture with nanoseconds has its time, one that was cut off in the end as well."""
    frames = b"".join(struct.pack("=IIII", 7, at, 4, 64) + b"abcd" for at in (5, 9))
    head = struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 64, 113)
    assert list(times(head + frames)) == [7_000_000_005, 7_000_000_009]
    assert list(times(head + frames[:-2])) == [7_000_000_005, 7_000_000_009]
    assert list(times(head)) == []


@pytest.mark.parametrize("capture", [b"", struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 64, 113)])
def test_anything_else_is_refused(capture):
    """A file without times in nanoseconds is not guessed at."""
    with pytest.raises(ValueError, match="nanoseconds"):
        list(times(capture))


def test_the_first_word_is_looked_for_at_its_host():
    """Words before RESUME, or at another host, do not count."""
    words = Words({"h2": [10, 20, 30], "h3": [15]})
    assert words.first("h2", 12) == 20
    assert words.first("h2", 31) is None
    assert words.first("h4", 0) is None
