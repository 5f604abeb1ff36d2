"""Items over HTTP: listed, put, pictured, forgotten."""

import asyncio
import base64
import json
from functools import partial
from io import BytesIO
from pathlib import Path
from unicodedata import normalize
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

from modiste.catalog.items import Item
from modiste.server.limits import WorkQueue
from modiste.server.pictures import HEIGHTS, Cache, step
from modiste.server.settings import Settings
from modiste.shop import schema
from modiste.shop.shop import Shop
from modiste.vision.masks import decode_mask

from ..garments import drawn
from ..running import ONCE, running

RED = "/v1/items/Dresses-red-women"


def test_the_catalogue_comes_in_pages(reading: httpx.Client) -> None:
    first = reading.get("/v1/items", params={"limit": 5}).json()
    last = reading.get("/v1/items", params={"limit": 5, "offset": 10}).json()
    assert (first["total"], len(first["items"]), len(last["items"])) == (12, 5, 2)
    assert first["items"][0]["item_id"] == "Denim-blue-men"
    assert last["items"][-1]["item_id"] == "Tees_Tanks-red-women"


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"categories": "Dresses"}, 4),
        ({"categories": ["Dresses", "denim"]}, 8),
        ({"gender": "women"}, 6),
        ({"store_id": "left"}, 6),
        ({"min_price": 110}, 2),
        ({"categories": "Dresses", "min_price": 110}, 0),
        ({"categories": "Dresses", "min_price": 110, "match": "any"}, 6),
        ({"categories": "Hats"}, 0),
        ({"categories": "Dresses, jeans", "gender": "Ladies"}, 4),
    ],
)
def test_filters_narrow_the_catalogue(reading: httpx.Client, asked: dict[str, str], count: int) -> None:
    assert reading.get("/v1/items", params=asked).json()["total"] == count


def test_an_id_is_one_however_its_letters_are_composed(service: httpx.Client) -> None:
    composed = "café-Å"
    apart = normalize("NFD", composed)
    assert service.put(f"/v1/items/{apart}", data={"category": "Denim", "product": apart}).status_code == 201
    assert service.put(f"/v1/items/{composed}", files={"photo": ("a", drawn())}).status_code == 200
    assert service.post("/v1/items", json=[{"item_id": apart, "title": apart}]).json()["updated"] == 1
    known = service.get(f"/v1/items/{quote(apart)}").json()
    assert (known["item_id"], known["product"], known["title"]) == (composed, composed, composed)
    order = {"shopper_id": apart, "item_id": apart, "order_id": apart}
    assert service.post("/v1/purchases", json=order).json()["recorded"] == 1
    again = dict.fromkeys(order, composed)
    assert service.post("/v1/purchases", json=again).json()["recorded"] == 0
    message = {"events": [{"name": "view_item", "params": {"items": [{"item_id": apart}]}}], "user_id": apart}
    assert service.post("/v1/events", json=message).json()["recorded"] == 1
    assert f'href="/items/{quote(composed)}"' in service.get("/items", params={"q": apart}).text
    for address in (f"/v1/shoppers/{apart}/recommendations", f"/v1/items/{apart}/similar", f"/v1/shoppers/{apart}",
                    f"/shoppers/{apart}", f"/items/{apart}", f"/v1/items/{apart}/photo"):  # fmt: skip
        assert service.get(address).status_code == 200, address
    told = service.get(f"/v1/shoppers/{apart}/export").json()
    assert [one["kind"] for one in told["events"]] == ["purchase", "view"]
    assert service.delete(f"/v1/shoppers/{apart}").status_code == 204
    assert service.get(f"/v1/shoppers/{composed}").status_code == 404


def test_an_item_tells_its_popularity_now(service: httpx.Client) -> None:
    before = service.get(RED).json()
    service.post("/v1/purchases", json={"shopper_id": "9", "item_id": "Dresses-red-women"}).raise_for_status()
    after = service.get(RED).json()
    assert before["popularity"] == after["popularity"] == 0
    assert after["popularity_now"] == before["popularity_now"] + 1
    assert before["photo"] == f"{RED}/photo"


