"""Tables and folders as shops and researchers have them come in as they are meant, and nothing is passed over."""

import csv
import gzip
import io
import json
import os
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.catalog.columns import PRESETS, Layout, alike
from modiste.catalog.events import Event, Events, read_events
from modiste.catalog.items import Item
from modiste.catalog.readers import Reading, read_source
from modiste.catalog.stores import read_stores
from modiste.catalog.taxonomy import PAPER, Taxonomy
from modiste.errors import SettingError, SourceError

TAXONOMY = Taxonomy.load(PAPER)
DAY = datetime(2025, 3, 1)
HEADER = "shopper_id,item_id,date,order_id\n"


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def events(folder: Path, content: str | bytes, name: str = "orders.csv", **how: Any) -> Events:
    return read_events(written(folder, content, name), how.pop("known", {"1", "2", "0042"}), **how)


def items(folder: Path, content: str | bytes, name: str = "items.csv", mapping: Layout | None = None) -> Reading:
    return read_source(written(folder, content, name), TAXONOMY, mapping=mapping)


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def told(reading: Reading, *names: str) -> dict[str, Any]:
    """Of each item the fields of these names."""
    found = {one.item_id: tuple(getattr(one, name) for name in names) for one in reading.items}
    return {item: some if len(some) > 1 else some[0] for item, some in found.items()}


# Ids


def test_ids_from_a_column_of_floats_are_as_they_were(tmp_path: Path) -> None:
    found = events(tmp_path, HEADER + "4711.0,1.0,2025-03-01,9001.0\n4712.0,2,2025-03-01,\n,1,2025-03-01,9003.0\n")
    assert [(one.shopper_id, one.item_id, one.order_id) for one in found.events] == [
        ("4711", "1", "9001"),
        ("4712", "2", None),
    ]
    assert [one.row for one in found.rejected] == [4]
    assert any("every shopper_id ended in .0" in one for one in found.understood.remarks)
    assert told(items(tmp_path, "item_id,product\n1.0,7.0\n2.0,7.0\n"), "product") == {"1": "7", "2": "7"}
    mixed = events(tmp_path, HEADER + "1.0,1,2025-03-01,\n1.5,1,2025-03-01,\n")
    assert [one.shopper_id for one in mixed.events] == ["1.0", "1.5"], "some are versions, not floats"


def test_leading_zeros_stay_and_lost_ones_are_told(tmp_path: Path) -> None:
    assert told(items(tmp_path, "article_id\n0042\n42\n"), "item_id") == {"0042": "0042", "42": "42"}
    found = events(tmp_path, HEADER + "007,42,2025-03-01,0010\n")
    assert found.events == [Event("007", "0042", DAY, order_id="0010")]
    assert "'42' for '0042'" in found.understood.remarks[0]
    unclear = events(tmp_path, HEADER + "007,42,2025-03-01,\n", known={"0042", "042"})
    assert not unclear.events
    assert "no item '42' in the shop" in unclear.rejected[0].reason
    assert "is '42' its '0042'" in alike(["42", "43", "1"], {"0042", "1"})[0]
    assert alike(["43"], {"0042"}) == ()


def test_an_empty_order_number_is_none_whatever_the_quotes(tmp_path: Path) -> None:
    quoted = (
        '"shopper_id","item_id","date","order_id"\n'
        + '"ann","1","2025-03-01",""\n' * 2
        + '"bea","1","2025-03-01"," A1"\n'
    )
    assert [one.order_id for one in events(tmp_path, quoted).events] == [None, None, "A1"]


# Kinds of events


def test_what_was_not_bought_is_no_purchase(tmp_path: Path) -> None:
    found = events(
        tmp_path,
        "date,user_id,event,item_id,order_id,order_item_id\n"
        "2025-03-01,ann,view,1,,\n2025-03-01,ann,addToCart,1,,\n2025-03-01,ann,transaction,1,77,L1\n"
        "2025-03-01,ann,wishlist,1,,\n2025-03-01,ann,wishlist,2,,\n",
    )
    assert [(one.kind, one.line) for one in found.events] == [("view", None), ("cart", None), ("purchase", "L1")]
    assert found.understood.unknown == {"kind": {"wishlist": 2}}
    assert "kind 'wishlist' is not known" in found.rejected[0].reason


def test_returns_and_cancellations_take_back(tmp_path: Path) -> None:
    found = events(
        tmp_path,
        "shopper_id,item_id,date,order_id,quantity,status\n"
        "ann,1,2025-03-01,A1,1,paid\nann,1,2025-03-01,C1,-2,returned\nbea,1,2025-03-01,A2,3,Partially refunded\n"
        "cat,1,2025-03-01,A3,1,cancelled\ndan,2,2025-03-01,A4,1,refunded\neve,2,2025-03-01,A5,0,paid\n"
        "fay,2,2025-03-01,A6,1,pending payment\n",
    )
    assert [(one.shopper_id, one.kind, one.quantity) for one in found.events] == [
        ("ann", "purchase", 1),
        ("ann", "return", 2),
        ("bea", "purchase", 3),
        ("cat", "purchase", 1),
        ("cat", "cancel", 1),
        ("dan", "purchase", 1),
        ("dan", "return", 1),
        ("fay", "cart", 1),
    ]
    assert found.rows == 6, "a row may be two events"
    assert [one.reason for one in found.rejected] == ["quantity 0: nothing was bought"]


# Dates


def test_a_form_with_the_day_first_is_told_and_taken_where_it_is_said(tmp_path: Path) -> None:
    day = HEADER + "ann,1,31/03/2025,\nbea,1,01/04/2025,\n"
    assert events(tmp_path, day).understood.remarks == ("2 dates have the form of '31/03/2025': add --day-first",)
    assert [one.at.day for one in events(tmp_path, day, day_first=True).events] == [31, 1]
    month = HEADER + "ann,1,3/31/2025,\nbea,1,2025-04-01,\n"
    assert "add --month-first" in events(tmp_path, month).understood.remarks[0]
    assert [one.at.day for one in events(tmp_path, month, day_first=False).events] == [31, 1]
    assert "don't say which number is the day" in events(tmp_path, HEADER + "a,1,01/04/2025,\n").understood.remarks[0]


# Columns


