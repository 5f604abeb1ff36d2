"""The shop keeps what it is given, recommends by the formula, and loses nothing."""

import csv
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from PIL import Image

from modiste.catalog.purchases import Purchase
from modiste.errors import ModisteError, SettingError, SourceError, UnknownIdError
from modiste.ranking.relevance import PRESETS, Weights
from modiste.shop.shop import Shop

DAY = datetime(2025, 3, 31, 14, 5)


def test_adding_a_catalogue_again_changes_nothing(shop, catalogue):
    report = shop.add_items(catalogue)
    assert (report.added, report.updated, report.unchanged, report.rejected) == (0, 0, 24, [])
    assert shop.embed(masking="none").embedded == 0


def test_a_changed_photo_is_updated_and_embedded_anew(shop, catalogue):
    Image.new("RGB", (96, 144), "green").save(catalogue.parent / "Denim-red-men-0.png")
    report = shop.add_items(catalogue)
    assert (report.added, report.updated, report.unchanged) == (0, 1, 23)
    assert shop.embed(masking="none").embedded == 1


def test_a_broken_photo_is_reported_and_stops_nothing(shop, catalogue):
    with catalogue.open("a") as file:
        file.write("broken,broken.jpg,Denim,men,3,x\nwhole,Denim-red-men-0.png,Denim,men,3,x\n")
    whole = (catalogue.parent / "Denim-red-men-0.png").read_bytes()
    (catalogue.parent / "broken.jpg").write_bytes(whole[:200])
    report = shop.add_items(catalogue)
    assert report.added == 1
    assert len(report.rejected) == 1
    assert "broken.jpg" in str(report.rejected[0])


def test_a_photo_that_breaks_later_is_set_aside_when_embedding(shop, catalogue):
    (catalogue.parent / "Denim-red-men-0.png").write_bytes(b"no photo any more")
    report = shop.embed(masking="none", crop="centre")
    assert report.embedded == 23
    assert ["Denim-red-men-0.png" in str(failure) for failure in report.failures] == [True]
    assert shop.embed(masking="none", crop="centre").embedded == 0


def test_an_interrupted_embedding_loses_a_batch_at_most_and_goes_on(shop):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.embed(masking="none", crop="centre", progress=interrupt)
    report = shop.embed(masking="none", crop="centre")
    assert report.present == 16
    assert report.embedded == 8


def test_columns_of_a_shop_s_own_are_kept_as_attributes(shop):
    assert shop.items()["attributes"][0] == '{"season": "season 3"}'


def test_vectors_are_of_unit_length_and_belong_to_their_items(shop):
    item_ids, vectors = shop.vectors()
    assert item_ids == shop.items()["item_id"].to_list()
    assert vectors.shape == (24, 128)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_what_looks_alike_comes_first_with_the_visual_preset(shop):
    found = shop.recommend(item="Dresses-red-women-0", top=3, weights="visual")
    assert found[0].item_id == "Dresses-red-women-6"
    assert all("women" in one.item_id for one in found)


def test_terms_add_up_to_the_relevance_and_follow_the_formula(shop):
    weights = Weights(0.5, 0.3, 0.2)
    found = shop.recommend(item="Denim-blue-men-0", top=24, weights=weights, trendiness=0.25, any_gender=True)
    item_ids, vectors = shop.vectors()
    row = {item_id: number for number, item_id in enumerate(item_ids)}
    normpop = dict(shop.popularity().select("item_id", "normpop").iter_rows())
    assert len(found) == 23
    for one in found:
        cosine = float(vectors[row[one.item_id]] @ vectors[row["Denim-blue-men-0"]])
        kind = shop.taxonomy.similarity("Denim", one.kind)
        assert one.visual == pytest.approx(0.5 * cosine, abs=1e-5)
        assert one.popularity == pytest.approx(0.3 * (1 - (normpop[one.item_id] - 0.25) ** 2))
        assert one.category == pytest.approx(0.2 * kind)
        assert one.relevance == pytest.approx(sum(one.terms.values()), abs=1e-9)
    assert [one.relevance for one in found] == sorted((one.relevance for one in found), reverse=True)