def test_an_item_put_with_a_photo_is_recommended_at_once(service: httpx.Client) -> None:
    put = service.put(
        "/v1/items/new",
        data={"category": "Dresses", "gender": "women", "price": "25", "attributes": '{"season": "spring"}'},
        files={"photo": ("any.png", drawn("Dresses", "red"))},
    )
    assert put.status_code == 201
    assert put.json()["embedded"]
    assert put.json()["item"]["attributes"] == {"season": "spring"}
    similar = service.get(f"{RED}/similar", params={"preset": "visual", "top": 1}).json()["recommendations"]
    assert similar[0]["item_id"] == "new"
    assert similar[0]["terms"]["look"] > 1, "more than two photos of one product"


def test_a_page_can_be_drawn_from_a_recommendation_alone(service: httpx.Client) -> None:
    known = {
        "title": "Slip dress", "url": "https://shop.example/slip", "brand": "Ame", "colour": "rouge", "size": "M",
        "age_group": "adults", "currency": "EUR", "price": 49.9, "sale_price": 39.9,
    }  # fmt: skip
    form = {"category": "Dresses", "gender": "Damen", "stock": "3", **known}
    put = service.put("/v1/items/new", data=form, files={"photo": ("any.png", drawn("Dresses", "red"))})
    assert put.status_code == 201, put.text
    item = put.json()["item"]
    assert known.items() <= item.items()
    assert (item["gender"], item["stock"], item["available"], item["on_offer"]) == ("women", 3, None, True)
    [found] = service.get(f"{RED}/similar", params={"preset": "visual", "top": 1}).json()["recommendations"]
    assert known.items() <= found.items()
    assert (found["photo"], found["on_offer"]) == ("/v1/items/new/photo", True)
    put = service.put("/v1/items/new", data={**form, "stock": "0"})
    assert put.status_code == 200, put.text
    asked = {"preset": "visual", "top": 1}
    [other] = service.get(f"{RED}/similar", params=asked).json()["recommendations"]
    [again] = service.get(f"{RED}/similar", params={**asked, "sold_out": True}).json()["recommendations"]
    assert (other["item_id"] == "new", again["item_id"], again["on_offer"]) == (False, "new", False)


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"categories": "Frocky"}, "no category 'Frocky'; did you mean Dresses?"),
        ({"gender": "womne"}, "did you mean women?"), ({"store_id": "lefty"}, "no store 'lefty'; there are: left"),
    ],
)  # fmt: skip
def test_a_filter_that_nobody_knows_is_refused_with_the_nearest(
    reading: httpx.Client, asked: dict[str, str], hint: str
) -> None:
    answer = reading.get("/v1/items", params=asked)
    assert (answer.status_code, hint in answer.json()["detail"]) == (422, True), answer.text


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"gender": "Girls"}, ("women", "children")), ({"gender": "Unisex"}, (None, None)),
        ({"gender": "men"}, ("men", None)), ({"gender": "Herren", "age_group": "kids"}, ("men", "children")),
        ({"gender": "Kinder"}, (None, "children")),
    ],
)  # fmt: skip
def test_for_whom_an_item_is_is_said_in_a_tables_words(
    service: httpx.Client, sent: dict[str, str], told: tuple[str | None, str | None]
) -> None:
    assert service.post("/v1/items", json=[{"item_id": "new", **sent}]).json()["refused"] == []
    many = service.get("/v1/items/new").json()
    one = service.put("/v1/items/new", data=sent).json()["item"]
    assert (one["gender"], one["age_group"]) == (many["gender"], many["age_group"]) == told
    refused = service.put("/v1/items/new", data={"gender": "womne"})
    assert (refused.status_code, "did you mean women" in refused.json()["detail"]) == (422, True)


