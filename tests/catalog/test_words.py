import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.catalog.words import (
    COLOURS,
    asked_age,
    asked_gender,
    colour,
    gender,
    gender_and_age,
    known_gender,
    nearest_person,
    says_who,
    tokens,
)
from modiste.errors import SettingError

MEN, WOMEN = ("men", "adults"), ("women", "adults")
BOYS, GIRLS, KIDS = ("men", "children"), ("women", "children"), (None, "children")


@pytest.mark.parametrize(
    ("meant", "words"),
    [
        (
            MEN,
            "Men MEN men's Man's Mens Herren Herr Männer Mann Menswear Gents Homme Hombres Uomo Heren Mężczyzna Herrar",
        ),
        (
            WOMEN,
            "Women women's Ladies Lady Damen Dame Dam Frauen Ladieswear Femme Mujeres Donna Dames Kobiety Mulher",
        ),
        (("men", None), "M Male male Männlich Masculino maschile męski"),
        (("women", None), "F W female weiblich femenino femminile damskie"),
        (BOYS, "Boys boy's Jungen garçon Niño bambino jongens chłopiec pojkar meninos"),
        (GIRLS, "Girls Mädchen filles niña bambina meisjes dziewczynka flickor menina"),
        (KIDS, "Kids Children Kinder Baby/Children enfants infantil bambini kinderen dzieci barn criança Bébé Toddler"),
        ((None, None), "Unisex U mixte unissex"),
        ((None, "adults"), "adult Erwachsene Men/Women"),
    ],
)
def test_words_for_people_tell_gender_and_age(meant: tuple[str | None, str | None], words: str) -> None:
    told = {word: gender_and_age(word) for word in words.split()}
    assert told == dict.fromkeys(told, (*meant, True))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Women > Dresses > Maxi Dresses", WOMEN), ("Herren/Schuhe/Sneaker", MEN), ("Damenschuhe", WOMEN),
        ("Kids Girl", GIRLS),
        ("Menswear > Boys > Shirts", BOYS), ("Toddler Girls", GIRLS), ("Boys & Girls", KIDS),
        ("Women, Girls", ("women", None)),
        ("Men's T-Shirts", MEN), ("Kids > Unisex", KIDS), ("Ladies Accessories", WOMEN), ("Kinderschuhe", KIDS),
    ],
)  # fmt: skip
def test_a_path_or_several_words_are_read_as_well(text: str, meant: tuple[str | None, str | None]) -> None:
    assert gender_and_age(text) == (*meant, True)


@pytest.mark.parametrize(
    "text", ["Blue", "T-Shirt M", "Boy Shorts", "Baby Doll", "Boyfriend Jeans", "Cowboy", "H&M", "Sport"]
)
def test_what_names_nobody_was_not_understood(text: str) -> None:
    assert gender_and_age(text) == (None, None, False)


def test_nothing_said_is_nothing_misunderstood() -> None:
    assert gender_and_age(None) == gender_and_age(" ") == (None, None, True)


def test_a_catalogue_of_ladieswear_menswear_and_boys_tells_them_apart() -> None:
    words = ["Ladieswear", "Ladieswear", "Menswear", "Menswear", "Boys"]
    assert [gender(word) for word in words] == ["women", "women", "men", "men", "men"]
    assert [gender_and_age(word)[1] for word in words] == ["adults"] * 4 + ["children"]


def test_a_gender_that_is_stored_is_one_of_two_words() -> None:
    assert [known_gender(word) for word in ("men", "women", None)] == ["men", "women", None]
    with pytest.raises(SettingError, match=r"^no gender 'MEN'; there are: men, women$"):
        known_gender("MEN")


def test_a_slip_of_the_pen_is_told_what_it_is_like() -> None:
    assert [nearest_person(word) for word in ("Womne", "Herrn", "xyz")] == ["women", "herren", None]


def test_a_filter_takes_shops_words_for_people_and_names_the_nearest_to_others() -> None:
    assert [asked_gender(one) for one in ("Herren", "women", "Unisex", "any", None)] == [
        "men",
        "women",
        "any",
        "any",
        None,
    ]
    assert [asked_age(one) for one in ("Kinder", "Damen", "any")] == ["children", "adults", "any"]
    for ask, word, hint in (
        (asked_gender, "womne", "did you mean women"), (asked_gender, "Boys", "ask for gender men and age children"),
        (asked_gender, "xyz", "there are: men, women, any"), (asked_age, "male", "there are: adults, children, any"),
        (asked_gender, "", "there are"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=hint):
            ask(word)


def test_words_that_say_for_whom_and_nothing_else() -> None:
    assert all(says_who(tokens(text)) for text in ("Women", "Boys & Girls", "Baby Girl", "Damen"))
    assert not any(says_who(tokens(text)) for text in ("", "Women's Shoes", "Shoes", "and"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("mint", "mint"), ("Mint Green", "mint"), ("Bordeaux", "burgundy"), ("anthrazit", "grey"),
        ("Navy/White", "navy white"),
        ("rouge & blanc", "red white"), ("Black or White", "black white"), ("Royal Blue", "blue"),
        ("Bleu marine", "navy"),
        ("dunkelgrün", "green"), ("Hellblau", "light_blue"), ("azul claro", "light_blue"), ("czarny", "black"),
        ("Röd", "red"),
        ("Off-White", "cream"), ("Khaki", "olive"), ("Taupe", "beige"), ("Heather Grey", "grey"),
        ("Bunt", "multicolour"),
        ("Zebra", ""), ("", ""), ("black, BLACK", "black"), ("nero", "black"), ("Verde/Azul", "green blue"),
        ("Or", "gold"),
    ],
)  # fmt: skip
def test_colour_words_become_basic_colours(text: str, meant: str) -> None:
    assert colour(text) == tuple(name.replace("_", " ") for name in meant.split())


@given(st.text())
def test_any_text_is_read_without_a_fault(text: str) -> None:
    gender, age, understood = gender_and_age(text)
    assert understood or gender is age is None
    assert set(colour(text)) <= set(COLOURS)


@given(st.sampled_from(COLOURS))
def test_the_basic_colours_name_themselves(name: str) -> None:
    assert colour(name) == (name,)
    assert len(COLOURS) == 24
