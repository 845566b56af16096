"""Lines of any file, in bounded memory."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from billing import lines
from billing.lines import MAX_LINE_BYTES, read_lines

pieces = st.sampled_from([b"a", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"x" * MAX_LINE_BYTES, b"y" * 70_000])
contents = st.one_of(st.binary(max_size=300), st.lists(pieces, max_size=12).map(b"".join))


@given(contents)
def test_every_line_of_any_file_is_seen_once_and_the_last_one_ends_where_the_file_ends(content: bytes) -> None:
    seen = list(read_lines(BytesIO(content), 0, 0))

    expected = [line.rstrip(b"\r") for line in content.removesuffix(b"\n").split(b"\n")] if content else []
    assert [line.number for line in seen] == list(range(1, len(expected) + 1))
    assert [line.data for line in seen] == [line[:MAX_LINE_BYTES] for line in expected]
    assert [line.end for line in seen][-1:] == ([len(content)] if content else [])


@given(contents, st.data())
def test_reading_on_from_the_end_of_any_line_gives_the_lines_behind_it(content: bytes, data: st.DataObject) -> None:
    seen = list(read_lines(BytesIO(content), 0, 0))
    stop = data.draw(st.integers(0, len(seen)))
    last = seen[stop - 1] if stop else lines.Line(b"", 0, 0, False)

    rest = list(read_lines(BytesIO(content), last.end, last.number))

    assert rest == seen[stop:]


def test_the_longest_allowed_line_is_not_too_long_and_one_byte_more_is() -> None:
    longest = b"x" * MAX_LINE_BYTES

    for end in (b"", b"\n", b"\r\n"):
        assert not next(read_lines(BytesIO(longest + end), 0, 0)).is_too_long
        assert next(read_lines(BytesIO(longest + b"x" + end), 0, 0)).is_too_long


def test_a_line_without_end_is_never_held_as_a_whole() -> None:
    class Counting(BytesIO):
        largest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            data = super().readline(-1 if size is None else size)
            self.largest = max(self.largest, len(data))
            return data

    file = Counting(b"x" * 5_000_000)

    (line,) = read_lines(file, 0, 0)

    assert (line.is_too_long, line.end, len(line.data)) == (True, 5_000_000, MAX_LINE_BYTES)
    assert file.largest <= lines.SKIP_BYTES
