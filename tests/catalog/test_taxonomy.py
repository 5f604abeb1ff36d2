from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.catalog import taxonomy
from modiste.catalog.palette import LABELS
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SettingError, SourceError

PAPER = Taxonomy.load(taxonomy.PAPER)
WIDE = Taxonomy.load()
BOTH = pytest.mark.parametrize("taxonomy", [PAPER, WIDE], ids=["paper", "wide"])
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
spoken = st.sampled_from(
    [*WIDE.categories, "jeans", "T-Shirt", "Kilts", "Damen", "Sale", "Dress", "Shirt", "Sac à dos"]
)
phrases = st.lists(spoken | st.sampled_from([" > ", "/", " & ", ", ", " ", "&gt;"]), max_size=6).map("".join)
words = st.one_of(st.none(), spoken, phrases, st.text())


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


@BOTH
@given(words, words)
def test_similarity_is_symmetric_and_between_zero_and_one(taxonomy: Taxonomy, a: str | None, b: str | None) -> None:
    assert taxonomy.similarity(a, b) == taxonomy.similarity(b, a)
    assert 0.0 <= taxonomy.similarity(a, b) <= 1.0


@BOTH
@given(words)
def test_canonical_names_are_their_own_canonical_names(taxonomy: Taxonomy, word: str | None) -> None:
    once = taxonomy.canonical(word)
    assert taxonomy.canonical(once) == once


@BOTH
@given(st.lists(words, max_size=12))
def test_the_matrix_is_the_similarity_of_every_pair_even_when_names_repeat(
    taxonomy: Taxonomy, names: list[str | None]
) -> None:
    expected = [[taxonomy.similarity(a, b) for b in names] for a in names]
    assert taxonomy.matrix(names).tolist() == expected


def test_the_wide_taxonomy_has_the_papers_categories_as_alike_as_the_paper() -> None:
    assert set(PAPER.categories) < set(WIDE.categories)
    assert np.array_equal(WIDE.matrix(PAPER.categories), PAPER.matrix(PAPER.categories))
    assert all(WIDE.labels(name) == PAPER.labels(name) for name in PAPER.categories)
    assert np.linalg.eigvalsh(WIDE.matrix(WIDE.categories))[0] == pytest.approx(0.2, abs=1e-9)
    assert WIDE.similarity("Sneakers", "Boots") > WIDE.similarity("Sneakers", "Dresses") == 0.0


@pytest.mark.parametrize(
    ("word", "category"),
    [
        # The last word that is known tells the kind, and the longest one there is.
        ("Maxi Dress", "Dresses"), ("Ankle Boots", "Boots"), ("Board Shorts", "Swim_Shorts"),
        ("Shirt Dress", "Dresses"),
        ("Dress Shirt", "Shirts_Polos"), ("Dress Shoes", "Formal_Shoes"), ("Skinny Jeans", "Denim"),
        ("women’s RUNNING shoe", "Sports_Shoes"), ("Leather_Jackets", "Jackets_Coats"), ("Watches", "Watches"),
        # Of several things, and of one with what belongs to it, the first.
        ("T-Shirts & Vests", "Tees_Tanks"), ("Hoodies and Sweatshirts", "Sweatshirts_Hoodies"),
        ("Dress with a belt", "Dresses"), ("Chemise à carreaux", "Blouses_Shirts"), ("Grand sac à dos", "Backpacks"),
        # Of a path the deepest step that is known.
        ("Women > Dresses > Maxi Dresses", "Dresses"), ("Tops/T-Shirts", "Tees_Tanks"), ("Clothing/Dresses", "Dresses"),
        ("Apparel &amp; Accessories &gt; Clothing &gt; Dresses", "Dresses"), ("Women > Dresses > Summer", "Dresses"),
        ("Herren/Schuhe/Sneaker", "Sneakers"), ("Women > Dresses, Women, Women > Dresses > Gowns", "Dresses"),
        ("Sleepwear & Loungewear > Robes", "Dressing_Gowns"), ("Shoes > Boots > Chelsea", "Boots"),
        # A word that may only describe yields to what it describes.
        ("Denim", "Denim"), ("Jackets > Denim", "Jackets_Coats"), ("Bottoms > Denim", "Denim"),
        ("Dresses, maxi", "Dresses"),
        ("Skirts > Mini", "Skirts"), ("Home > Men > Shirts > Football", "Blouses_Shirts"), ("Knit Tops", "Tops"),
        ("Plaza Platform", "Heels"), ("Platform Sneakers", "Sneakers"), ("Sandals > Platform", "Sandals"),
        # What says nothing of the kind is no category; what nobody mapped stays.
        ("Women", None), ("Sale > Kids", None), ("Apparel & Accessories > Clothing", None), ("Unknown", None),
        (" Women > Kilts ", "Women > Kilts"), ("Zebra", "Zebra"), ("Spring Ring", "Rings"), ("Spring", "Spring"),
    ],
)  # fmt: skip
def test_words_of_shops_find_their_category(word: str, category: str | None) -> None:
    assert WIDE.canonical(word) == category