@pytest.mark.parametrize(
    "header",
    [
        "Shopper_ID,Item_ID,Date", "shopper id; item id; date", "customer_id\tproduct_id\tcreated_at",
        "User,SKU,timestamp", "visitorId,itemId,Event Time", "Kundennummer;Artikelnummer;Bestelldatum",
    ],
)  # fmt: skip
def test_orders_are_known_by_the_words_for_their_columns(tmp_path: Path, header: str) -> None:
    separator = next(one for one in ";\t," if one in header)
    assert events(tmp_path, f"{header}\nann{separator}1{separator}2025-03-01\n").events == [Event("ann", "1", DAY)]


def test_items_are_known_by_the_words_for_their_columns(tmp_path: Path) -> None:
    touched(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    found = items(
        tmp_path,
        "SKU;Name;Image Path;image 2;Image_3;Type;Sex;Prix;Special Price;Marke;Color;Größe;Stock Qty;Availability;"
        "Link;Heel\n1;Linen dress;a.jpg;b.jpg;c.jpg;Dress;women;1.299,00 €;999,50 €;Harbour;sand;M;4;in stock;"
        "https://s.example/1;flat\n",
    )
    a, b, c = (str(tmp_path / f"{name}.jpg") for name in "abc")
    assert found.items == [
        Item(
            "1", "Dresses", "women", a, price=1299.0, title="Linen dress", url="https://s.example/1", brand="Harbour",
            colour="sand", size="M", age_group="adults", currency="EUR",
            sale_price=999.5, available=True, stock=4, photos=(b, c),
            attributes={"Heel": "flat"},
        )
    ]  # fmt: skip
    assert found.understood.unread == {"Heel": ""}
    assert found.understood.columns["photos"] == "image 2, Image_3"


@pytest.mark.parametrize(
    ("table", "price"),
    [
        (
            "Artikel-Nr.;Bezeichnung;Warengruppe;Geschlecht;Preis (EUR);Bild\n0042;x;Damen/Kleider;Damen;49,90;a.jpg",
            49.9,
        ),
        ("référence;nom;catégorie;sexe;prix TTC;image\n0042;x;Robes;Femme;49,90 €;a.jpg", 49.9),
        ("código\tnombre\tcategoría\tgénero\tprecio\timagen\n0042\tx\tVestidos\tMujer\t$ 1.299,00 MXN\ta.jpg", 1299),
        ("codice|nome|categoria|genere|prezzo|immagine\n0042|x|Vestiti|Donna|€ 129|a.jpg", 129),
        ('kod,nazwa,kategoria,płeć,cena,zdjęcie\n0042,x,Sukienki,Kobieta,"129,99 zł",a.jpg', 129.99),
        ("artikelnummer;naam;categorie;geslacht;prijs;afbeelding\n0042;x;Jurken;Dames;€ 29,95;a.jpg", 29.95),
        ("artikelnr;namn;kategori;kön;pris;bild\n0042;x;Klänningar;Dam;299 kr;a.jpg", 299),
        ("código;nome;categoria;gênero;preço;imagem\n0042;x;Vestidos;Feminino;R$ 99,90;a.jpg", 99.9),
    ],
    ids=["de", "fr", "es", "it", "pl", "nl", "sv", "pt"],
)
def test_items_are_known_by_the_words_of_large_markets(tmp_path: Path, table: str, price: float) -> None:
    touched(tmp_path, "a.jpg")
    found = read_source(written(tmp_path, table), Taxonomy.load())
    assert found.understood.unread == {}
    assert told(found, "title", "category", "gender", "price", "image") == {
        "0042": ("x", "Dresses", "women", price, str(tmp_path / "a.jpg"))
    }


def test_ids_that_a_spreadsheet_shortened_are_told(tmp_path: Path) -> None:
    told_ = items(tmp_path, "sku,image\n1.23457E+12,\n42,\n").understood.remarks
    assert any(
        "1 times item_id is a number that a spreadsheet shortened, such as '1.23457E+12'" in one for one in told_
    )
    log = events(tmp_path, "user,item,date\n4.9E+11,1,2025-03-01\n")
    assert "shopper_id is a number that a spreadsheet shortened" in log.understood.remarks[0]


def test_columns_that_nobody_knows_are_named_with_what_they_may_mean(tmp_path: Path) -> None:
    found = items(tmp_path, "item_id,Imagge,Heel\n1,a.jpg,flat\n")
    assert found.understood.unread == {"Imagge": "image", "Heel": ""}
    assert found.understood.remarks == (
        'no column says where the photos are, so that no item has one; name it: --map image="Imagge"',
    )
    with pytest.raises(SourceError, match=r"is 'itm_id' the item_id\? Then --map item_id=\"itm_id\""):
        items(tmp_path, "itm_id,image\n1,a.jpg\n")


def test_a_mapping_says_what_no_word_does(tmp_path: Path) -> None:
    table = "Nr.,Foto1,Kinds\n1,a.jpg,Abendkleid\n2,,Hemd\n"
    touched(tmp_path, "a.jpg")
    file = written(tmp_path, '[columns]\nitem_id = "Nr."\n[words.category]\nAbendkleid = "Dress"\n', "mine.toml")
    layout = Layout.load(file).mapped(["image=Foto1", "category=kinds"])
    assert told(items(tmp_path, table, mapping=layout), "category", "image") == {
        "1": ("Dresses", str(tmp_path / "a.jpg")),
        "2": ("Hemd", None),
    }
    with pytest.raises(SettingError, match=r"no column 'Photo' for image; there are Nr\., Foto1, Kinds"):
        items(tmp_path, table, mapping=Layout().mapped(["item_id=Nr.", "image=Photo"]))
    with pytest.raises(SettingError, match="imige is no field of items; image is"):
        items(tmp_path, table, mapping=Layout().mapped(["item_id=Nr.", "imige=Foto1"]))
    for part in ("constants", "words"):
        with pytest.raises(SettingError, match="gendre is no field of items; gender is"):
            items(
                tmp_path, table, mapping=Layout(columns={"item_id": ["Nr."]}, **{part: {"gendre": {"Damen": "women"}}})
            )
    with pytest.raises(SettingError, match='takes field=column, such as image="Image Src"'):
        Layout().mapped(["image"])
    ignored = events(tmp_path, "shopper,item,date,status\na,1,2025-03-01,gold\n", mapping=Layout().mapped(["status="]))
    assert [one.kind for one in ignored.events] == ["purchase"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("columns = 3", "columns can't be 3"),
        ("[colums]", "colums is no key of a mapping; columns is"),
        ("[columns]\nimage = 3", "columns.image must be a column or a list of them"),
        ("[constants]\ngender = 3", "constants.gender must be text"),
        ("[words]\nkind = 3", "words.kind must be a table"),
        ("[", "can't be read as TOML"),
    ],
)
def test_a_mapping_that_is_none_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        Layout.load(written(tmp_path, content, "mine.toml"))
    with pytest.raises(SourceError, match="doesn't exist"):
        Layout.load(tmp_path / "none.toml")