def test_further_photos_have_addresses(service: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        one, other = shop.items["Dresses-red-women"]["image"], shop.items["Denim-blue-men"]["image"]
        row = shop.items._row(Item("new", image=one, photos=(other,)))
        with shop.storage.writing() as writing:
            shop.items._store(writing, [row])
    item = service.get("/v1/items/new").json()
    assert item["photos"] == ["/v1/items/new/photo?number=1"]
    assert service.get(item["photos"][0]).content == Path(other).read_bytes()
    assert service.get(item["photo"]).content == Path(one).read_bytes()
    assert service.get("/v1/items/new/photo?number=2").status_code == 404
    before = service.get(item["photo"]).headers["etag"]
    with (
        Shop.open(shop_path) as shop,
        shop.storage.writing() as writing,
    ):  # as embedding says where the first is no good
        new = schema.items.c.item_id == "new"
        writing.execute(schema.items.update().where(new).values(shown=other, revision=writing.revision))
    assert service.get(item["photo"], headers={"if-none-match": before}).content == Path(other).read_bytes()
    assert service.get(item["photos"][0]).content == Path(one).read_bytes()


def test_whether_an_item_can_be_bought_is_said_in_a_tables_words(service: httpx.Client) -> None:
    for word, meant in {"in stock": True, "ausverkauft": False, "false": False}.items():
        assert service.put("/v1/items/new", data={"available": word}).json()["item"]["available"] is meant
    assert service.put("/v1/items/new", data={"available": "perhaps"}).status_code == 422


def test_a_category_that_nobody_knows_is_taken_and_told(service: httpx.Client) -> None:
    put = service.put("/v1/items/new", data={"category": "Frocky"}).json()
    assert (put["item"]["category"], put["remark"]) == (
        "Frocky",
        "category 'Frocky' is not known; did you mean Dresses?",
    )
    many = service.post("/v1/items", json=[{"item_id": "a", "category": "Kite"}, {"item_id": "b", "category": "jeans"}])
    assert many.json()["unknown_categories"] == {"Kite": 1}
    assert service.get("/v1/items", params={"categories": "Kite"}).json()["total"] == 1, "the shop has it now"
    refused = service.post("/v1/search", params={"category": "Jacketz"}, files={"photo": ("any.png", drawn())})
    assert (refused.status_code, "did you mean Jackets_Coats" in refused.json()["detail"]) == (422, True), refused.text


def test_an_item_is_put_with_several_photos(service: httpx.Client, shop_path: Path) -> None:
    red, blue, denim = drawn("Dresses", "red"), drawn("Dresses", "blue"), drawn("Denim", "red")
    files = [("photo", ("a", red)), ("photos", ("b", blue)), ("photos", ("c", denim)), ("photos", ("d", blue))]
    put = service.put("/v1/items/new", data={"category": "Dresses"}, files=files)
    assert put.status_code == 201, put.text
    assert put.json()["embedded"]
    item = put.json()["item"]
    assert [service.get(one).content for one in (item["photo"], *item["photos"])] == [red, blue, denim]
    assert service.put("/v1/items/new", data={"category": "Denim"}).json()["item"]["photos"] == item["photos"]
    put = service.put("/v1/items/new", data={"title": "x"}, files=[("photos", ("c", denim))]).json()["item"]
    assert [service.get(one).content for one in (put["photo"], *put["photos"])] == [red, denim]
    service.put("/v1/items/other", data={"title": "x"}, files=[("photo", ("b", denim))]).raise_for_status()
    uploads = shop_path / "uploads"
    assert len(list(uploads.iterdir())) == 2, "nobody shows the blue one any more"
    for files, told in (
        ([("photos", ("c", b"no photo"))], "not a photo"),
        ([("photos", ("c", denim))], "no photo that"),
    ):
        refused = service.put("/v1/items/bare", data={"title": "x"}, files=files)
        assert (refused.status_code, told in refused.json()["detail"]) == (422, True), refused.text
    service.delete("/v1/items/new").raise_for_status()
    assert [one.read_bytes() for one in uploads.iterdir()] == [denim]


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({}, "no form"),
        ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}}, "cut"),
        ({"content": b"--x--\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}}, "empty"),
        ({"content": b"category=Denim&category=Dresses",
          "headers": {"content-type": "application/x-www-form-urlencoded"}}, "'category' 2 times"),
        ({"content": b"--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nhalf a tit",
          "headers": {"content-type": "multipart/form-data; boundary=x"}}, "cut"),
        ({"content": b"--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\na\r\n--x\r\n",
          "headers": {"content-type": "multipart/form-data; boundary=x"}}, "cut"),
    ],
)  # fmt: skip
def test_a_form_that_is_not_whole_changes_nothing(reading: httpx.Client, form: dict[str, bytes], named: str) -> None:
    before = reading.get(RED).json()
    put = reading.put(RED, **form)
    assert put.status_code in (400, 422), put.text
    assert named in put.json()["detail"]
    assert reading.get(RED).json() == before