def test_a_shopper_is_not_shown_what_she_bought_nor_the_other_gender(shop):
    shop.record([Purchase("ann", "Dresses-red-women-0", DAY), Purchase("ann", "Denim-blue-women-0", DAY)])
    found = shop.recommend("ann", top=50)
    assert {one.item_id for one in found}.isdisjoint({"Dresses-red-women-0", "Denim-blue-women-0"})
    assert all("-women-" in one.item_id for one in found)
    assert {one.because for one in found} == {"Dresses-red-women-0", "Denim-blue-women-0"}
    assert any("-men-" in one.item_id for one in shop.recommend("ann", top=50, any_gender=True))


def test_other_views_of_a_bought_product_are_not_recommended(tmp_path, catalogue):
    for view in ("01_7", "01_4", "02_1"):
        name = f"WOMEN-Dresses-id_00000080-{view}_front.png"
        (tmp_path / "views").mkdir(exist_ok=True)
        shutil.copyfile(catalogue.parent / "Dresses-red-women-0.png", tmp_path / "views" / name)
    with Shop.create(tmp_path / "views-shop") as shop:
        shop.add_items(tmp_path / "views")
        shop.embed(masking="none")
        assert [one.item_id for one in shop.recommend(item="id_00000080-01_7")] == ["id_00000080-02_1"]


def test_two_views_of_one_product_take_one_place_in_a_list(tmp_path, catalogue):
    (tmp_path / "views").mkdir()
    for view in ("01_7", "02_4", "02_1"):
        name = f"WOMEN-Dresses-id_00000080-{view}_front.png"
        shutil.copyfile(catalogue.parent / "Dresses-red-women-0.png", tmp_path / "views" / name)
    with Shop.create(tmp_path / "views-shop") as shop:
        shop.add_items(tmp_path / "views")
        shop.embed(masking="none")
        shop.record([Purchase("ann", "id_00000080-01_7", DAY)])
        assert len(shop.recommend("ann")) == 1
        [(bought, each)] = shop.recommend_each("ann")
        assert bought == "id_00000080-01_7"
        assert len(each) == 1


def test_an_order_sent_twice_is_recorded_once(shop):
    order = Purchase("ann", "Denim-red-men-0", DAY, order_id="A-1")
    assert shop.record([order, order]) == 1
    assert shop.record([order]) == 0
    assert shop.purchases().height == 1


def test_an_order_of_several_items_has_a_line_for_each(shop):
    lines = [Purchase("ann", one, DAY, order_id="A-1") for one in ("Denim-red-men-0", "Denim-red-men-6")]
    assert shop.record([*lines, lines[0]]) == 2
    later = Purchase("ann", "Dresses-red-women-0", DAY, order_id="A-1")
    assert shop.record([lines[1], later]) == 1
    assert shop.record([Purchase("ann", "Denim-red-men-0", DAY, order_id="A-2")]) == 1
    assert shop.purchases().group_by("order_id").len().sort("order_id").rows() == [("A-1", 3), ("A-2", 1)]


def test_an_order_of_an_unknown_item_records_nothing(shop):
    with pytest.raises(UnknownIdError, match="no item 'sock'"):
        shop.record([Purchase("ann", "Denim-red-men-0", DAY), Purchase("ann", "sock", DAY)])
    assert shop.purchases().is_empty()


def test_popularity_rises_with_a_purchase_and_decays_with_its_age(shop):
    start = dict(shop.popularity().select("item_id", "popularity").iter_rows())
    shop.record([Purchase("ann", "Denim-red-men-0", DAY), Purchase("bob", "Denim-red-men-0", DAY - timedelta(days=30))])
    now = dict(shop.popularity().select("item_id", "popularity").iter_rows())
    assert now["Denim-red-men-0"] == start["Denim-red-men-0"] + 2
    decayed = dict(shop.popularity(half_life=30).select("item_id", "popularity").iter_rows())
    assert decayed["Denim-red-men-0"] == pytest.approx(start["Denim-red-men-0"] + 1.5)