@pytest.mark.parametrize(
    ("category", "words"),
    [
        (
            "Dresses",
            "Kleid Kleider Sommerkleid robe robes vestido vestidos abito jurk jurken sukienka klänning sommerkjole",
        ),
        ("Pants", "Hosen pantalon pantalones pantaloni broek spodnie byxor calças bukser Damenhosen"),
        ("Blouses_Shirts", "Hemd Blusen chemise camisa camicia overhemd koszula skjorta"),
        ("Skirts", "Rock Röcke JUPE faldas gonna rokken spódnica kjol saia nederdel"),
        ("Jackets_Coats", "Lederjacke vestes chaquetas giacche jassen kurtki jackor jaquetas vinterjakker"),
        ("Sweaters", "Pulli pulls jerséis maglione trui sweter tröja camisolas genser"),
        ("Shoes", "Herrenschuhe chaussures zapatos scarpe schoenen buty skor sapatos"),
        ("Boots", "Winterstiefel bottines botas stivali laarzen kozaki stövlar vinterstøvler"),
        ("Bags", "Taschen sacs bolsos borse tassen torby väskor malas"),
        ("Socks", "Socken chaussettes calcetines calzini sokken skarpetki strumpor meias"),
        ("Jewellery", "Schmuck bijoux joyas gioielli sieraden biżuteria smycken bijuteria"),
    ],
)
def test_garments_are_known_in_the_languages_of_the_large_markets(category: str, words: str) -> None:
    assert {word: WIDE.canonical(word) for word in words.split()} == dict.fromkeys(words.split(), category)


def test_the_deepest_words_of_a_category_path_become_the_papers_categories_in_both_taxonomies() -> None:
    cases = {
        "Women > Tops > T-Shirts": "Tees_Tanks", "Apparel & Accessories > Clothing > Dresses": "Dresses",
        "Clothing/Dresses": "Dresses", "Skinny Jeans": "Denim", "Maxi Dress": "Dresses", "Track Pants": "Pants",
        "Leather Jackets": "Jackets_Coats", "Hoodies & Sweatshirts": "Sweatshirts_Hoodies", "Vest top": "Tees_Tanks",
        "T-Shirts & Vests": "Tees_Tanks",
    }  # fmt: skip
    assert {word: WIDE.canonical(word) for word in cases} == cases
    assert {word: PAPER.canonical(word) for word in cases} == cases