def test_many_items_come_at_once_and_what_cannot_be_is_named_by_its_line(service: httpx.Client) -> None:
    before = service.get(RED).json()
    answer = service.post(
        "/v1/items",
        json=[
            {"item_id": "Dresses-red-women", "category": "Dresses", "gender": "Ladies", "stock": 0, "price": 10},
            {"item_id": "new", "title": "Skirt", "attributes": {"season": "spring"}},
            {"item_id": "wrong", "colour": 3, "prize": 1},
            "no item",
            {"title": "nameless"},
        ],
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["created"], told["updated"], told["unchanged"]) == (1, 1, 0)
    assert [(one["line"], one["detail"].split(":")[0]) for one in told["refused"]][:1] == [(3, "colour")]
    assert "prize" in told["refused"][0]["detail"]
    assert [one["line"] for one in told["refused"]] == [3, 4, 5]
    after = service.get(RED).json()
    assert (after["stock"], after["on_offer"], after["photo"]) == (0, False, before["photo"])
    assert service.get("/v1/items/new").json()["attributes"] == {"season": "spring"}
    shown = service.get("/v1/items/Dresses-blue-women/similar", params={"top": 50}).json()["recommendations"]
    assert "Dresses-red-women" not in {one["item_id"] for one in shown}
    service.post("/v1/items", json=[{"item_id": "Dresses-red-women", "category": "Denim"}]).raise_for_status()
    shown = service.get("/v1/items/Dresses-blue-women/similar", params={"top": 50}).json()["recommendations"]
    assert "Dresses-red-women" in {one["item_id"] for one in shown}, "with a vector still"


def test_an_item_that_somebody_else_changed_is_put_only_if_it_may_be(service: httpx.Client) -> None:
    read = service.get(RED).headers["etag"]
    assert service.put(RED, data={"title": "One"}, headers={"If-Match": read}).status_code == 200
    put = service.put(RED, data={"title": "Other"}, headers={"If-Match": read})
    assert put.status_code == 412
    assert "read it again" in put.json()["detail"]
    assert service.get(RED).json()["title"] == "One"
    now = service.get(RED).headers["etag"]
    assert now != read
    assert service.put(RED, data={"title": "Other"}, headers={"If-Match": now}).status_code == 200
    assert service.put("/v1/items/none", data={"title": "A"}, headers={"If-Match": now}).status_code == 412


def test_texts_may_be_of_some_length(service: httpx.Client) -> None:
    put = service.put("/v1/items/new", data={"view": "x" * 500, "attributes": json.dumps({"note": "y" * 500})})
    assert put.status_code == 201, put.text
    assert put.json()["item"]["view"] == "x" * 500


def test_an_item_put_again_forgets_what_is_left_out_but_keeps_its_photo(service: httpx.Client) -> None:
    photo = service.get(f"{RED}/photo").content
    put = service.put(RED, data={"category": "Denim"})
    assert put.status_code == 200
    assert (
        put.json()["item"] | {"category": "Denim", "price": None, "store_id": None, "gender": None}
        == put.json()["item"]
    )
    assert service.get(f"{RED}/photo").content == photo


