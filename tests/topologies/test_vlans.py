"""A server's card gives frames their tag and takes it off."""

from topologies.vlans import tagged, untagged

FRAME = bytes(range(14)) + b"something to say"


def test_a_tag_is_given_and_taken() -> None:
    """What went out by a VLAN is that VLAN's when it comes in, without its tag; VLAN 0 has none."""
    assert tagged(FRAME, 100)[12:16] == b"\x81\x00\x00\x64"
    assert untagged(tagged(FRAME, 100)) == (100, FRAME)
    assert tagged(FRAME, 0) == FRAME
    assert untagged(FRAME) == (0, FRAME)


def test_a_priority_is_no_vlan() -> None:
    """The upper bits of a tag are not the VLAN's, and a frame that ends in its tag has none."""
    frame = FRAME[:12] + b"\x81\x00\xe0\x07" + FRAME[12:]
    assert untagged(frame) == (7, FRAME)
    assert untagged(FRAME[:12] + b"\x81\x00\xe0") == (0, FRAME[:12] + b"\x81\x00\xe0")