MYNTRA = """
Shirts | Jeans | Watches | Track Pants | Tshirts | Socks | Casual Shoes | Belts | Flip Flops | Handbags | Tops | Bra |
Sandals | Shoe Accessories | Sweatshirts | Deodorant | Formal Shoes | Bracelet | Lipstick | Flats | Kurtas |
Waistcoat | Sports Shoes | Shorts | Briefs | Sarees | Perfume and Body Mist | Heels | Sunglasses | Innerwear Vests |
Pendant | Nail Polish | Laptop Bag | Scarves | Rain Jacket | Dresses | Night suits | Skirts | Wallets | Blazers |
Ring | Kurta Sets | Clutches | Shrug | Backpacks | Caps | Trousers | Earrings | Camisoles | Boxers | Jewellery Set |
Dupatta | Capris | Lip Gloss | Bath Robe | Mufflers | Tunics | Jackets | Trunk | Lounge Pants |
Face Wash and Cleanser | Necklace and Chains | Duffel Bag | Sports Sandals | Foundation and Primer | Sweaters |
Free Gifts | Trolley Bag | Tracksuits | Swimwear | Shoe Laces | Fragrance Gift Set | Bangle | Nightdress | Ties |
Baby Dolls | Leggings | Highlighter and Blush | Travel Accessory | Kurtis | Mobile Pouch | Messenger Bag | Lip Care |
Face Moisturisers | Compact | Eye Cream | Accessory Gift Set | Beauty Accessory | Jumpsuit | Kajal and Eyeliner |
Water Bottle | Suspenders | Lip Liner | Robe | Salwar and Dupatta | Patiala | Stockings | Eyeshadow | Headband |
Tights | Nail Essentials | Churidar | Lounge Tshirts | Face Scrub and Exfoliator | Lounge Shorts | Gloves |
Mask and Peel | Wristbands | Tablet Sleeve | Ties and Cufflinks | Footballs | Stoles | Shapewear | Nehru Jackets |
Salwar | Cufflinks | Jeggings | Hair Colour | Concealer | Rompers | Body Lotion | Sunscreen | Booties | Waist Pouch |
Hair Accessory | Rucksacks | Basketballs | Lehenga Choli | Clothing Set | Mascara | Toner | Cushion Covers |
Key chain | Makeup Remover | Lip Plumper | Umbrellas | Face Serum and Gel | Hat | Mens Grooming Kit | Rain Trousers |
Body Wash and Scrub | Suits | Ipad
"""
HM = """
Vest top | Bra | Underwear Tights | Socks | Leggings/Tights | Sweater | Top | Trousers | Hair clip | Umbrella |
Pyjama jumpsuit/playsuit | Bodysuit | Hair string | Unknown | Hoodie | Sleep Bag | Hair/alice band | Belt | Boots |
Bikini top | Swimwear bottom | Underwear bottom | Swimsuit | Skirt | T-shirt | Dress | Hat/beanie |
Kids Underwear top | Shorts | Shirt | Cap/peaked | Pyjama set | Sneakers | Sunglasses | Cardigan | Gloves | Earring |
Bag | Blazer | Other shoe | Jumpsuit/Playsuit | Sandals | Jacket | Costumes | Robe | Scarf | Coat |
Other accessories | Polo shirt | Slippers | Night gown | Alice band | Straw hat | Hat/brim | Tailored Waistcoat |
Necklace | Ballerinas | Tie | Pyjama bottom | Felt hat | Bracelet | Blouse | Outdoor overall | Watch |
Underwear body | Beanie | Giftbox | Sleeping sack | Dungarees | Outdoor trousers | Wallet | Swimwear set |
Swimwear top | Flat shoe | Garment Set | Ring | Waterbottle | Wedge | Long John | Outdoor Waistcoat | Pumps |
Flip flop | Braces | Bootie | Fine cosmetics | Heeled sandals | Nipple covers | Chem. cosmetics | Soft Toys |
Hair ties | Underwear corset | Bra extender | Underdress | Underwear set | Sarong | Leg warmers | Blanket | Hairband |
Tote bag | Weekend/Gym bag | Cushion | Backpack | Earrings | Bucket hat | Flat shoes | Heels | Cap | Shoulder bag |
Side table | Accessories set | Headband | Baby Bib | Keychain | Dog Wear | Washing bag | Sewing kit | Cross-body bag |
Moccasins | Towel | Wood balls | Zipper head | Mobile case | Pre-walkers | Toy | Marker pen | Bumbag | Eyeglasses |
Wireless earphone case | Stain remover spray | Clothing mist
"""
HM_GROUPS = """
Jersey Basic | Under-, Nightwear | Socks and Tights | Jersey Fancy | Accessories | Trousers Denim | Outdoor | Shoes |
Swimwear | Knitwear | Shirts | Trousers | Dressed | Shorts | Dresses Ladies | Skirts | Special Offers | Blouses |
Unknown | Woven/Jersey/Knitted mix Baby | Dresses/Skirts girls
"""


