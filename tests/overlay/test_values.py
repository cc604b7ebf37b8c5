"""Which spellings of the domain's words are legal."""

from __future__ import annotations

import pytest

from overlay.refusals import Conflict, Invalid, Refusal
from overlay.values import DatapathId, HostName, Mac, Vni


def test_words_are_read_and_printed() -> None:
    """Each word prints as people write it, and is a number or a text to everything else."""
    assert (str(Mac.parse("02:00:00:00:00:FF")), Mac.parse("02:00:00:00:00:ff")) == (
        "02:00:00:00:00:ff",
        0x0200000000FF,
    )
    assert Vni.parse(1) == 1
    assert str(DatapathId.parse("000000000000002A")) == "000000000000002a"
    assert HostName.parse("rack1-host.a_b") == "rack1-host.a_b"


@pytest.mark.parametrize(
    ("parse", "text", "field"),
    [
        (Mac.parse, "02-00-00-00-00-01", "mac_address"),
        (Mac.parse, "01:00:00:00:00:01", "mac_address"),
        (Mac.parse, "00:00:00:00:00:00", "mac_address"),
        (Vni.parse, 0, "provider:segmentation_id"),
        (Vni.parse, 1 << 24, "provider:segmentation_id"),
        (DatapathId.parse, "2a", "datapath_id"),
        (HostName.parse, "", "binding:host_id"),
        (HostName.parse, "-x", "binding:host_id"),
    ],
)
def test_other_spellings_are_refused(parse: object, text: object, field: str) -> None:
    """A word that is not one is refused, and the refusal names the field."""
    with pytest.raises(Invalid) as refusal:
        parse(text)
    assert refusal.value.field == field


def test_refusals_know_their_kind() -> None:
    """A refusal says its HTTP status and Neutron's name, or its own where Neutron has none."""
    assert (Conflict("x").kind, Conflict("x").status, Conflict("x", kind="Y").kind) == ("Conflict", 409, "Y")
    assert Refusal("why").message == "why"