def test_of_two_columns_for_the_shopper_one_stands_in_for_the_other(tmp_path: Path) -> None:
    found = events(tmp_path, "user_id,shopper_id,item_id,date,at\n17,ann,1,2025-03-01,web\n18,,1,2025-03-01,web\n")
    assert [one.shopper_id for one in found.events] == ["ann", "18"]
    assert found.understood.columns["shopper_id"] == "shopper_id, user_id"
    assert found.understood.unread == {"at": ""}


# What is in a cell


def test_empty_has_many_names_and_words_that_are_not_known_are_counted(tmp_path: Path) -> None:
    found = items(
        tmp_path,
        "item_id,category,gender,price,popularity,available,stock,currency\n"
        '1,NaN,NULL,N/A,"1,204",yes,many,EUR\n2,nan,martian,5,3,hm,,Taler\n3,Hat,martian,,,,,\n',
    )
    assert told(found, "category", "gender", "price", "popularity", "available", "stock") == {
        "1": (None, None, None, 1204.0, True, None),
        "2": (None, None, 5.0, 3.0, None, None),
        "3": ("Hat", None, None, None, None, None),
    }
    assert found.understood.unknown == {
        "category": {"Hat": 1}, "gender": {"martian": 2}, "available": {"hm": 1}, "stock": {"many": 1},
        "currency": {"Taler": 1},
    }  # fmt: skip


def test_a_slip_of_the_pen_is_told_what_it_is_like(tmp_path: Path) -> None:
    found = items(tmp_path, "item_id,category,gender,age_group\n1,Dreses,womne,chldren\n")
    assert found.understood.remarks[1:3] == (
        "gender 'womne' is not known; is it women?", "age_group 'chldren' is not known; is it children?"
    )  # fmt: skip
    assert "category 'Dreses' is not known; is it Dresses?" in found.understood.remarks
    log = events(tmp_path, "user,item,date,event,status\na,1,2025-03-01,purchse,\na,1,2025-03-01,,compelte\n")
    assert log.understood.remarks == (
        "kind 'purchse' is not known; is it purchase?", "status 'compelte' is not known; is it complete?"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "sold", "returned", "cancelled"),
    [
        ("Bestellnr;Datum;Kundennr;Artikelnr;Menge;Status", "Versandt", "zurückerstattet", "Storno"),
        ("N° commande;Date commande;Client;Référence;Quantité;Statut commande", "Payé", "Remboursé", "Annulation"),
        ("Nr zamówienia;Data zakupu;Klient;Symbol;Ilość;Status zamówienia", "Wysłana", "zwrócony", "Odrzucone"),
        ("N. ordine;Data ordine;Codice cliente;Articolo;Q.tà;Stato ordine", "In consegna", "Resa", "Annullata"),
    ],
)
def test_an_order_book_of_any_language_says_what_became_of_orders(
    tmp_path: Path, header: str, sold: str, returned: str, cancelled: str
) -> None:
    rows = [f"{n};2025-03-0{n};k{n};0042;1;{status}" for n, status in enumerate((sold, returned, cancelled), 1)]
    found = events(tmp_path, "\n".join([header, *rows, ""]))
    assert Counter(one.kind for one in found.events) == {"purchase": 3, "return": 1, "cancel": 1}
    assert not found.understood.remarks


def test_the_decimal_mark_is_told_by_the_column(tmp_path: Path) -> None:
    assert told(items(tmp_path, "item_id;price\n1;1.299\n2;29,90\n"), "price") == {"1": 1299.0, "2": 29.9}
    assert told(items(tmp_path, "item_id;price\n1;1.299\n2;29.90\n"), "price") == {"1": 1.299, "2": 29.9}


def test_what_it_cost_before_is_the_price_and_what_it_costs_the_sale_price(tmp_path: Path) -> None:
    found = items(tmp_path, "item_id,price,compare_at_price\n1,79,99\n2,79,\n3,79,70\n")
    assert told(found, "price", "sale_price") == {"1": (99.0, 79.0), "2": (79.0, None), "3": (79.0, None)}


def test_photos_are_found_however_they_are_written(tmp_path: Path) -> None:
    touched(tmp_path, "images/a.JPG", "images/b.png", f"images/{unicodedata.normalize('NFD', 'été')}.jpg", "x, y.jpg")
    a, b = str(tmp_path / "images/a.JPG"), str(tmp_path / "images/b.png")
    for cell, photos in {
        "images\\a.jpg": [a],
        "./IMAGES/A.jpg": [a],
        "images/b": [b],
        "images/été.jpg": [str(tmp_path / "images" / unicodedata.normalize("NFD", "été.jpg"))],
        f"file://{tmp_path}/images/b.png": [b],
        "x, y.jpg": [str(tmp_path / "x, y.jpg")],
        "images/a.jpg|images/b.png": [a, b],
        "images/a.jpg, images/b.png": [a, b],
        '["images/a.jpg", {"src": "images/b.png"}]': [a, b],
        "//cdn.example/a.jpg": ["https://cdn.example/a.jpg"],
        "https://c.example/w_4,h_3/a b.jpg , http://c.example/c.jpg?v=1": [
            "https://c.example/w_4,h_3/a%20b.jpg",
            "http://c.example/c.jpg?v=1",
        ],
    }.items():
        (item,) = items(tmp_path, json.dumps([{"item_id": "1", "image": cell}]), "items.json").items
        assert [item.image, *item.photos] == photos, cell
    found = items(tmp_path, "item_id,image,images\n1,images/b.png,images/c.png\n2,images/c.png,\n")
    assert told(found, "photos") == {"1": ()}
    assert "images/c.png" in found.understood.remarks[0]
    assert found.rejected[0].row == 3


