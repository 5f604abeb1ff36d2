from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.catalog.palette import LABELS
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SourceError

PAPER = Taxonomy.load()
GROUPS = {
    "A": ["Tees_Tanks", "Blouses_Shirts", "Graphic_Tees", "Shirts_Polos"],
    "B": ["Shorts", "Pants", "Leggings", "Denim"],
    "C": ["Jackets_Coats", "Jackets_Vests"],
    "D": ["Dresses", "Skirts", "Rompers_Jumpsuits"],
    "E": ["Sweaters", "Cardigans", "Sweatshirts_Hoodies"],
    "F": ["Suiting"],
}
BETWEEN = {
    "AB": 0.2, "AC": 0.3, "AD": 0.1, "AE": 0.4, "AF": 0.2, "BC": 0.1, "BD": 0.1, "BE": 0.2, "BF": 0.2, "CD": 0.1,
    "CE": 0.4, "CF": 0.2, "DE": 0.1, "DF": 0.3, "EF": 0.2,
}  # fmt: skip
words = st.one_of(st.none(), st.sampled_from([*PAPER.categories, "jeans", "T-Shirt", "Shoes", "Hats", " "]), st.text())


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_papers_groups_hold_its_seventeen_categories() -> None:
    assert {name: list(members) for name, members in PAPER.groups.items()} == GROUPS
    assert PAPER.categories == tuple(name for members in GROUPS.values() for name in members)
    assert len(PAPER.categories) == 17


def test_similarity_is_one_to_itself_point_eight_in_a_group_and_the_papers_matrix_between_groups() -> None:
    for one, members in GROUPS.items():
        for other, others in GROUPS.items():
            for a in members:
                for b in others:
                    pair = "".join(sorted(one + other))
                    expected = 1.0 if a == b else 0.8 if one == other else BETWEEN[pair]
                    assert PAPER.similarity(a, b) == expected, (a, b)


def test_the_papers_matrix_is_positive_definite_with_smallest_eigenvalue_point_two() -> None:
    assert np.linalg.eigvalsh(PAPER.matrix(PAPER.categories))[0] == pytest.approx(0.2, abs=1e-9)


@given(words, words)
def test_similarity_is_symmetric_and_between_zero_and_one(a: str | None, b: str | None) -> None:
    assert PAPER.similarity(a, b) == PAPER.similarity(b, a)
    assert 0.0 <= PAPER.similarity(a, b) <= 1.0


@given(words)
def test_canonical_names_are_their_own_canonical_names(word: str | None) -> None:
    once = PAPER.canonical(word)
    assert PAPER.canonical(once) == once


@given(st.lists(words, max_size=12))
def test_the_matrix_is_the_similarity_of_every_pair_even_when_names_repeat(names: list[str | None]) -> None:
    expected = [[PAPER.similarity(a, b) for b in names] for a in names]
    assert PAPER.matrix(names).tolist() == expected


@pytest.mark.parametrize(
    ("word", "category"),
    [
        ("T-Shirt", "Tees_Tanks"),
        ("t shirts", "Tees_Tanks"),
        ("Longsleeve", "Tees_Tanks"),
        ("Outwear", "Jackets_Coats"),
        ("Dress", "Dresses"),
        ("dress shirt", "Shirts_Polos"),
        ("Pants", "Pants"),
        ("TROUSER", "Pants"),
        ("Shirt", "Blouses_Shirts"),
        ("tees-tanks", "Tees_Tanks"),
        ("Gowns", "Dresses"),
        ("  Jeans ", "Denim"),
        ("blazer", "Jackets_Coats"),
        ("Suit", "Suiting"),
        ("Shoes", "Shoes"),
        (" Hat ", "Hat"),
        ("   ", None),
        ("", None),
        (None, None),
    ],
)
def test_words_of_other_shops_map_onto_the_papers_categories(word: str | None, category: str | None) -> None:
    assert PAPER.canonical(word) == category


def test_an_unknown_category_is_similar_to_itself_alone() -> None:
    assert not PAPER.knows("Shoes")
    assert PAPER.knows("jeans")
    assert PAPER.similarity("Shoes", "Shoes") == 1.0
    assert PAPER.similarity("Shoes", "Hat") == PAPER.similarity("Shoes", "Dresses") == 0.0
    assert PAPER.labels("Shoes") == frozenset()


