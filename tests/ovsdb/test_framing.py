"""Are the messages found in whatever pieces the bytes come?"""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ovsdb.framing import Framer, ProtocolError

TEXT = st.text(st.sampled_from('ab{}[]"\\/\n\u00e9\U0001f600\x00'), max_size=12)
VALUE = st.recursive(TEXT | st.integers() | st.none(), lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v))
MESSAGE = st.dictionaries(TEXT, VALUE, max_size=4)


def feed(framer, *pieces):
    """All messages that these pieces complete."""
    return [message for piece in pieces for message in framer.feed(piece)]


@given(st.lists(MESSAGE, max_size=5), st.booleans(), st.data())
def test_any_cut_gives_the_same_messages(messages, ascii_only, data):
    """Messages come out as they went in, in order, wherever the stream is cut, also inside of a character."""
    stream = "".join(json.dumps(message, ensure_ascii=ascii_only) for message in messages).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert feed(Framer(1 << 20), *pieces) == messages


@given(MESSAGE)
def test_byte_by_byte(message):
    """A message that comes one byte at a time is complete with its last byte and not before."""
    stream = json.dumps(message).encode()
    framer = Framer(1 << 20)
    assert feed(framer, *(stream[i : i + 1] for i in range(len(stream) - 1))) == []
    assert feed(framer, stream[-1:]) == [message]


@pytest.mark.parametrize(
    "stream", [b"}", b'{"a":}', b'{"a":1,}', b"{]}", b'{"a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001]
)
def test_what_is_not_json_is_refused(stream):
    """Bytes that cannot be a message are an error of the protocol, whatever is wrong with them."""
    with pytest.raises(ProtocolError):
        feed(Framer(1 << 20), stream)


def test_limit():
    """A message that grows over the limit is refused before it is complete."""
    framer = Framer(1000)
    assert feed(framer, b'{"a":"', b"x" * 900) == []
    with pytest.raises(ProtocolError, match="1000"):
        feed(framer, b"x" * 200)


@pytest.mark.parametrize("filler", [b"x", b'"a",', b'"\\\\",', b"{},"])
def test_cost_is_linear(filler):
    """A message that is sixteen times as long takes about sixteen times as long, in however small pieces it comes."""
    start = b'{"a":"' if filler == b"x" else b'{"a":['
    pieces = [filler * (1024 // len(filler))]

    def cost(count):
        begun = time.process_time()
        feed(Framer(1 << 24), start, *pieces * count)
        return time.process_time() - begun

    assert min(cost(2048) for _ in range(3)) < 60 * min(cost(128) for _ in range(3))