@pytest.mark.parametrize(
    ("listed", "number", "silent"),
    [(MYNTRA, 143, set()), (HM, 130, {"Unknown"}), (HM_GROUPS, 21, {"Unknown", "Special Offers"})],
    ids=["Myntra's article types", "H&M's product types", "H&M's garment groups"],
)
def test_the_words_of_research_catalogues_are_known(listed: str, number: int, silent: set[str]) -> None:
    words = listed.replace("\n", " ").strip().split(" | ")
    assert len(set(words)) == number
    assert {word for word in words if not WIDE.knows(word)} == silent
    assert {WIDE.canonical(word) for word in silent} <= {None}


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


def test_an_unknown_word_is_told_the_category_it_is_written_like() -> None:
    slips = ("Dreses", "Women > Sneekers", "Pullovr", "Zebra", "Salle")
    assert [WIDE.nearest(word) for word in slips] == ["Dresses", "Sneakers", "Sweaters", None, None]


def test_a_filter_takes_the_words_that_are_known_and_names_the_nearest_to_others() -> None:
    taxonomy = Taxonomy.load()
    assert taxonomy.chosen(["Damen > Kleider", "jeans, T-Shirts", " "]) == {"Dresses", "Denim", "Tees_Tanks"}
    assert taxonomy.chosen(["Kites, small"], own=["Kites, small"]) == {"Kites, small"}, "a shop's own word"
    for word, hint in {
        "Frocky": "did you mean Dresses",
        "Kitess": "did you mean Kites",
        "qqq": "there are: Kites",
    }.items():
        with pytest.raises(SettingError, match=f"^no category '{word}'; {hint}"):
            taxonomy.chosen(["Dresses", word], own=["Kites"])
    with pytest.raises(SettingError, match="no category 'Sale'"):
        taxonomy.chosen(["Sale"])


@pytest.mark.parametrize(
    ("category", "title", "gender"),
    [
        ("Dresses", None, "women"),
        ("Shoes", "Barclay d'Orsay pump, Nude", "women"),
        ("Shoes", "Empire Oxford", "men"),
        ("Tops", "Ludlow Oxford Top", None),
        ("Shirts", "Cotton Twill Oxford", None),
        ("Shirts", "Clark Dress Shirt", None),
        ("Tops", "Noa Sheer Blouse", "women"),
        ("Pants", "Tie Waist", None),
        ("Accessories", "Silk Tie", "men"),
        ("Tees", "Tie-Dye Tee with Ties", None),
        ("Schuhwerk", "Pumps", "women"),
        (None, "Sommerkleid", "women"),
        ("Luggage", "Roller Suitcase", None),
        (None, None, None),
    ],
)
def test_some_kinds_are_worn_by_one_gender(category: str | None, title: str | None, gender: str | None) -> None:
    assert WIDE.worn_by(category, title) == gender


def test_an_unknown_category_is_similar_to_itself_alone() -> None:
    assert WIDE.knows("Shoes")
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
        ("[languages.de]\nBoots = ['Stiefel']", "languages.de.Boots", "no category"),
        ("[languages.de]\nSkirt = ['TEE']", "languages.de.Skirt", "stands for Tee already"),
        ("[languages]\nde = ['Rock']", "languages.de", "must be a table"),
        ("[labels]\nSkirt = ['kilt']", "labels.Skirt", "no label of the masks' palette"),
        ("[labels]\nBoots = ['skirt']", "labels.Boots", "no category"),
        ("[whose]\nmen = ['kilt']", "whose.men", "no category, and no word for one"),
        ("[whose]\nnobody = ['Tee']", "whose.nobody", "no gender; there are men, women"),
        ("[whose]\nmen = ['Tee']\nwomen = ['tee', 'Tee']", "whose.women", "which is men's already"),
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
        ("general = 'sale'\n[groups]\nA = ['Tee']", "general must be a list of words"),
        ("general = ['tee']\n[groups]\nA = ['Tee']", "general has 'tee', which stands for Tee already"),
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