def test_an_item_without_a_photo_has_no_pictures(service: httpx.Client) -> None:
    assert service.put("/v1/items/bare", data={"title": "Bare"}).status_code == 201
    item = service.get("/v1/items/bare").json()
    assert (item["photo"], item["thumbnail"], item["mask"]) == (None, None, None)
    for part in ("photo", "thumbnail", "mask"):
        answer = service.get(f"/v1/items/bare/{part}")
        assert (answer.status_code, answer.json()["detail"]) == (404, "item 'bare' has no photo")


@pytest.mark.parametrize("content", [b"", b"no photo at all", drawn()[:200]])
def test_a_broken_photo_changes_nothing(reading: httpx.Client, content: bytes) -> None:
    before = reading.get(RED).json()
    put = reading.put(RED, data={"category": "Denim"}, files={"photo": ("any.png", content)})
    assert put.status_code == 422
    assert "photo" in put.json()["detail"]
    assert reading.get(RED).json() == before


@pytest.mark.parametrize(
    "form",
    [
        {"gender": "cats"},
        {"url": "javascript:alert(1)"},
        {"currency": "euro"},
        {"stock": "some"},
        {"available": "perhaps"},
        {"price": "-1"},
        {"price": "nan"},
        {"price": "inf"},
        {"popularity": "1e300"},
        {"attributes": "no json"},
        {"attributes": '["a", "b"]'},
        {"attributes": '{"a": 1}'},
        {"attributes": '{"a": "\\ud800"}'},
        {"category": "a\x00b"},
        {"view": "x" * 501},
    ],
)
def test_fields_that_cannot_be_are_refused(reading: httpx.Client, form: dict[str, str]) -> None:
    put = reading.put("/v1/items/new", data=form)
    assert put.status_code == 422, put.text
    assert next(iter(form)) in put.json()["detail"]
    assert reading.get("/v1/items/new").status_code == 404


def test_an_id_may_be_any_text(service: httpx.Client) -> None:
    for item_id in ("a/b", "/", "//", "a/../b", "ä ö", "100%", "a?b#c", "x/photo/y", "'; drop table items", "😀"):
        path = f"/v1/items/{quote(item_id, safe='')}"
        assert service.put(path, files={"photo": ("any.png", drawn())}).status_code == 201, item_id
        item = service.get(path).json()
        assert item["item_id"] == item_id
        assert service.get(item["thumbnail"]).headers["content-type"] == "image/jpeg"
        assert service.get(f"{path}/similar").json()["item_id"] == item_id
        assert service.delete(path).status_code == 204
        assert service.get(path).status_code == 404, item_id


@pytest.mark.parametrize("item_id", ["%00", "a%0Ab", "a%1Fb", "%C2%85", "x" * 201])
def test_an_id_with_control_characters_is_none(reading: httpx.Client, item_id: str) -> None:
    assert reading.put(f"/v1/items/{item_id}").status_code in (404, 422)
    assert reading.get(f"/v1/items/{item_id}").status_code in (404, 422)


def test_an_id_that_reads_like_a_picture_cannot_be_put(service: httpx.Client) -> None:
    assert service.put("/v1/items/a%2Fphoto").status_code == 405


def test_a_deleted_item_is_gone_with_its_purchases(service: httpx.Client) -> None:
    assert service.delete(RED).status_code == 204
    assert service.get(RED).status_code == 404
    assert service.delete(RED).status_code == 404
    assert service.get("/v1/shoppers/1").json()["purchases"] == 0
    shown = service.get("/v1/items/Dresses-blue-women/similar", params={"top": 20}).json()["recommendations"]
    assert "Dresses-red-women" not in [one["item_id"] for one in shown]


def test_a_photo_is_served_as_it_was_given(service: httpx.Client) -> None:
    for form, kind in (
        ("PNG", "png"),
        ("JPEG", "jpeg"),
        ("WEBP", "webp"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
        ("GIF", "gif"),
    ):
        content = drawn(form=form)
        service.put("/v1/items/new", files={"photo": ("any", content)}).raise_for_status()
        answer = service.get("/v1/items/new/photo")
        assert answer.content == content
        assert answer.headers["content-type"] == f"image/{kind}"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_thumbnail_is_as_high_as_asked(reading: httpx.Client) -> None:
    answer = reading.get(f"{RED}/thumbnail", params={"height": 60})
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(answer.content)).size == (40, 60)
    assert reading.get(f"{RED}/thumbnail", params={"height": 4}).status_code == 422


