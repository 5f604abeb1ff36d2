"""What a snapshot is made of: texts in files, arrays and counts that grow while others read them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.shop.arrays import Ids, Texts, Writer, mapped, mapped_for_writing, written
from modiste.shop.snapshot import Matrix, Sales

texts = st.lists(st.text(max_size=9), max_size=12)


@pytest.mark.parametrize("filed", [False, True])
def test_texts_come_back_one_by_one_from_memory_and_from_a_file(tmp_path, filed):
    given = ["", "Kleid", "\U0001f457 robe", "", "é\n\0", "x" * 5000, ""]
    writer = Writer(tmp_path if filed else None, len(given) + 2)
    for one in given:
        writer.write(one)
    found = writer.texts()
    assert [found[row] for row in range(len(found))] == given
    assert list(tmp_path.iterdir()) == [], "the file goes when nobody reads it"


@given(texts)
def test_any_texts_come_back(given):
    writer = Writer(None, len(given))
    for one in (text.encode(errors="replace").decode() for text in given):
        writer.write(one)
    found = writer.texts()
    assert list(found) == [text.encode(errors="replace").decode() for text in given]


def test_texts_of_a_file_that_was_cut_short_are_refused(tmp_path):
    (tmp_path / "texts").write_bytes(b"abcd")
    with (tmp_path / "texts").open("rb") as file, pytest.raises(ValueError, match="cut short"):
        Texts.of(np.array([3, 9]), file)


def test_ids_are_those_of_the_base_and_those_that_came_since():
    more = ["c"]
    earlier = Ids(["a", "b"], more, 3)
    more.append("d")
    assert list(earlier) == ["a", "b", "c"]
    assert list(Ids(["a", "b"], more, 4)) == ["a", "b", "c", "d"]


@given(st.integers(0, 6), st.dictionaries(st.integers(0, 12), st.integers(0, 2), max_size=8))
def test_what_others_read_is_not_written_over(used, changes):
    array = np.zeros(8, np.int64)
    rows, values = np.array(list(changes), np.int64), list(changes.values())
    before = array[:used].copy()
    after = written(array, used, rows, values)
    assert np.array_equal(array[:used], before)
    assert after[rows].tolist() == values
    kept = np.setdiff1d(np.arange(used), rows)
    assert not after[kept].any()
    if not any(changes[row] for row in changes if row < used) and max(changes, default=0) < 8:
        assert after is array, "shared where nothing of theirs changes and there is room"


def test_a_map_of_a_matrix_s_file_is_one_s_own_to_write(tmp_path: Path):
    shared = mapped_for_writing(tmp_path / "vectors", 3, 2)
    shared[1] = (1, 2)
    mine = mapped(tmp_path / "vectors", 4, 2)
    assert mine.tolist() == [[0, 0], [1, 2], [0, 0], [0, 0]]
    mine[1] = (3, 4)
    assert mapped(tmp_path / "vectors", 4, 2)[1].tolist() == [1, 2]


vectors_by_row = st.dictionaries(st.integers(0, 5), st.integers(1, 3), max_size=4)


@given(
    st.lists(st.tuples(vectors_by_row, st.sets(st.integers(0, 5), max_size=3), st.integers(0, 3)), max_size=8),
    st.booleans(),
)
def test_a_matrix_that_changes_leaves_the_earlier_ones_as_they_were(steps, filed):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors"
        array = mapped_for_writing(file, 4, 2)
        matrix = Matrix(mapped(file, 4, 2) if filed else array, np.zeros(4, bool), file=file if filed else None)
        model: dict[int, int] = {}
        rows, earlier = 0, []
        for fresh, gone, more in steps:
            used, rows = rows, rows + more
            put = {row: value for row, value in fresh.items() if row < rows and row not in gone}
            lost = {row for row in gone if row < rows}
            lost |= {row for row in range(used, rows) if row not in put}
            values = np.array([[value, value + 1] for value in put.values()], np.float32).reshape(-1, 2)
            matrix = matrix.changed(used, rows, np.array(list(put), np.int64), values, np.array(sorted(lost), np.int64))
            model = {row: value for row, value in model.items() if row not in lost} | put
            earlier.append((matrix, rows, dict(model)))
            for one, count, expected in earlier:
                has = np.flatnonzero(one.has[:count]).tolist()
                assert has == sorted(expected)
                assert [one.vectors[row].tolist() for row in has] == [[expected[row], expected[row] + 1] for row in has]
        del matrix, earlier


changes = st.dictionaries(st.tuples(st.integers(0, 3), st.integers(1, 6)), st.integers(0, 3), max_size=5)


@given(st.lists(changes, max_size=7))
def test_sales_are_what_was_counted_last_and_earlier_ones_stay(steps):
    sales, model, earlier = Sales(np.zeros(0, np.int64), np.zeros(0, np.int32)), {}, []
    for some in steps:
        sales = sales.changed((row, day, bought) for (row, day), bought in some.items())
        model = model | some
        earlier.append((sales, dict(model)))
        for one, expected in earlier:
            there = {key: bought for key, bought in expected.items() if bought}
            assert one.day == max((day for _, day in there), default=-1)
            keys, bought = one.all()
            assert keys.tolist() == sorted(keys.tolist())
            assert dict(zip(keys[bought > 0].tolist(), bought[bought > 0].tolist(), strict=True)) == {
                Sales.key(row, day): count for (row, day), count in there.items()
            }
            found = [tuple(map(int, one)) for one in zip(*one.rows_days(), strict=True)]
            assert found == [(row, day, count) for (row, day), count in sorted(there.items())]
            for row in range(4):
                of_row = [(row, day, count) for (which, day), count in sorted(there.items()) if which == row]
                assert [found for found in one.of([row]) if found[2]] == of_row
                worth = sum(count * 2.0 ** ((day - one.day) / 3.0) for _, day, count in of_row)
                assert one.sums(4, 3.0)[row] == pytest.approx(worth)
                assert one.sums(4, None)[row] == sum(count for _, _, count in of_row)
