"""Whichever connections come, wait, work and go, the one that makes way is the first of the longest line."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.connections.places import Places
from tests.support.examples import examples

steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 12), st.sampled_from(["", "web", "app"])),
        st.tuples(st.just("arrive"), st.integers(0, 12), st.just("")),
        st.tuples(st.just("leave"), st.integers(0, 12), st.just("")),
        st.tuples(st.just("make way"), st.just(0), st.just("")),
    ),
    max_size=60,
)


@settings(max_examples=examples(100))
@given(steps)
def test_lines_are_as_a_plain_list_has_them(taken: list[tuple[str, int, str]]) -> None:
    places: Places[int] = Places()
    plain: list[tuple[int, str]] = []
    new: list[int] = []
    for what, connection, source in taken:
        if what == "make way":
            found = places.make_way()
            if found is None:
                assert plain == []
                continue
            gone, its = found
            lengths = {name: [line for _, line in plain].count(name) for _, name in plain}
            line = next(name for each, name in plain if each == gone)
            assert its == line
            assert lengths[line] == max(lengths.values())
            assert gone == next(each for each, name in plain if name == line)
            plain = [pair for pair in plain if pair[0] != gone]
            continue
        plain = [pair for pair in plain if pair[0] != connection]
        new = [each for each in new if each != connection]
        if what == "arrive":
            new.append(connection)
            assert places.arrive(connection, 3) == (new[0] if len(new) > 3 else None)
        elif what == "wait":
            places.wait(connection, source)
            plain.append((connection, source))
        else:
            places.leave(connection)
        assert places.newcomers == len(new)
        assert [each for each in range(13) if places.is_new(each)] == sorted(new)