def test_all_the_heights_of_thumbnails_are_a_few(reading: httpx.Client) -> None:
    tags = {
        reading.get(f"{RED}/thumbnail", params={"height": height}).headers["etag"] for height in range(16, 1025, 7)
    } | {reading.get(f"{RED}/thumbnail", params={"height": 1024}).headers["etag"]}
    assert len(tags) == len(HEIGHTS)
    assert [step(height) for height in (16, 60, 61, 220, 1000, 1024)] == [60, 60, 120, 220, 1024, 1024]


def test_a_cache_has_the_last_that_was_asked_for() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    async def ask() -> None:
        cache, queue = Cache[str](2), WorkQueue(1, 0)
        for name in ("a", "b", "a", "c", "a", "b"):
            assert await cache.get(name, partial(make, name), queue) == name.upper()
        assert len(cache) == 2

    asyncio.run(ask())
    assert made == ["a", "b", "c", "b"]


def test_a_mask_is_drawn_once(service: httpx.Client, shop_path: Path) -> None:
    first, page = service.get(f"{RED}/mask").content, service.get("/items/Dresses-red-women").text
    (shop_path / "photos" / "Dresses-red-women.png").unlink()
    assert service.get(f"{RED}/mask").content == first
    assert "data:image/png;base64," in page
    assert service.get("/items/Dresses-red-women").text == page


def test_a_mask_is_a_palette_png_of_the_photos_size(reading: httpx.Client) -> None:
    answer = reading.get(f"{RED}/mask")
    assert answer.headers["content-type"] == "image/png"
    picture = Image.open(BytesIO(answer.content))
    assert (picture.mode, picture.size) == ("P", (96, 144))
    assert len(np.unique(decode_mask(picture).labels)) > 1