def test_old_purchases_count_less_in_recommendations_with_a_half_life(shop):
    weights = Weights(0.0, 1.0, 0.0)
    old = [Purchase("ann", "Denim-red-men-0", DAY - timedelta(days=300)) for _ in range(400)]
    new = [Purchase("ann", "Denim-red-men-6", DAY) for _ in range(300)]
    shop.record(old + new)
    asked = {"item": "Denim-blue-men-0", "top": 1, "weights": weights, "trendiness": 1.0}
    assert shop.recommend(**asked)[0].item_id == "Denim-red-men-0"
    assert shop.recommend(**asked, half_life=30)[0].item_id == "Denim-red-men-6"


def test_trendiness_is_the_given_one_else_estimated_from_purchases(shop):
    shop.set_shopper("given", trendiness=0.9)
    names = shop.items().sort("popularity")["item_id"].to_list()
    shop.record([Purchase("high", one, DAY) for one in names[-8:]] + [Purchase("low", one, DAY) for one in names[:8]])
    assert shop.trendiness("given") == 0.9
    assert shop.trendiness("low") < 0.4 < 0.6 < shop.trendiness("high")
    with pytest.raises(UnknownIdError, match="nobody"):
        shop.trendiness("nobody")


def test_simulating_again_replaces_the_simulation_with_the_same_result(shop):
    first = shop.simulate(shoppers=10, purchases=4, seed=7).purchases
    assert shop.purchases().height == first.height
    assert shop.simulate(shoppers=10, purchases=4, seed=7).purchases.equals(first)
    assert shop.purchases().height == first.height
    assert len(shop.stores()) == 5


def test_a_shop_with_real_purchases_is_not_simulated(shop):
    shop.record([Purchase("ann", "Denim-red-men-0", DAY)])
    with pytest.raises(SettingError, match="real purchases"):
        shop.simulate()


def test_distances_come_from_the_items_store_and_filter(shop, tmp_path):
    (tmp_path / "stores.csv").write_text(
        "store_id,lat,lon\nparis,48.8566,2.3522\nlondon,51.5074,-0.1278\nnowhere,99,0\n"
    )
    report = shop.add_stores(tmp_path / "stores.csv")
    assert report.added == 2
    assert "row 4" in str(report.rejected[0])
    rows = [["Denim-red-men-0", "london"], ["Denim-red-men-6", "paris"]]
    photo = Path(str(shop.items()["image"][0])).parent
    with (photo / "placed.csv").open("w", newline="") as file:
        lines = [[name, f"{name}.png", "Denim", "men", store] for name, store in rows]
        csv.writer(file).writerows([["item_id", "image", "category", "gender", "store_id"], *lines])
    assert shop.add_items(photo / "placed.csv").updated == 2
    paris = (48.8566, 2.3522)
    found = {one.item_id: one.distance_km for one in shop.recommend(item="Denim-blue-men-0", top=20, near=paris)}
    assert found["Denim-red-men-6"] == pytest.approx(0, abs=1e-6)
    assert found["Denim-red-men-0"] == pytest.approx(343.5, rel=0.005)
    near = shop.recommend(item="Denim-blue-men-0", top=20, near=paris, within_km=5)
    assert [one.item_id for one in near] == ["Denim-red-men-6"]