def test_several_rows_of_an_item_with_a_photo_each_are_one_item(tmp_path: Path) -> None:
    touched(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table = "item_id,image,category\nA,a.jpg,Dress\nA,b.jpg,Dress\nB,a.jpg,Skirt\nC,c.jpg,Dress\nC,c.jpg,Hat\n"
    found = items(tmp_path, table)
    a, b = str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")
    assert told(found, "image", "photos", "product") == {"A": (a, (b,), "A"), "B": (a, (), "B")}
    assert (found.merged, [one.row for one in found.rejected]) == (1, [5, 6])


def test_sizes_that_share_a_photo_are_one_product(tmp_path: Path) -> None:
    touched(tmp_path, "a.jpg", "b.jpg")
    found = items(
        tmp_path,
        "item_id,image,category,title,size,product\n1,a.jpg,Dress,Linen S,S,\n2,a.jpg,Dress,Linen M,M,\n"
        "3,a.jpg,Dress,Cotton,M,\n4,a.jpg,Skirt,Linen M,M,\n5,b.jpg,Dress,Linen M,M,\n6,a.jpg,Dress,Linen L,L,own\n",
    )
    assert told(found, "product") == {"1": "a.jpg", "2": "a.jpg", "3": "3", "4": "4", "5": "5", "6": "own"}
    many = items(tmp_path, "item_id,image\n" + "".join(f"{number},a.jpg\n" for number in range(100)))
    assert len({one.product for one in many.items}) == 100
    assert "is it a placeholder?" in many.understood.remarks[0]


# Systems


def test_presets_are_recognised_by_signs_of_their_own() -> None:
    layouts = [Layout.load(file) for file in PRESETS.glob("*.toml")]
    assert {one.name.split()[0] for one in layouts} >= {
        "Shopify", "WooCommerce", "Google", "Magento", "H&M", "Myntra", "Rent", "RetailRocket"
    }  # fmt: skip
    assert all(one.of in ("items", "events") and one.known_by and one.name for one in layouts)


SHOPIFY = """\
Handle,Title,Vendor,Product Category,Type,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,\
Variant Price,Variant Compare At Price,Image Src,Google Shopping / Gender,Variant Image,Status,Variant Inventory Qty
dress,Linen Dress,Harbour,Apparel > Clothing > Dresses,Dress,Color,Sand,Size,S,D-S,79.00,99.00,https://c.example/1.jpg,\
female,https://c.example/1.jpg,active,3
dress,,,,,,Sand,,M,,79.00,,https://c.example/2.jpg,,https://c.example/1.jpg,,0
dress,,,,,,,,,,,,https://c.example/3.jpg,,,,
jacket,Chore Jacket,Harbour,,Jacket,Title,Default Title,,,J,120.00,,https://c.example/4.jpg,male,,draft,
,,,,,,,,,,,,https://c.example/5.jpg,,,,
"""


def test_shopifys_products_have_variants_that_inherit(tmp_path: Path) -> None:
    found = items(tmp_path, SHOPIFY)
    assert found.understood.preset == "Shopify products"
    names = ("product", "category", "gender", "price", "sale_price", "colour", "size", "available", "stock", "image")
    one, four = "https://c.example/1.jpg", "https://c.example/4.jpg"
    assert told(found, *names) == {
        "D-S": ("dress", "Dresses", "women", 99.0, 79.0, "Sand", "S", True, 3, one),
        "Linen Dress - Sand / M": ("dress", "Dresses", "women", 79.0, None, "Sand", "M", True, 0, one),
        "J": ("jacket", "Jackets_Coats", "men", 120.0, None, None, None, False, None, four),
    }
    assert told(found, "photos")["D-S"] == ("https://c.example/2.jpg", "https://c.example/3.jpg")
    assert [one.on_offer for one in found.items] == [True, False, False]
    assert (found.merged, [one.row for one in found.rejected]) == (1, [6])


def test_shopifys_orders_say_in_their_first_line_what_became_of_them(tmp_path: Path) -> None:
    header = "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem sku,Cancelled at\n"
    found = events(
        tmp_path,
        header + "#1,ann@x.example,paid,2025-03-01 09:59:58 +0100,2,Dress - S,1,\n#1,ann@x.example,,,1,2,,\n"
        "#2,bea@x.example,refunded,2025-03-01,1,,1,\n#2,,,,1,,2,\n#3,cat@x.example,voided,2025-03-01,1,,1,2025-03-02\n",
    )
    assert found.understood.preset == "Shopify orders"
    assert [(one.order_id, one.item_id, one.kind, one.quantity, one.at.hour) for one in found.events] == [
        ("#1", "1", "purchase", 2, 8), ("#1", "2", "purchase", 1, 8), ("#2", "1", "purchase", 1, 0),
        ("#2", "1", "return", 1, 0), ("#2", "2", "purchase", 1, 0), ("#2", "2", "return", 1, 0),
        ("#3", "1", "purchase", 1, 0), ("#3", "1", "cancel", 1, 0),
    ]  # fmt: skip
    assert {one.shopper_id for one in found.events} == {"ann@x.example", "bea@x.example", "cat@x.example"}


def test_woocommerces_variations_inherit_from_their_parent(tmp_path: Path) -> None:
    found = items(
        tmp_path,
        'ID,Type,SKU,Name,Published,"In stock?","Regular price","Sale price",Categories,Images,Parent,'
        '"Attribute 1 name","Attribute 1 value(s)"\n'
        '44,variable,woo,Summer Dress,1,1,,,"Women > Dresses, Dresses","https://s.example/1.jpg, https://s.example/2.jpg",,'
        'Size,"S, M"\n'
        "45,variation,woo-s,Summer Dress - S,1,0,45,40,,https://s.example/s.jpg,id:44,Size,S\n"
        "46,variation,,Summer Dress - M,1,1,45,,,,woo,Size,M\n47,simple,scarf,Scarf,-1,1,9,,Accessories,,,,\n",
    )
    assert found.understood.preset == "WooCommerce products"
    assert told(found, "product", "category", "gender", "price", "size", "available", "image") == {
        "woo-s": ("woo", "Dresses", "women", 45.0, "S", False, "https://s.example/s.jpg"),
        "46": ("woo", "Dresses", "women", 45.0, "M", True, "https://s.example/1.jpg"),
        "scarf": ("scarf", "Accessories", None, 9.0, None, False, None),
    }
    assert (found.merged, found.rejected) == (1, [])


GOOGLE = {
    "id": "D-S", "title": "Linen Dress", "link": "https://s.example/p", "image_link": "https://s.example/1.jpg",
    "additional_image_link": "https://s.example/2.jpg", "availability": "out_of_stock", "price": "79.00 EUR",
    "sale_price": "59.00 EUR", "product_type": "Dresses", "brand": "Harbour", "gender": "female", "color": "sand",
    "size": "S", "item_group_id": "D",
}  # fmt: skip


@pytest.mark.parametrize("form", ["tsv", "rss", "atom"])
def test_googles_feeds_are_read_in_all_their_forms(tmp_path: Path, form: str) -> None:
    fields = "".join(f"<g:{name}>{value}</g:{name}>" for name, value in GOOGLE.items())
    space = 'xmlns:g="http://base.google.com/ns/1.0"'
    content = {
        "tsv": "\t".join(name.replace("_", " ") for name in GOOGLE) + "\n" + "\t".join(GOOGLE.values()) + "\n",
        "rss": f'<?xml version="1.0"?><rss {space}><channel><title>x</title><item>{fields}<g:shipping><g:price>4 EUR'
        "</g:price></g:shipping></item></channel></rss>",
        "atom": f'<feed xmlns="http://www.w3.org/2005/Atom" {space}><title>x</title><entry>{fields}</entry></feed>',
    }[form]
    found = items(tmp_path, content, "feed.txt" if form == "tsv" else "feed.xml")
    assert found.understood.preset == "Google Merchant"
    (item,) = found.items
    assert (item.item_id, item.product, item.category, item.gender) == ("D-S", "D", "Dresses", "women")
    assert (item.price, item.sale_price, item.currency, item.available) == (79.0, 59.0, "EUR", False)
    assert (item.image, item.photos) == ("https://s.example/1.jpg", ("https://s.example/2.jpg",))


def test_xml_that_declares_entities_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><rss><item><id>&b;</id></item></rss>'
    with pytest.raises(SourceError, match="can't be read as XML: it declares entities"):
        items(tmp_path, bomb, "feed.xml")


def test_magentos_variants_are_named_by_their_product(tmp_path: Path) -> None:
    found = items(
        tmp_path,
        "sku,attribute_set_code,product_type,categories,name,price,special_price,base_image,qty,is_in_stock,"
        "additional_attributes,configurable_variations\n"
        'A-S,Top,simple,,Tank S,29,19,,3,1,"color=Blue,size=S,material=Cotton",\n'
        'A-M,Top,simple,,Tank M,29,,,0,0,"color=Blue,size=M",\n'
        "A,Top,configurable,Default Category/Women/Tees,Tank,,,//m.example/a.jpg,0,1,,"
        '"sku=A-S,size=S|sku=A-M,size=M"\n',
    )
    assert found.understood.preset == "Magento products"
    assert told(found, "product", "price", "sale_price", "colour", "size", "stock", "image") == {
        "A-S": ("A", 29.0, 19.0, "Blue", "S", 3, "https://m.example/a.jpg"),
        "A-M": ("A", 29.0, None, "Blue", "M", 0, "https://m.example/a.jpg"),
    }
    assert found.items[0].attributes["material"] == "Cotton"
    assert found.merged == 1


def test_what_shopifys_api_gives_is_a_row_a_variant_with_its_own_photo(tmp_path: Path) -> None:
    variants = [
        {"id": 11, "title": "S / Sand", "price": "79.00", "compare_at_price": "99.00", "sku": "D-S", "option1": "S",
         "option2": "Sand", "inventory_quantity": 3, "image_id": 1},
        {"id": 12, "title": "S / Navy", "price": "79.00", "sku": "", "option1": "S", "option2": "Navy", "image_id": 2},
    ]  # fmt: skip
    dress = {
        "id": 7, "title": "Linen Dress", "handle": "dress", "vendor": "Harbour", "product_type": "Dress",
        "status": "active", "image": {"id": 1, "src": "https://c.example/1.jpg"}, "variants": variants,
        "options": [{"name": "Size", "values": ["S"]}, {"name": "Farbe", "values": ["Sand", "Navy"]}],
        "images": [{"id": n, "src": f"https://c.example/{n}.jpg"} for n in (1, 2, 3)],
    }  # fmt: skip
    coat = dress | {"id": 8, "title": "Coat", "handle": "coat", "status": "draft", "variants": variants[:1]}
    coat |= {"variants": [{"id": 21, "sku": "C", "price": "120", "option1": "Default Title"}], "options": []}
    found = items(tmp_path, json.dumps({"products": [dress, coat]}), "products.json")
    assert found.understood.preset == "Shopify products"
    names = ("product", "category", "title", "price", "sale_price", "colour", "size", "stock", "image")
    one, two = "https://c.example/1.jpg", "https://c.example/2.jpg"
    assert told(found, *names) == {
        "D-S": ("dress", "Dresses", "Linen Dress", 99.0, 79.0, "Sand", "S", 3, one),
        "12": ("dress", "Dresses", "Linen Dress", 79.0, None, "Navy", "S", None, two),
        "C": ("coat", "Dresses", "Coat", 120.0, None, None, None, None, one),
    }
    assert told(found, "photos")["C"] == (two, "https://c.example/3.jpg")
    assert [one.available for one in found.items] == [True, True, False]
    assert (found.merged, found.rejected) == (0, [])


def test_what_woocommerces_api_gives_inherits_as_its_csv_does(tmp_path: Path) -> None:
    tee = {"id": 7, "name": "Tee", "permalink": "https://s.example/7", "type": "variable", "sku": "TEE",
           "status": "publish",
           "regular_price": "", "stock_status": "instock",
           "categories": [{"id": 1, "name": "Women"}, {"name": "T-Shirts"}],
           "images": [{"src": "https://s.example/7.jpg", "name": "tee"}], "parent_id": 0, "variations": [8, 9],
           "attributes": [{"name": "Couleur", "options": ["Red", "Blue"]}]}  # fmt: skip
    red = {"id": 8, "type": "variation", "sku": "", "parent_id": 7, "regular_price": "19.90", "sale_price": "15",
           "stock_status": "outofstock", "attributes": [{"name": "Couleur", "option": "Red"}],
           "image": {"src": "https://s.example/8.jpg"}}  # fmt: skip
    found = items(
        tmp_path, json.dumps([tee, red | {"name": "Tee - Red", "permalink": "https://s.example/8"}]), "a.json"
    )
    assert found.understood.preset == "WooCommerce products"
    assert told(found, "product", "category", "gender", "price", "sale_price", "colour", "available", "image") == {
        "8": ("TEE", "Tees_Tanks", "women", 19.9, 15.0, "Red", False, "https://s.example/8.jpg")
    }
    assert found.merged == 1


ORDERS_OF_SYSTEMS: dict[str, tuple[Any, list[tuple[str, str, str, int]]]] = {
    "Shopify orders": (
        {"orders": [{"id": 450, "name": "#1", "email": "ann", "created_at": "2025-03-01T10:12:00+01:00",
                     "financial_status": status, "cancelled_at": None, "customer": {"id": 3}, "line_items": [
                         {"id": 1, "variant_id": 9, "sku": "1", "quantity": 2},
                         {"id": 2, "variant_id": 2, "sku": "", "quantity": 1}]}
                    for status in ("paid",)]},
        [("ann", "1", "purchase", 2), ("ann", "2", "purchase", 1)],
    ),
    "WooCommerce orders": (
        [{"id": 7, "number": "7", "status": status, "date_created": "2025-03-01T10:12:00", "customer_id": 0,
          "billing": {"email": who}, "line_items": [
              {"id": 1, "product_id": 2, "variation_id": 0, "quantity": 1, "sku": ""}]}
         for who, status in (("ann", "completed"), ("bea", "pending"), ("", "refunded"))],
        [("ann", "2", "purchase", 1), ("bea", "2", "cart", 1)],
    ),
    "Magento orders": (
        {"items": [{"increment_id": "0001", "customer_email": "ann", "created_at": "2025-03-01 10:12:00",
                    "status": "closed",
                    "items": [{"item_id": 1, "sku": "1", "qty_ordered": 2, "created_at": "2025-03-01 10:12:00"}]}
                   ], "search_criteria": {}, "total_count": 1},
        [("ann", "1", "purchase", 2), ("ann", "1", "return", 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("system", ORDERS_OF_SYSTEMS)
def test_orders_are_read_as_the_apis_of_shops_give_them(tmp_path: Path, system: str) -> None:
    content, wanted = ORDERS_OF_SYSTEMS[system]
    found = events(tmp_path, json.dumps(content), "orders.json")
    assert found.understood.preset == system
    assert [(one.shopper_id, one.item_id, one.kind, one.quantity) for one in found.events] == wanted
    assert [one.reason for one in found.rejected] == ["no shopper_id"] * (system == "WooCommerce orders")


@pytest.mark.parametrize(
    ("system", "table"),
    [
        (
            "WooCommerce orders",
            "Order Number,Order Status,Order Date,Email (Billing),SKU,Item #,Item Name,Quantity (- Refund)\n"
            "7,Completed,2025-03-01,ann,1,1,Tee,2\n7,Completed,2025-03-01,ann,1,2,Tee,1\n8,Failed,2025-03-01,bea,1,1,Tee,1\n",
        ),
        (
            "Magento orders",
            "increment_id,status,created_at,customer_email,sku,qty_ordered\n7,complete,2025-03-01,ann,1,2.0000\n"
            "7,complete,2025-03-01,ann,2,1.0000\n8,canceled,2025-03-01,bea,1,1.0000\n",
        ),
    ],
)
def test_orders_are_read_as_exports_of_shops_write_them(tmp_path: Path, system: str, table: str) -> None:
    found = events(tmp_path, table)
    assert found.understood.preset == system
    assert [(one.shopper_id, one.kind, one.quantity, one.order_id) for one in found.events] == [
        ("ann", "purchase", 2, "7"), ("ann", "purchase", 1, "7"), ("bea", "purchase", 1, "8"), ("bea", "cancel", 1, "8")
    ]  # fmt: skip


def test_what_a_record_lists_that_is_no_record_is_reported(tmp_path: Path) -> None:
    order = {
        "order_id": "A1",
        "customer": {"id": "ann"},
        "date": "2025-03-01",
        "items": [{"sku": "1", "qty": 2}, "x", None],
    }
    found = events(tmp_path, json.dumps([order, 7]), "orders.json")
    assert [(one.shopper_id, one.quantity) for one in found.events] == [("ann", 2)]
    assert [one.row for one in found.rejected] == [2, 2, 3]


def test_research_sets_find_their_photos_and_rentals(tmp_path: Path) -> None:
    touched(tmp_path, "images/010/0108775015.jpg", "images/7.jpg")
    hm = items(
        tmp_path,
        "article_id,product_code,prod_name,product_type_name,index_group_name,perceived_colour_master_name\n"
        "0108775015,0108775,Strap top,Dress,Women,Black\n",
    )
    assert told(hm, "product", "category", "gender", "colour", "image") == {
        "0108775015": ("0108775", "Dresses", "women", "Black", str(tmp_path / "images/010/0108775015.jpg"))
    }
    bought = events(tmp_path, "t_dat,customer_id,article_id,price\n2025-03-01,ab,1,0.05\n")
    assert (bought.understood.preset, bought.events) == ("H&M transactions", [Event("ab", "1", DAY)])
    myntra = items(
        tmp_path,
        "id,gender,masterCategory,subCategory,articleType,baseColour,productDisplayName\n"
        "7,Men,Apparel,Topwear,Shirts,Navy Blue,X\n",
    )
    assert told(myntra, "category", "gender", "image") == {
        "7": ("Blouses_Shirts", "men", str(tmp_path / "images/7.jpg"))
    }
    rental = {"user_id": "4", "item_id": "1", "category": "gown", "size": 14, "rented for": "wedding"}
    rentals = json.dumps(rental | {"review_date": "April 20, 2016"}) + "\n"
    rentals += rentals.replace('"4"', '"5"').replace("14", "12")
    assert [one.at.year for one in events(tmp_path, rentals, "rtr.json").events] == [2016, 2016]
    gowns = items(tmp_path, rentals, "rtr.json")
    assert (told(gowns, "category", "gender"), gowns.merged) == ({"1": ("Dresses", "women")}, 1)
    clicks = (
        "timestamp,visitorid,event,itemid,transactionid\n1740787200000,9,view,1,\n1740787200000,9,transaction,1,4\n"
    )
    assert [(one.kind, one.at, one.order_id) for one in events(tmp_path, clicks).events] == [
        ("view", DAY, None),
        ("purchase", DAY, "4"),
    ]


# Forms of files


def rows_as(form: str, rows: list[dict[str, str]], separator: str = ",") -> tuple[str, bytes]:
    """A file's name and content: these rows in one of many forms."""
    out = io.StringIO()
    lines = csv.DictWriter(out, rows[0], delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    lines.writeheader()
    lines.writerows(rows)
    text = out.getvalue()
    if form == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("__MACOSX/._orders.csv", "x")
            archive.writestr("export/orders.csv", text)
        return "orders.zip", packed.getvalue()
    if form == "parquet":
        frame = io.BytesIO()
        pl.DataFrame(rows).write_parquet(frame)
        return "orders.parquet", frame.getvalue()
    elements = "".join("<row>" + "".join(f"<{k}>{escape(v)}</{k}>" for k, v in row.items()) + "</row>" for row in rows)
    nested = [{"id": {"of": "order"}, "line_items": rows[place : place + 2]} for place in range(0, len(rows), 2)]
    forms: dict[str, Callable[[], tuple[str, bytes]]] = {
        "csv": lambda: ("orders.csv", text.encode()),
        "sep": lambda: ("orders.csv", f"sep={separator}\r\n{text}".encode()),
        "utf-16": lambda: ("orders.csv", text.encode("utf-16")),
        "utf-16-le": lambda: ("orders.txt", text.encode("utf-16-le")),
        "utf-32": lambda: ("orders.txt", text.encode("utf-32")),
        "cp1252": lambda: ("orders.csv", text.encode("cp1252")),
        "gzip": lambda: ("orders.csv.gz", gzip.compress(text.encode())),
        "no ending": lambda: ("orders", text.encode()),
        "single quotes": lambda: ("orders.csv", text.replace('"', "'").encode()),
        "json": lambda: ("orders.json", json.dumps(rows).encode()),
        "json lines": lambda: ("orders.txt", "\n".join(map(json.dumps, rows)).encode()),
        "json object": lambda: ("orders.json", json.dumps({"page": 1, "orders": rows}, indent=1).encode()),
        "json pages": lambda: ("orders.jsonl", "\n".join(json.dumps({"orders": [one]}) for one in rows).encode()),
        "json in json": lambda: ("orders.json", json.dumps({"data": {"orders": nested}, "next": {"page": 2}}).encode()),
        "xml": lambda: ("orders.xml", f"<orders>{elements}</orders>".encode()),
        "xlsx": lambda: (
            "orders.xlsx",
            workbook([[*rows[0]], *([escape(one) for one in row.values()] for row in rows)]),
        ),
    }
    return forms[form]()


FORMS = [
    "csv", "sep", "utf-16", "utf-16-le", "utf-32", "cp1252", "gzip", "zip", "no ending", "single quotes", "json",
    "json lines", "json object", "json pages", "json in json", "xml", "xlsx", "parquet",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    rows = [{"shopper_id": "José", "item_id": "0042", "date": "2025-03-01", "note": "a; b, c"} for _ in range(3)]
    name, content = rows_as(form, rows)
    assert events(tmp_path, content, name).events == [Event("José", "0042", DAY)] * 3


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "^", "~", "\x01", ":", "¦"])
def test_any_separator_is_told_by_the_header(tmp_path: Path, separator: str) -> None:
    rows = [{"shopper_id": "ann", "item_id": "1", "date": "2025-03-01", "a,b": "x"}]
    assert events(tmp_path, rows_as("csv", rows, separator)[1]).events == [Event("ann", "1", DAY)]
    assert events(tmp_path, rows_as("sep", rows, separator)[1]).events == [Event("ann", "1", DAY)]


@pytest.mark.parametrize(
    "title", ["# export of 1 March\n", "Our shop\n\nAll items; as of today\n", "sep=;\nOur shop;;\n"]
)
def test_a_title_may_stand_above_the_columns(tmp_path: Path, title: str) -> None:
    content = f"{title}SKU;Category;Price\n0042;Dress;12,50\nTotal;;\n"
    assert told(items(tmp_path, content), "category", "price") == {"0042": ("Dresses", 12.5), "Total": (None, None)}
    pytest.importorskip("python_calamine", reason="needs the extra formats")
    cells = [["Our shop", "", ""], ["", "", ""], ["SKU", "Category", "Price"], ["0042", "Dress", 12.5], ["43", 7, "x"]]
    found = items(tmp_path, workbook(cells), "items.xlsx")
    assert told(found, "category", "price") == {"0042": ("Dresses", 12.5)}
    assert [one.row for one in found.rejected] == [5]


def test_spreadsheets_are_read_with_their_types(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine", reason="needs the extra formats")
    cells = [
        ["", "", "", ""], ["shopper_id", "item_id", "date", "order_id"], ["ann", "0042", 45717.5, 9001],
        ["bea", 1, "2025-03-01", ""],
    ]  # fmt: skip
    content = workbook(cells)
    found = events(tmp_path, content, "orders.xlsx").events
    assert [(one.shopper_id, one.item_id, one.order_id) for one in found] == [("bea", "1", None)]
    assert events(tmp_path, content, "orders.xlsx").rejected[0].row == 3, "a day's number that is not formatted as one"


def workbook(cells: list[list[Any]]) -> bytes:
    """A spreadsheet of texts and numbers, as small as one can be."""
    rows = "".join(
        "<row>" + "".join(
            f"<c><v>{cell}</v></c>" if isinstance(cell, int | float) else f'<c t="inlineStr"><is><t>{cell}</t></is></c>'
            for cell in row
        ) + "</row>"
        for row in cells
    )  # fmt: skip
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package, office = (
        "http://schemas.openxmlformats.org/package/2006",
        "http://schemas.openxmlformats.org/officeDocument/2006",
    )
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-'
            f'package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        )
        for name, target, what in (
            ("_rels/.rels", "xl/workbook.xml", "officeDocument"),
            ("xl/_rels/workbook.xml.rels", "worksheets/sheet1.xml", "worksheet"),
        ):
            archive.writestr(
                name,
                f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
                f'Type="{office}/relationships/{what}" '
                f'Target="{target}"/></Relationships>',
            )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}/relationships"><sheets><sheet name="a" sheetId="1" r:id="r1"/>'
            "</sheets></workbook>",
        )
        archive.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
        )
    return packed.getvalue()


def test_a_zip_of_several_tables_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", HEADER)
        archive.writestr("b.csv", HEADER)
    with pytest.raises(SourceError, match=r"holds a\.csv, b\.csv; pack one table"):
        events(tmp_path, packed.getvalue(), "orders.zip")
    os.mkfifo(tmp_path / "pipe.csv")
    for odd in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(SourceError, match="is no regular file"):
            read_events(odd, set())


def test_quotes_that_swallow_rows_cost_one_row(tmp_path: Path) -> None:
    found = events(
        tmp_path,
        'shopper_id,item_id,date,note\nann,1,2025-03-01,"tall\nbea,1,2025-03-01,ok\ncat,1,2025-03-01,30" inseam\n'
        'dan,1,2025-03-01,"two\nlines"\neve,1,2025-03-01,"x\nfay,1,2025-03-01,"y"\n',
    )
    assert [one.shopper_id for one in found.events] == ["bea", "cat", "dan", "fay"]
    assert [one.row for one in found.rejected] == [2, 6]
    assert all("mend the quotes" in one.reason for one in found.rejected)


def test_a_header_in_an_encoding_that_nobody_can_tell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="row 1, holds what is no character in its encoding"):
        items(tmp_path, "商品番号,画像\n1,a.jpg\n".encode("shift_jis"))


def test_a_row_in_another_encoding_is_a_row_that_is_not_taken(tmp_path: Path) -> None:
    found = events(
        tmp_path, HEADER.encode() + "zoë,1,2025-03-01,\n".encode() + b"jos\xe9,1,2025-03-01,\nann,1,2025-03-01,\n"
    )
    assert [one.shopper_id for one in found.events] == ["zoë", "ann"]
    assert "no character in its encoding" in found.rejected[0].reason


# Folders


def test_folders_are_flat_or_of_genders_categories_and_products(tmp_path: Path) -> None:
    assert told(read_source(touched(tmp_path / "flat", "a.jpg", "b.jpg"), TAXONOMY), "category") == {
        "a": None,
        "b": None,
    }
    three = read_source(touched(tmp_path / "three", "women/dresses/1.jpg", "Men/Shirts/2.jpg"), TAXONOMY)
    assert told(three, "category", "gender") == {
        "Men/Shirts/2": ("Blouses_Shirts", "men"),
        "women/dresses/1": ("Dresses", "women"),
    }
    views = read_source(touched(tmp_path / "views", "dresses/LMD/front.jpg", "dresses/LMD/back.jpg"), TAXONOMY)
    assert told(views, "product", "view", "category") == {
        "dresses/LMD/back": ("dresses/LMD", "back", "Dresses"),
        "dresses/LMD/front": ("dresses/LMD", "front", "Dresses"),
    }
    assert "1 folders such as dresses/LMD are taken for a product each" in views.understood.remarks[0]
    many = touched(tmp_path / "many", *(f"dresses/summer/{number}.jpg" for number in range(30)))
    assert len({one.product for one in read_source(many, TAXONOMY).items}) == 30


def test_a_folder_may_hold_one_product(tmp_path: Path) -> None:
    found = read_source(touched(tmp_path, "SKU-001/a.jpg", "SKU-001/b.jpg", "new/7/a.jpg", "2025/03/x.jpg"), TAXONOMY)
    assert told(found, "category", "product", "view") == {
        "SKU-001/a": (None, "SKU-001", "a"), "SKU-001/b": (None, "SKU-001", "b"),
        "new/7/a": ("new", "new/7", "a"), "2025/03/x": (None, "2025/03", "x"),
    }  # fmt: skip
    many = read_source(touched(tmp_path / "many", *(f"class 1/{n}.jpg" for n in range(21))), TAXONOMY)
    assert {(one.category, one.product == one.item_id) for one in many.items} == {("class 1", True)}


def test_a_folders_names_are_the_same_in_every_unicode_form(tmp_path: Path) -> None:
    found = read_source(touched(tmp_path, unicodedata.normalize("NFD", "Dresses/été.JPG")), TAXONOMY)
    assert [one.item_id for one in found.items] == [unicodedata.normalize("NFC", "Dresses/été")]
    assert found.items[0].image is not None
    assert Path(found.items[0].image).is_file()


def test_a_stores_decimal_comma_is_reported_and_its_columns_named(tmp_path: Path) -> None:
    table = 'Store ID,Lat,Lng,Fax\nP1,"48,86","2,35",0\nP2,48.86,2.35,\n'
    found, rejected, understood = read_stores(written(tmp_path, table))
    assert (found["store_id"].to_list(), [one.row for one in rejected]) == (["P2"], [2])
    assert understood.unread == {"Fax": ""}


# Nothing is lost

cell = st.one_of(
    st.sampled_from(
        [
            "",
            "1",
            "2",
            "²",
            '["a',
            "[1]",
            "http://[x",
            "file://[x",
            "a.jpg",
            "women",
            "Dress",
            "12,50 €",
            "2025-03-01",
            "31/03/2025",
            "view",
            "-1",
            '"',
            "a,b",
            "x\ny",
        ]
    ),
    st.text(max_size=6),
)
ITEMS = ["item_id", "Image", "product", "price", "gender", "category", "Heel", "photos", "size", "stock"]
ORDERS = ["user_id", "item_id", "date", "order_id", "qty", "event", "status", "note"]


@given(data=st.data(), form=st.sampled_from(sorted({*FORMS} - {"cp1252", "utf-16-le", "single quotes", "no ending"})))
def test_rows_in_are_rows_taken_and_reported(data: st.DataObject, form: str) -> None:
    header = data.draw(st.sampled_from([ITEMS, ORDERS]))
    names = data.draw(st.lists(st.sampled_from(header), unique=True, min_size=1, max_size=6))
    names = list(dict.fromkeys([*header[:3], *names]))
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, cell)), min_size=1, max_size=6))
    if "json" not in form and form != "parquet":  # a blank line is no row
        rows = [row | {names[0]: row[names[0]].strip() or "1"} for row in rows]
    if form in ("xml", "xlsx"):  # no character of XML
        rows = [{name: re.sub(r"[^\t\n -\ud7ff]", "", one) for name, one in row.items()} for row in rows]
        rows = [row | {names[0]: row[names[0]].strip() or "1"} for row in rows]
    name, content = rows_as(form, rows, data.draw(st.sampled_from([",", ";", "\t"])))
    with TemporaryDirectory() as folder:
        touched(Path(folder), "a.jpg")
        if header is ITEMS:
            reading = items(Path(folder), content, name)
            assert len(reading.items) + reading.merged + len(reading.rejected) == len(rows)
        else:
            found = events(Path(folder), content, name, known={"1"})
            assert found.rows + len(found.rejected) == len(rows)
            assert len(found.events) >= found.rows


@given(st.lists(st.text(st.sampled_from("a1,\";\n\t '\\"), max_size=30), min_size=1, max_size=8))
def test_lines_of_any_quotes_are_no_traceback_and_whole_ones_come_in(lines: list[str]) -> None:
    good = "ann,1,2025-03-01,\n"
    with TemporaryDirectory() as folder:
        found = events(Path(folder), HEADER + good + "".join(f"{line}\n" for line in lines))
        assert found.events[0] == Event("ann", "1", DAY)
        assert all(one.row and one.row > 2 for one in found.rejected)