@pytest.mark.parametrize("part", ["photo", "thumbnail", "mask"])
def test_an_unchanged_picture_is_not_sent_again_and_a_changed_one_is(service: httpx.Client, part: str) -> None:
    first = service.get(f"{RED}/{part}")
    tag = first.headers["etag"]
    assert "max-age" in first.headers["cache-control"]
    again = service.get(f"{RED}/{part}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert service.get(f"{RED}/{part}", headers={"If-None-Match": f'"other", W/{tag}'}).status_code == 304
    service.put(RED, files={"photo": ("any.png", drawn("Denim", "blue"))}).raise_for_status()
    changed = service.get(f"{RED}/{part}", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.content != first.content


def test_a_thumbnail_follows_the_photo_of_another_process(service: httpx.Client, shop_path: Path) -> None:
    before = service.get(f"{RED}/thumbnail").content
    with Shop.open(shop_path) as other:
        item = other.items["Dresses-red-women"]
        Path(item["image"]).write_bytes(drawn("Denim", "blue"))
        other.items.add(shop_path / "photos" / "items.csv")
    assert service.get(f"{RED}/thumbnail").content != before


def test_only_photos_are_served_whatever_the_catalogue_names(service: httpx.Client, shop_path: Path) -> None:
    photo = shop_path / "photos" / "Dresses-red-women.png"
    photo.write_text("root:x:0:0")
    for part in ("photo", "thumbnail", "mask"):
        answer = service.get(f"{RED}/{part}")
        assert answer.status_code in (404, 422)
        assert "root" not in answer.text
    photo.unlink()
    for part in ("photo", "thumbnail", "mask"):
        assert service.get(f"{RED}/{part}").status_code in (404, 422)


def test_similar_items_say_why(reading: httpx.Client) -> None:
    found = reading.get(f"{RED}/similar", params={"top": 3}).json()["recommendations"]
    assert len(found) == 3
    for one in found:
        assert one["why"].endswith(".")
        assert sum(one["terms"].values()) == pytest.approx(one["relevance"])
        assert one["because"] == "Dresses-red-women"
        assert one["photo"] == f"/v1/items/{one['item_id']}/photo"


def test_what_goes_with_an_item_is_of_another_part_and_says_why(reading: httpx.Client) -> None:
    answer = reading.get("/v1/items/Denim-blue-women/goes-with", params={"max_price": 1000}).json()
    [tops] = answer["parts"]
    assert (answer["item_id"], tops["part"], tops["kinds"]) == ("Denim-blue-women", "tops", ["Tees_Tanks"])
    assert {one["item_id"] for one in tops["recommendations"]} == {"Tees_Tanks-blue-women", "Tees_Tanks-red-women"}
    assert all(one["why"].endswith(".") and one["because"] == "Denim-blue-women" for one in tops["recommendations"])
    assert reading.get("/v1/items/Denim-blue-women/goes-with", params={"max_price": 1}).json()["parts"] == []
    assert reading.get("/v1/items/nothing/goes-with").status_code == 404
    assert "did you mean" in reading.get("/v1/items/Denim-blue-women/goes-with?colou=1").json()["detail"]
    page = reading.get("/items/Denim-blue-women").text
    assert page.count("Goes with it") == 1
    assert "Tees_Tanks-blue-women" in page.partition('id="outfit-tops"')[2].partition("</section>")[0]
    assert "Goes with it" not in reading.get("/items/Dresses-red-women").text


def test_a_photo_finds_what_looks_like_it(reading: httpx.Client) -> None:
    answer = reading.post("/v1/search", params={"top": 2}, files={"photo": ("a.png", drawn("Denim", "blue"))})
    assert answer.status_code == 200
    found = answer.json()
    assert {one["item_id"] for one in found["recommendations"]} == {"Denim-blue-men", "Denim-blue-women"}
    assert (found["width"], found["height"]) == (96, 144)
    assert (found["labels"], found["mask"]) == (None, None)  # the shop's vectors are of whole photos
    assert all(one["because"] is None and "photo" in one["why"] for one in found["recommendations"])


def test_whom_photos_propose_that_things_are_for_is_told_and_marked(service: httpx.Client, shop_path: Path) -> None:
    asked = "Denim-blue-men"
    with Shop.open(shop_path) as shop:
        near = shop.recommend(item=asked, preset="visual", gender="any", top=11)
        for one in near:
            shop.items.put(Item(one.item_id, one.category, gender="men" if one is near[-1] else "women"))
        shop.items.put(Item(asked, "Denim"))
    item = service.get(f"/v1/items/{asked}").json()
    assert (item["gender"], item["proposed_gender"], item["proposed_gender_share"]) == (None, "women", 1.0)
    page = service.get(f"/items/{asked}").text
    assert "not said <small>its photos propose women, as 100% of what looks like it</small>" in page
    with Shop.open(shop_path) as shop:
        shop.items.put(Item(asked, "Denim", title="Jeans for women"), drawn("Denim", "blue"))
    assert "not said <small>its name says women</small>" in service.get(f"/items/{asked}").text
    photo = {"photo": ("a.png", drawn("Denim", "blue"))}
    found = service.post("/v1/search", files=photo).json()
    assert (found["proposed_gender"], found["proposed_gender_share"]) == ("women", 1.0)
    assert [one["item_id"] for one in found["recommendations"] if one["terms"]["gender"] < 0] == [near[-1].item_id]
    assert "Perhaps for women, as 100% of what looks like it" in service.post("/search", files=photo).text
    women = service.post("/v1/search", params={"gender": "women"}, files=photo).json()
    assert (women["proposed_gender"], women["proposed_gender_share"]) == (None, None)


def test_a_search_shows_the_mask_that_was_used(tmp_path: Path) -> None:
    with Shop.create(tmp_path / "masked") as shop:
        shop.items.put(Item("only", "Dresses"), drawn())
    with running(tmp_path / "masked", Settings()) as url:
        photo = {"photo": ("a.png", drawn())}
        found, unnamed = (
            ONCE.post(f"{url}/v1/search", params=about, files=photo).json() for about in ({"category": "Dresses"}, {})
        )
        pages = [ONCE.post(f"{url}/search", data=about, files=photo).text for about in ({"category": "Dresses"}, {})]
        page = ONCE.get(f"{url}/items/only").text
    assert unnamed["labels"] is None, "nobody said what it is"
    assert [unnamed[name] == found[name] for name in ("mask", "width")] == [True, True]
    assert [["Dresses <small>" in one, "the thing <small>" in one] for one in (*pages, page)] == [
        [True, False], [False, True], [True, False]
    ]  # fmt: skip
    pictures = [Image.open(BytesIO(base64.b64decode(found[name].partition(",")[2]))) for name in ("labels", "mask")]
    labels, used = decode_mask(pictures[0]).labels, np.asarray(pictures[1])
    assert labels.shape == used.shape == (144, 96)
    assert set(np.unique(used)) == {0, 255}
    assert (labels[used == 255] != 0).mean() > 0.9  # what was compared is garment
    assert [one["item_id"] for one in found["recommendations"]] == ["only"]


@pytest.mark.data
def test_a_search_with_a_dressed_person_has_a_list_for_each_garment(shared_data: Path, tmp_path: Path) -> None:
    photo = (shared_data / "street/photos/0013.jpg").read_bytes()  # pants, coat, sweater
    with Shop.create(tmp_path / "worn") as shop:
        shop.items.put(Item("jeans", "Denim"), drawn("Denim", "blue"))
    with running(tmp_path / "worn", Settings()) as url:
        found = ONCE.post(f"{url}/v1/search", files={"photo": ("a.jpg", photo)}).json()
        page = ONCE.post(f"{url}/search", files={"photo": ("a.jpg", photo)}).text
    worn = {one["label"]: one for one in found["garments"]}
    assert "outer" in worn
    assert worn["pants"]["kinds"] == ["Denim"]
    assert [one["item_id"] for one in worn["pants"]["recommendations"]] == ["jeans"]
    assert (worn["outer"]["kinds"], worn["outer"]["recommendations"]) == ([], [])
    mask = np.asarray(Image.open(BytesIO(base64.b64decode(worn["pants"]["mask"].partition(",")[2]))))
    assert mask.shape == (found["height"], found["width"])
    assert f"Pants, {worn['pants']['colour']}" in page
    assert "There is nothing of this kind here." in page
    assert "What looks like all of it" in page


def test_a_search_without_a_photo_is_refused(reading: httpx.Client) -> None:
    assert reading.post("/v1/search", files={"photo": ("a.png", b"none")}).status_code == 422
    assert reading.post("/v1/search").status_code == 422
    assert "photo" in reading.post("/v1/search").json()["detail"]


def test_json_of_all_answers_has_no_nan(reading: httpx.Client) -> None:
    def strict(token: str) -> float:
        raise AssertionError(token)

    for path in ("/v1/items", f"{RED}/similar", "/v1/trending", "/v1/stores", "/v1/shoppers/1/recommendations"):
        json.loads(reading.get(path).text, parse_constant=strict)


def test_the_day_an_item_came_is_put_kept_and_shown(service: httpx.Client) -> None:
    put = service.put(RED, data={"category": "Dresses", "came": "2025-03-31T23:30:00-02:00"})
    assert (put.status_code, put.json()["item"]["came"]) == (200, "2025-04-01"), put.text
    assert service.put(RED, data={"category": "Dresses"}).json()["item"]["came"] == "2025-04-01"
    assert service.get(RED).json()["came"] == "2025-04-01"
    assert "2025-04-01" in [one["came"] for one in service.get("/v1/items").json()["items"]]
    assert "2025-04-01" in service.get(RED.removeprefix("/v1")).text
    for day in ("soon", "2099-01-01"):
        refused = service.put(RED, data={"came": day})
        assert (refused.status_code, "came" in refused.text) == (422, True), day