def test_items_without_a_photo_have_every_other_term(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,category,popularity\na,Denim,1\nb,Denim,5\nc,Dresses,9\n")
    with Shop.create(tmp_path / "shop") as shop:
        assert shop.add_items(tmp_path / "items.csv").added == 3
        found = shop.recommend(item="a", trendiness=0.5)
    assert [one.item_id for one in found] == ["b", "c"]
    assert found[0].visual == 0
    assert found[0].category == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"item": "sock"}, "no item 'sock'"),
        ({"shopper": "nobody"}, "no shopper 'nobody'"),
        ({}, "name a shopper or an item"),
        ({"item": "Denim-red-men-0", "top": 0}, "at least 1"),
        ({"item": "Denim-red-men-0", "weights": "lovely"}, "balanced, paper, visual"),
        ({"item": "Denim-red-men-0", "trendiness": 1.5}, "between 0 and 1"),
        ({"item": "Denim-red-men-0", "space": "resnet50"}, "no vector space 'resnet50'"),
        ({"item": "Denim-red-men-0", "within_km": 5}, "needs a place"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_words(shop, options, words):
    with pytest.raises(ModisteError, match=words):
        shop.recommend(**options)


def test_json_has_the_promised_fields(shop):
    [one] = shop.recommend(item="Denim-red-men-0", top=1)
    fields = one.as_json()
    assert set(fields) == {
        "item_id", "relevance", "visual", "popularity", "category", "because", "store_id", "distance_km",
    }  # fmt: skip
    assert fields["because"] == "Denim-red-men-0"
    assert fields["visual"] + fields["popularity"] + fields["category"] == pytest.approx(fields["relevance"], abs=1e-9)


def test_a_notebook_shows_pictures_and_bars(shop):
    shown = shop.recommend(item="Denim-red-men-0", top=2)._repr_html_()
    assert shown.count("<img") == 2
    assert "data:image/jpeg;base64," in shown


def test_a_shop_moves_with_its_folder(tmp_path, catalogue):
    with Shop.create(tmp_path / "here") as shop:
        shutil.copytree(catalogue.parent, tmp_path / "here" / "photos")
        shop.add_items(tmp_path / "here" / "photos" / "items.csv")
    (tmp_path / "here").rename(tmp_path / "there")
    with Shop.open(tmp_path / "there") as shop:
        assert shop.embed(masking="none").embedded == 24


def test_a_newer_shop_is_refused_with_the_remedy(shop):
    with shop.engine.begin() as connection:
        connection.execute(sa.text("UPDATE settings SET value = '99' WHERE name = 'schema'"))
    with pytest.raises(SourceError, match="pip install -U modiste"):
        Shop.open(shop.path)


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to look like a file of some kind" * 20])
def test_a_file_that_is_no_shop_is_refused(tmp_path, content):
    (tmp_path / "shop.db").write_bytes(content)
    with pytest.raises(SourceError, match="not a Modiste database"):
        Shop.open(tmp_path)
    with pytest.raises(SourceError, match="modiste new"):
        Shop.open(tmp_path / "nothing")


def test_two_writers_lose_no_purchase(shop):
    def buy(name: str) -> None:
        with Shop.open(shop.path) as mine:
            for number in range(20):
                mine.record([Purchase(name, "Denim-red-men-0", DAY, order_id=f"{name}-{number}")])

    writers = [Thread(target=buy, args=(name,)) for name in ("ann", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert shop.purchases().height == 40
    before = dict(shop.popularity().select("item_id", "popularity").iter_rows())
    assert (
        before["Denim-red-men-0"] == 40 + shop.items().filter(pl.col("item_id") == "Denim-red-men-0")["popularity"][0]
    )


def test_removing_an_item_forgets_its_vectors_and_purchases(shop):
    shop.record([Purchase("ann", "Denim-red-men-0", DAY)])
    shop.remove_item("Denim-red-men-0")
    assert shop.purchases().is_empty()
    assert len(shop.vectors()[0]) == 23
    with pytest.raises(UnknownIdError):
        shop.remove_item("Denim-red-men-0")


def test_a_large_catalogue_s_vectors_are_reduced_once_and_alike_ever_after(tmp_path):
    rng = np.random.default_rng(3)
    (tmp_path / "photos" / "Denim").mkdir(parents=True)
    for number in range(520):
        pixels = np.repeat(np.repeat(rng.integers(0, 255, (4, 4, 3), np.uint8), 8, 0), 8, 1)
        Image.fromarray(pixels).save(tmp_path / "photos" / "Denim" / f"{number:03}.png")
    with Shop.create(tmp_path / "shop") as shop:
        shop.add_items(tmp_path / "photos")
        shop.embed(masking="none")
        before = shop.vectors()
        assert before[1].shape == (520, 128)
        Image.new("RGB", (32, 32), "red").save(tmp_path / "photos" / "Denim" / "zzz.png")
        shop.add_items(tmp_path / "photos")
        shop.embed(masking="none")
        assert np.allclose(shop.vectors()[1][:520], before[1], atol=1e-5)


def test_the_presets_are_those_of_the_documents():
    assert PRESETS["paper"] == Weights(0.4, 0.2, 0.0, 2, "minmax")
    assert PRESETS["balanced"] == Weights(0.5, 0.25, 0.25, 2, "minmax")
    assert PRESETS["visual"] == Weights(1.0, 0.0, 0.0)
