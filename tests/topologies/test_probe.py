"""The measuring programs count what really came."""

from __future__ import annotations

import select

import pytest

from topologies import probe
from topologies.probing import Trace


def test_a_checksum_makes_its_message_sum_to_nothing():
    """A message with its checksum in it has the checksum 0, and the example of RFC 1071 §3 comes out."""
    assert probe.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    message = b"\x08\x00\x00\x00abcdef"
    whole = message[:2] + probe.checksum(message).to_bytes(2) + message[4:]
    assert probe.checksum(whole) == 0


def test_a_trace_is_read_as_it_was_written(tmp_path):
    """Numbers, departures and arrivals of all probes come back in the order in which the probes came."""
    prober = probe.Prober("127.0.0.1", "127.0.0.1", 0, 0.001, 64)
    prober.sequences.extend([0, 2, 1])
    prober.departures.extend([10, 30, 20])
    prober.arrivals.extend([11, 31, 32])
    prober.socket.close()
    prober.write(str(tmp_path / "trace"))
    trace = Trace.read(tmp_path / "trace")
    assert [list(each) for each in (trace.numbers, trace.departures, trace.arrivals)] == [
        [0, 2, 1],
        [10, 30, 20],
        [11, 31, 32],
    ]


@pytest.mark.root
def test_the_kernel_answers_echoes():
    """Each echo that a machine's kernel sends back is a probe that came, and nothing else is one."""
    prober = probe.Echoing("127.0.0.1", "127.0.0.1", 7, 0.001, 64)
    other = probe.Echoing("127.0.0.1", "127.0.0.1", 8, 0.001, 64)
    try:
        for _ in range(3):
            prober.send()
            other.send()
        while len(prober.sequences) < 3:
            assert select.select([prober.socket], (), (), 10)[0]
            prober.hear()
        assert list(prober.sequences) == [0, 1, 2]
    finally:
        prober.socket.close()
        other.socket.close()