def test_no_category_is_similar_to_nothing() -> None:
    assert not PAPER.knows(None)
    assert PAPER.similarity(None, None) == PAPER.similarity(None, "Denim") == 0.0
    assert PAPER.labels(None) == frozenset()


def test_every_category_has_labels_of_its_own_in_the_masks_palette() -> None:
    worn = {"top", "outer", "skirt", "dress", "pants", "leggings", "rompers"}
    for category in PAPER.categories:
        assert PAPER.labels(category), category
        assert PAPER.labels(category) <= worn & set(LABELS), category
    assert PAPER.labels("Denim") == PAPER.labels("jeans") == {"pants"}
    assert PAPER.labels("Dresses") == {"dress"}
    assert PAPER.labels("Rompers_Jumpsuits") == {"rompers", "dress"}


def test_a_taxonomy_of_ones_own_may_leave_out_everything_but_its_groups(tmp_path: Path) -> None:
    taxonomy = Taxonomy.load(written(tmp_path, "[groups]\nTops = ['Tee', 'Blouse']\nShoes = ['Boots']\n"))
    assert taxonomy.similarity("tee", "BLOUSE") == 0.8
    assert taxonomy.similarity("Tee", "Boots") == 0.0
    assert taxonomy.labels("Tee") == frozenset()
    assert not taxonomy.knows("Denim")


@pytest.mark.parametrize(
    ("text", "key", "complaint"),
    [
        ("A = { B = 0.2 }\nB = { A = 0.3 }", "between.B.A", "is 0.3, but between.A.B is 0.2"),
        ("A = { B = 1.2 }", "between.A.B", "from 0 to 1"),
        ("A = { B = -0.1 }", "between.A.B", "from 0 to 1"),
        ("A = { B = nan }", "between.A.B", "from 0 to 1"),
        ("A = { B = true }", "between.A.B", "from 0 to 1"),
        ("A = { B = '0.2' }", "between.A.B", "from 0 to 1"),
        ("A = { Z = 0.2 }", "between.A.Z", "no group; there are A, B"),
        ("Z = { A = 0.2 }", "between.Z", "no group; there are A, B"),
        ("A = { A = 0.2 }", "between.A.A", "with itself"),
        ("A = 0.2", "between.A", "must be a table"),
        ("[aliases]\nBoots = ['boot']", "aliases.Boots", "no category"),
        ("[aliases]\nSkirt = ['tee']", "aliases.Skirt", "stands for Tee already"),
        ("[aliases]\nSkirt = ['-']", "aliases.Skirt", "no letter"),
        ("[aliases]\nSkirt = 'mini'", "aliases.Skirt", "list of words"),
        ("[labels]\nSkirt = ['kilt']", "labels.Skirt", "no label of the masks' palette"),
        ("[labels]\nBoots = ['skirt']", "labels.Boots", "no category"),
        ("[similarities]\nA = 1", "similarities", "is not a section"),
    ],
)
def test_a_fault_in_ones_own_taxonomy_names_the_file_and_the_key(
    tmp_path: Path, text: str, key: str, complaint: str
) -> None:
    path = written(tmp_path, f"[groups]\nA = ['Tee']\nB = ['Skirt']\n[between]\n{text}\n")
    with pytest.raises(SourceError) as caught:
        Taxonomy.load(path)
    assert str(caught.value).startswith(f"{path}: {key} ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "groups is missing or empty"),
        ("groups = 3", "groups must be a table"),
        ("within = 2\n[groups]\nA = ['Tee']", "within is 2; a similarity is a number from 0 to 1"),
        ("[groups]\nA = ['Tee']\nB = ['Tee']", "groups.B has 'Tee', which group A has already"),
        ("[groups]\nA = ['T-Shirt', 'tshirt']", "groups.A has 'tshirt', which stands for T-Shirt already"),
        ("[groups]\nA = [3]", "groups.A must be a list of words"),
        ("[groups", "can't be read as TOML"),
    ],
)
def test_a_file_that_is_no_taxonomy_says_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=r"mine\.toml") as caught:
        Taxonomy.load(written(tmp_path, text))
    assert complaint in str(caught.value)


def test_a_missing_or_binary_taxonomy_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="doesn't exist"):
        Taxonomy.load(tmp_path / "none.toml")
    (tmp_path / "photo.toml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SourceError, match="can't be read as TOML"):
        Taxonomy.load(tmp_path / "photo.toml")
