import os
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from modiste.catalog import Item, Reading, Taxonomy, read_source, taxonomy
from modiste.errors import SourceError

PAPER = Taxonomy.load(taxonomy.PAPER)


def touched(folder: Path, *names: str) -> Path:
    """Files by these names below ``folder``: readers look for photos, they don't open them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def table(folder: Path, text: str) -> Path:
    path = folder / "items.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(source: Path, masks: Path | None = None) -> Reading:
    return read_source(source, PAPER, masks)


def reasons(reading: Reading) -> dict[int | str, str]:
    return {one.row or Path(one.file).name: one.reason for one in reading.rejected}


# DeepFashion's folder


def test_a_deepfashion_name_tells_gender_category_item_product_and_view(tmp_path: Path) -> None:
    touched(tmp_path, "WOMEN-Tees_Tanks-id_00000089-02_4_full.jpg", "MEN-Denim-id_00000080-01_7_additional.png")
    reading = read(tmp_path)
    assert reading.items == [
        Item(
            item_id="id_00000080-01_7",
            category="Denim",
            gender="men",
            image=str(tmp_path / "MEN-Denim-id_00000080-01_7_additional.png"),
            product="id_00000080-01",
            view="additional",
        ),
        Item(
            item_id="id_00000089-02_4",
            category="Tees_Tanks",
            gender="women",
            image=str(tmp_path / "WOMEN-Tees_Tanks-id_00000089-02_4_full.jpg"),
            product="id_00000089-02",
            view="full",
        ),
    ]
    assert reading.rejected == []
    assert reading.unknown_categories == {}


def test_masks_are_found_in_their_folder_or_beside_the_photo_and_are_no_items(tmp_path: Path) -> None:
    photos, masks = tmp_path / "images", tmp_path / "segm"
    touched(photos, "MEN-Denim-id_00000080-01_7_additional.jpg", "MEN-Denim-id_00000080-01_7_additional_segm.png")
    touched(photos, "MEN-Pants-id_00000081-01_1_front.jpg", "MEN-Pants-id_00000082-01_1_front.jpg")
    touched(masks, "MEN-Pants-id_00000081-01_1_front_segm.png")
    beside = str(photos / "MEN-Denim-id_00000080-01_7_additional_segm.png")
    given = str(masks / "MEN-Pants-id_00000081-01_1_front_segm.png")
    assert [item.mask for item in read(photos, masks).items] == [beside, given, None]
    assert [item.mask for item in read(photos).items] == [beside, None, None]
    assert len(read(tmp_path).items) == 3, "photos below a folder of their own are found as well"


def test_an_id_that_stands_for_two_genders_or_categories_is_told_apart(tmp_path: Path) -> None:
    touched(
        tmp_path,
        "MEN-Denim-id_00000080-01_7_additional.jpg",
        "WOMEN-Dresses-id_00000080-01_7_additional.jpg",
        "WOMEN-Dresses-id_00000080-01_4_full.jpg",
        "WOMEN-Cardigans-id_00001003-01_1_front.jpg",
        "WOMEN-Jackets_Coats-id_00001003-01_1_front.jpg",
        "MEN-Pants-id_00000081-01_1_front.jpg",
    )
    reading = read(tmp_path)
    assert {item.item_id: item.product for item in reading.items} == {
        "MEN-Denim-id_00000080-01_7": "MEN-id_00000080-01",
        "WOMEN-Dresses-id_00000080-01_7": "WOMEN-id_00000080-01",
        "id_00000080-01_4": "WOMEN-id_00000080-01",
        "WOMEN-Cardigans-id_00001003-01_1": "id_00001003-01",
        "WOMEN-Jackets_Coats-id_00001003-01_1": "id_00001003-01",
        "id_00000081-01_1": "id_00000081-01",
    }
    assert reading.rejected == []


def test_two_files_of_one_deepfashion_id_are_rejected_naming_both(tmp_path: Path) -> None:
    touched(tmp_path, "MEN-Denim-id_00000080-01_7_additional.jpg", "MEN-Denim-id_00000080-01_7_additional.png")
    reading = read(tmp_path)
    assert reading.items == []
    assert len(reading.rejected) == 2
    for one in reading.rejected:
        assert "different data" in one.reason
        assert "additional.jpg and " in one.reason
        assert "additional.png;" in one.reason


def test_files_that_have_no_deepfashion_name_are_reported(tmp_path: Path) -> None:
    touched(tmp_path, "MEN-Denim-id_00000080-01_7_additional.jpg", "holiday.jpg", "labels.txt", ".DS_Store")
    reading = read(tmp_path)
    assert len(reading.items) == 1
    found = reasons(reading)
    assert set(found) == {"holiday.jpg", "labels.txt"}
    assert "is not named as DeepFashion's" in found["holiday.jpg"]
    assert "is not a photo" in found["labels.txt"]


# A folder of folders


def test_a_folder_of_folders_names_category_and_item(tmp_path: Path) -> None:
    touched(tmp_path, "Dress/red.JPG", "Dress/blue.webp", "Jeans/1.gif", "Shoes/1.png", "Shoes/2.jpeg")
    reading = read(tmp_path)
    assert {item.item_id: item.category for item in reading.items} == {
        "Dress/blue": "Dresses",
        "Dress/red": "Dresses",
        "Jeans/1": "Denim",
        "Shoes/1": "Shoes",
        "Shoes/2": "Shoes",
    }
    assert reading.items[1].image == str(tmp_path / "Dress/red.JPG")
    assert reading.items[1].product == "Dress/red"
    assert reading.unknown_categories == {"Shoes": 2}


def test_what_is_no_photo_is_reported_and_what_systems_leave_behind_is_not(tmp_path: Path) -> None:
    touched(tmp_path, "Dress/1.jpg", "Dress/notes.txt", "Dress/.4.jpg", ".git/5.jpg", "Dress/Thumbs.db", "@eaDir/1.jpg")
    touched(tmp_path, "__MACOSX/Dress/._1.jpg", "desktop.ini")
    reading = read(tmp_path)
    assert [item.item_id for item in reading.items] == ["Dress/1"]
    assert set(reasons(reading)) == {"notes.txt"}
    assert "is not a photo" in reasons(reading)["notes.txt"]


def test_masks_lie_in_folders_as_the_photos_do(tmp_path: Path) -> None:
    touched(tmp_path / "photos", "Dress/1.jpg", "Jeans/1.jpg", "Jeans/2.jpg")
    masks = touched(tmp_path / "masks", "Dress/1_segm.png", "Jeans/1_segm.png", "2_segm.png")
    assert [item.mask for item in read(tmp_path / "photos", masks).items] == [
        str(masks / "Dress/1_segm.png"),
        str(masks / "Jeans/1_segm.png"),
        str(masks / "2_segm.png"),
    ]


def test_a_mask_is_never_given_to_two_photos(tmp_path: Path) -> None:
    touched(tmp_path / "photos", "Dress/1.jpg", "Jeans/1.jpg", "Jeans/2.jpg")
    reading = read(tmp_path / "photos", touched(tmp_path / "masks", "1_segm.png"))
    assert [item.item_id for item in reading.items] == ["Jeans/2"]
    assert len(reading.rejected) == 2
    assert all("1_segm.png would be that of" in one.reason for one in reading.rejected)


def test_linked_folders_are_followed_once_and_broken_links_and_pipes_reported(tmp_path: Path) -> None:
    touched(tmp_path / "elsewhere", "1.jpg")
    source = touched(tmp_path / "photos", "Jeans/1.jpg")
    (source / "Dress").symlink_to(tmp_path / "elsewhere")
    (source / "Jeans" / "round").symlink_to(source)
    (source / "Jeans" / "gone.jpg").symlink_to(source / "nowhere.jpg")
    os.mkfifo(source / "Jeans" / "pipe.jpg")
    reading = read(source)
    assert {item.item_id for item in reading.items} == {"Dress/1", "Jeans/1"}
    assert set(reasons(reading)) == {"gone.jpg", "pipe.jpg"}


def test_a_file_name_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    touched(tmp_path, "Dress/1.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path / "Dress") + b"/\xff.jpg")).touch()
    reading = read(tmp_path)
    assert len(reading.items) == 1
    assert "not UTF-8" in reasons(reading)[r"\xff.jpg"]


# Tables


def test_a_row_becomes_an_item_with_paths_from_the_tables_folder(tmp_path: Path) -> None:
    touched(tmp_path, "photos/1.jpg", "masks/1.png")
    source = table(
        tmp_path,
        "item_id,image,mask,category,gender,product,price,store_id,popularity,colour,note\n"
        ' a 1 ,photos/1.jpg,masks/1.png,T-Shirt,WOMEN,shirt-1,12.50,s2,22, red ,"with, comma"\n'
        "2,,,,,,,,,,\n",
    )
    reading = read(source)
    assert reading.items == [
        Item(
            item_id="a 1",
            category="Tees_Tanks",
            gender="women",
            image=str(tmp_path / "photos/1.jpg"),
            mask=str(tmp_path / "masks/1.png"),
            product="shirt-1",
            price=12.5,
            store_id="s2",
            popularity=22.0,
            colour="red",
            age_group="adults",
            attributes={"note": "with, comma"},
        ),
        Item(item_id="2", product="2"),
    ]
    assert reading.rejected == []


def test_a_parquet_table_reads_as_the_csv_it_could_have_been(tmp_path: Path) -> None:
    touched(tmp_path, "1.jpg")
    frame = pl.DataFrame(
        {
            "item_id": [1.0, 2.0],
            "image": ["1.jpg", None],
            "category": pl.Series(["gown", "Shoes"], dtype=pl.Categorical),
            "price": [12.5, float("nan")],
            "popularity": [3, None],
            "since": [date(2017, 7, 1), None],
        }
    )
    frame.write_parquet(tmp_path / "items.parquet")
    attributes = {"since": "2017-07-01"}
    first = Item("1", "Dresses", None, str(tmp_path / "1.jpg"), price=12.5, popularity=3.0, attributes=attributes)
    assert read(tmp_path / "items.parquet").items == [first, Item("2", "Shoes")]


def test_a_row_that_cannot_be_taken_is_reported_with_its_number_and_the_others_are_taken(tmp_path: Path) -> None:
    touched(tmp_path, "1.jpg")
    source = table(
        tmp_path,
        "item_id,image,mask,price,popularity\n"
        "ok,1.jpg,,,\n"
        " ,1.jpg,,,\n"
        "gone,2.jpg,,,\n"
        "maskless,1.jpg,2.png,,\n"
        "folder,.,,,\n"
        "web,ftp://shop.example/1.jpg,,,\n"
        "\n"
        'data,"data:image/png;base64,AAAA",,,\n'
        "price,,,twelve,\n"
        "minus,,,-1,\n"
        "endless,,,inf,\n"
        "count,,,,-3\n"
        "much,,,,much\n"
        "short,,\n"
        "long,,,,,,x\n"
        f"{'x' * 9},{'x' * 300}.jpg,,,\n",
    )
    reading = read(source)
    assert [item.item_id for item in reading.items] == ["ok"]
    assert {one.file for one in reading.rejected} == {str(source)}
    found = reasons(reading)
    assert found.keys() == {3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17}
    for row, words in {
        3: "item_id is empty",
        4: "image '2.jpg' is no file; paths count from",
        5: "mask '2.png' is no file",
        6: "image '.' is no file",
        7: "is an address of another kind than http",
        9: "is an address of another kind than http",
        10: "price 'twelve' must be a number",
        11: "price '-1' must be a number, 0 or more",
        12: "price 'inf'",
        13: "popularity '-3'",
        14: "popularity 'much'",
        15: "has 3 cells where the header has 5",
        16: "has 7 cells where the header has 5",
        17: "can't be opened: File name too long",
    }.items():
        assert words in found[row], row


def test_columns_are_found_in_any_case_and_others_keep_their_names(tmp_path: Path) -> None:
    touched(tmp_path, "1.jpg")
    (tmp_path / "items.csv").write_text("Item_ID;IMAGE;Price;Brand;Heel\n1;1.jpg;12.5;Harbour;flat\n", encoding="utf-8")
    assert read(tmp_path / "items.csv").items == [
        Item("1", image=str(tmp_path / "1.jpg"), price=12.5, brand="Harbour", attributes={"Heel": "flat"})
    ]


def test_an_id_or_a_price_that_the_shop_could_not_name_is_reported(tmp_path: Path) -> None:
    source = table(tmp_path, f'item_id,price,store_id\n{"i" * 201},,\n"a\tb",,\nc,2e12,\nd,,{"s" * 201}\ne,1e12,s\n')
    reading = read(source)
    assert [item.item_id for item in reading.items] == ["e"]
    found = reasons(reading)
    assert found.keys() == {2, 3, 4, 5}
    assert "201 characters" in found[2]
    assert "control characters" in found[3]
    assert "is above 1,000,000,000,000" in found[4]
    assert "store_id" in found[5]
    touched(tmp_path / "photos", f"{'d' * 120}/{'p' * 120}.jpg", "Dress/1.jpg")
    reading = read(tmp_path / "photos")
    assert [item.item_id for item in reading.items] == ["Dress/1"]
    assert "241 characters" in reading.rejected[0].reason


def test_ids_that_stand_twice_are_taken_once_when_they_agree_and_never_when_they_differ(tmp_path: Path) -> None:
    source = table(tmp_path, "item_id,category\na,Dress\nb,Dress\na,Jeans\nb,dresses\nc,Hat\nc,Shoes\nc,Hat\nc,Bag\n")
    reading = read(source)
    assert [item.item_id for item in reading.items] == ["b"]
    found = reasons(reading)
    assert found[2] == found[4] == "item 'a' stands with different data in row 2 and row 4; give each an id of its own"
    assert found[5] == "item 'b' stands with the same data in row 3 already; taken once"
    assert found[6] == found[9]
    assert "row 6 and row 7 and row 8 and 1 more" in found[6]
    assert reading.unknown_categories == {}, "categories of rejected rows are not counted"


def test_a_path_tells_for_whom_an_item_is_where_its_gender_is_left_out(tmp_path: Path) -> None:
    rows = "a,,Women > Dresses\nb,,Boys/Shirts\nc,Unisex,Men > Shirts\nd,,Shirts\n"
    reading = read_source(table(tmp_path, "item_id,gender,category\n" + rows), Taxonomy.load())
    assert [(item.gender, item.category) for item in reading.items] == [
        ("women", "Dresses"), ("men", "Blouses_Shirts"), (None, "Blouses_Shirts"), (None, "Blouses_Shirts")
    ]  # fmt: skip
    assert reading.unknown_categories == {}


@pytest.mark.parametrize(
    ("word", "gender"),
    [
        *((word, "men") for word in ("MEN", "male", "M", "Men's", "Herren")),
        *((word, "women") for word in ("women", "Female", "f", "LADIES")),
        *((word, None) for word in ("unisex", "", "gnrf")),
    ],
)
def test_words_for_genders_are_understood_and_others_mean_unknown(
    tmp_path: Path, word: str, gender: str | None
) -> None:
    (item,) = read(table(tmp_path, f"item_id,gender\n1,{word}\n")).items
    assert item.gender == gender


def test_a_path_may_leave_the_tables_folder_or_be_absolute(tmp_path: Path) -> None:
    touched(tmp_path, "photos/1.jpg", "tables/x")
    source = table(tmp_path / "tables", f"item_id,image\n1,../photos/1.jpg\n2,{tmp_path}/photos/1.jpg\n")
    for item in read(source).items:
        assert item.image is not None
        assert Path(item.image).is_absolute()
        assert Path(item.image).samefile(tmp_path / "photos/1.jpg")


def test_a_table_without_a_mask_column_finds_masks_by_the_photos_stem(tmp_path: Path) -> None:
    touched(tmp_path, "photos/1.jpg", "photos/2.jpg", "masks/1_segm.png", "masks/own.png")
    source = table(tmp_path, "item_id,image,mask\na,photos/1.jpg,\nb,photos/1.jpg,masks/own.png\nc,photos/2.jpg,\n")
    masks = [item.mask for item in read(source, tmp_path / "masks").items]
    assert masks == [str(tmp_path / "masks/1_segm.png"), str(tmp_path / "masks/own.png"), None]


def test_a_relative_source_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "Dress/1.jpg")
    table(tmp_path, "item_id,image\n1,Dress/1.jpg\n")
    monkeypatch.chdir(tmp_path)
    assert [item.image for item in read(Path("items.csv")).items] == [str(tmp_path / "Dress/1.jpg")]
    assert [item.image for item in read(Path()).items] == [str(tmp_path / "Dress/1.jpg")]


def test_a_spreadsheets_byte_order_mark_and_unnamed_columns_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_bytes("\ufeffitem_id , colour,,\r\n1,grün,,\r\n".encode())
    assert read(tmp_path / "items.csv").items == [Item("1", colour="grün")]


# Sources that can't be read at all


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has no column item_id"),
        (b"idd;image\n1;2\n", r"no column item_id \(it has idd, image\); items need item_id"),
        (b"itemid_;item_id\n1;2\n", "2 columns named 'itemid_'"),
        (b"7;1.jpg\n8;2.jpg\n", "if that is the first row, write a line with the columns' names above it"),
        (b"item_id,image\n", "has no rows"),
        (b"item_id,image\n\n\n", "has no rows"),
        (b"item_id,colour,colour\n1,2,3\n", "2 columns named 'colour'"),
    ],
)
def test_a_csv_that_is_no_catalogue_says_what_to_do(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "items.csv").write_bytes(content)
    with pytest.raises(SourceError, match=complaint):
        read(tmp_path / "items.csv")


def test_a_source_that_is_missing_empty_or_of_another_kind_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="doesn't exist; give a folder of photos"):
        read(tmp_path / "none")
    with pytest.raises(SourceError, match="has no photo"):
        read(tmp_path)
    touched(tmp_path, "items.xlsx", "items.parquet")
    with pytest.raises(SourceError, match="can't be read as XLSX"):
        read(tmp_path / "items.xlsx")
    with pytest.raises(SourceError, match="can't be read as Parquet"):
        read(tmp_path / "items.parquet")
    touched(tmp_path, "Dress/1.jpg")
    with pytest.raises(SourceError, match="is not a folder; give the folder of the masks"):
        read(tmp_path, tmp_path / "masks")


# Real catalogues


@pytest.mark.data
def test_the_street_photos_are_read_with_their_masks(shared_data: Path) -> None:
    reading = read(shared_data / "street" / "items.csv")
    assert len(reading.items) == 700
    assert reading.rejected == []
    assert reading.unknown_categories == {}
    assert all(item.mask and item.mask.endswith("_segm.png") for item in reading.items)
    assert reading.items[0].attributes == {"garments": "dress jacket"}


@pytest.mark.data
def test_the_garments_words_map_onto_the_paper_and_shoes_and_hats_stay_unknown(shared_data: Path) -> None:
    reading = read(shared_data / "garments" / "items.csv")
    assert len(reading.items) == 2157
    assert reading.unknown_categories == {"Shoes": 147, "Hat": 82}
    known = {item.category for item in reading.items} - {"Shoes", "Hat"}
    assert known == {
        "Tees_Tanks", "Pants", "Blouses_Shirts", "Dresses", "Shorts", "Jackets_Coats", "Skirts"
    }  # fmt: skip


@pytest.mark.data
def test_the_authors_catalogue_is_read_without_photos(shared_data: Path) -> None:
    reading = read(shared_data / "paper-run" / "items.csv")
    assert len(reading.items) == 10324
    assert reading.rejected == []
    assert reading.unknown_categories == {}
    assert {gender: sum(item.gender == gender for item in reading.items) for gender in ("men", "women")} == {
        "men": 1182,
        "women": 9142,
    }
    first = reading.items[0]
    assert (first.item_id, first.image, first.popularity) == ("id_00003866-07_4", None, 22.0)
    assert first.attributes == {"file_name": "WOMEN-Dresses-id_00003866-07_4_full.jpg"}


# The day on which an item came


@pytest.mark.parametrize(
    ("name", "text", "days"),
    [
        ("shopify.json", """{"products": [
          {"id": 1, "title": "Tee", "handle": "tee", "vendor": "A", "product_type": "T-Shirts",
           "created_at": "2025-01-02T09:00:00+01:00", "published_at": "2025-02-03T00:30:00+01:00",
           "variants": [{"id": 11, "sku": "T", "option1": "S", "price": "9", "created_at": "2025-01-05T09:00:00"}]},
          {"id": 2, "title": "Cap", "handle": "cap", "vendor": "A", "product_type": "Hats",
           "created_at": "2025-01-02T09:00:00+01:00", "published_at": null,
           "variants": [{"id": 21, "sku": "C", "option1": "M", "price": "9"}]}]}""",
         {"T": "2025-02-02", "C": "2025-01-02"}),
        ("woo.json", """[{"id": 7, "sku": "W", "permalink": "https://s.example/w", "regular_price": "9",
          "stock_status": "", "date_created": "2025-03-01T00:10:00", "date_created_gmt": "2025-02-28T23:10:00"}]""",
         {"W": "2025-02-28"}),
        ("magento.csv", 'sku,attribute_set_code,product_type,name,created_at,new_from_date\n'
         'M1,Default,simple,Tee,"9/14/24, 3:07 PM",\nM2,Default,simple,Cap,"9/2/24, 3:07 AM","10/1/24, 12:00 AM"\n',
         {"M1": "2024-09-14", "M2": "2024-10-01"}),
        ("google.tsv", "id\ttitle\timage_link\tavailability\tavailability_date\n"
         "G\tCoat\t\tpreorder\t2025-11-25T13:00-0800\n", {"G": "2025-11-25"}),
        ("prestashop.csv", "reference;name;date_add;available_date\nP;Robe;2024-05-06 10:00:00;0000-00-00\n"
         "Q;Jupe;0000-00-00 00:00:00;0000-00-00\n", {"P": "2024-05-06", "Q": ""}),
        ("opencart.csv", "sku,name,date_added,date_available\nO,Hat,2024-05-06,2024-06-01\n", {"O": "2024-05-06"}),
        ("sylius.json", '[{"sku": "S", "createdAt": "2024-05-06T10:00:00+00:00"}]', {"S": "2024-05-06"}),
        ("jsonld.json", '[{"@type": "Product", "sku": "J", "releaseDate": "2024-05-06"}]', {"J": "2024-05-06"}),
        ("deutsch.csv", "Artikelnummer;Titel;Veröffentlicht am\nD;Rock;31.03.2025\nE;Hose;02.04.2025\n",
         {"D": "2025-03-31", "E": "2025-04-02"}),
        ("francais.csv", "référence;nom;Date de création\nF;Robe;2 avril 2025\n", {"F": "2025-04-02"}),
        ("epoch.csv", "item_id,came\nA,1743379200\n", {"A": "2025-03-31"}),
    ],
)  # fmt: skip
def test_feeds_say_on_which_day_an_item_came(tmp_path: Path, name: str, text: str, days: dict[str, str]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    reading = read(tmp_path / name)
    assert {one.item_id: str(one.came or "") for one in reading.items} == days
    assert reading.rejected == []
    assert "came" not in reading.understood.unknown


def test_a_day_that_is_none_or_still_to_come_is_named_and_its_item_is_taken(tmp_path: Path) -> None:
    later = date.today() + timedelta(days=40)
    reading = read(
        table(tmp_path, f"item_id,published_at\na,{later}\nb,soon\nc,03/04/2025\nd,1901-01-01\ne,2025-03-04\n")
    )
    assert [one.came for one in reading.items] == [None, None, None, None, date(2025, 3, 4)]
    assert reading.understood.unknown["came"] == {"soon": 1, "03/04/2025": 1, "1901-01-01": 1}
    [said] = [one for one in reading.understood.remarks if "later" in one]
    assert said.startswith(f"1 times an item is said to come later, such as {later}: it counts as new")
    assert reading.understood.columns["came"] == "published_at"


def test_a_preset_s_flag_that_something_is_published_is_no_day(tmp_path: Path) -> None:
    reading = read(table(tmp_path, "ID,Type,SKU,Name,Published,Regular price\n1,simple,A,Tee,1,9\n"))
    assert [(one.came, one.available) for one in reading.items] == [(None, True)]
