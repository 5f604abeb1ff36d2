"""``shop.shoppers``: what is known of them, and how far they follow trends."""

import json
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import Mock

import numpy as np
import pytest
import sqlalchemy as sa

from modiste import Event, Item, Shop
from modiste.behaviour.popularity import RunningCounts
from modiste.errors import SettingError, SourceError, UnknownIdError
from modiste.shop import database, schema, storage
from modiste.shop.lists import recommend_all
from modiste.shop.shoppers import new_shopper
from modiste.shop.storefront import Seen, Served

DAY = datetime(2025, 3, 31, 14, 5)


def test_a_shopper_is_known_once_she_was_put_or_has_bought(shop):
    assert "eve" not in shop.shoppers
    with pytest.raises(UnknownIdError, match="no shopper 'eve' in shop"):
        shop.shoppers["eve"]
    shop.shoppers.put("eve", trendiness=0.25, latitude=48.8, longitude=2.3)
    shop.purchases.record([Event("ann", "Denim-red-men-0", DAY)])
    assert "eve" in shop.shoppers
    assert "ann" in shop.shoppers
    assert 7 not in shop.shoppers
    assert len(shop.shoppers) == 2
    eve = shop.shoppers["eve"]
    assert (eve.trendiness, eve.estimated, eve.purchases, eve.simulated) == (0.25, False, 0, False)
    assert eve.position == (48.8, 2.3)
    ann = shop.shoppers["ann"]
    assert (ann.estimated, ann.purchases, ann.position) == (True, 1, None)


def test_putting_a_shopper_again_changes_her_and_keeps_what_she_bought(shop):
    shop.purchases.record([Event("ann", "Denim-red-men-0", DAY)])
    shop.shoppers.put("ann", trendiness=0.9)
    assert (shop.shoppers["ann"].trendiness, shop.shoppers["ann"].purchases) == (0.9, 1)
    shop.shoppers.put("ann")
    assert shop.shoppers["ann"].estimated
    assert len(shop.shoppers) == 1


@pytest.mark.parametrize("trendiness", [-0.1, 1.1, float("nan")])
def test_a_trendiness_that_can_t_be_is_refused(shop, trendiness):
    with pytest.raises(SettingError, match="trendiness"):
        shop.shoppers.put("eve", trendiness=trendiness)
    assert "eve" not in shop.shoppers


def test_trendiness_is_the_given_one_else_estimated_from_purchases(shop):
    shop.shoppers.put("given", trendiness=0.9)
    names = shop.items.frame().sort("popularity")["item_id"].to_list()
    shop.purchases.record([Event("high", one, DAY) for one in names[-8:]])
    shop.purchases.record([Event("low", one, DAY) for one in names[:8]])
    assert shop.shoppers["given"].trendiness == 0.9
    assert shop.shoppers["low"].trendiness < 0.4 < 0.6 < shop.shoppers["high"].trendiness


def test_an_estimate_is_the_mean_of_what_she_bought_shrunk_towards_that_of_all(shop):
    names = shop.items.frame()["item_id"].to_list()
    start = shop.items.frame()["popularity"].to_numpy()
    running, shares = RunningCounts(start), {"ann": [], "bea": []}
    for who, row in [("ann", 3), ("bea", 20), ("ann", 9), ("ann", 3)]:
        shares[who].append(running.normalised(row))
        running.add(row)
        shop.purchases.record([Event(who, names[row], DAY)])
    mean = np.mean(shares["ann"] + shares["bea"])
    for who, hers in shares.items():
        expected = (sum(hers) + 3 * mean) / (len(hers) + 3)
        assert shop.shoppers[who].trendiness == pytest.approx(expected, abs=1e-12)
    found = shop.shoppers.frame()
    assert found["trendiness"].to_list() == [shop.shoppers[who].trendiness for who in ("ann", "bea")]
    assert found["given"].to_list() == [None, None]
    assert found["purchases"].to_list() == [3, 1]


def test_a_shopper_without_purchases_is_as_trendy_as_the_others(shop):
    assert shop.shoppers.mean_trendiness() == 0.5
    shop.shoppers.put("ann", trendiness=0.9)
    shop.shoppers.put("bea", trendiness=0.7)
    shop.shoppers.put("eve")
    assert shop.shoppers["eve"].trendiness == pytest.approx(0.8)
    assert shop.shoppers.mean_trendiness() == pytest.approx(0.8)
    assert shop.shoppers.frame().rows() == [
        ("ann", 0.9, 0.9, 0, None, None, False),
        ("bea", 0.7, 0.7, 0, None, None, False),
        ("eve", pytest.approx(0.8), None, 0, None, None, False),
    ]


def test_trendiness_stays_in_its_range_when_purchases_are_taken_back(shop):
    shop.purchases.record([Event("ann", "Dresses-red-women-0", DAY)])  # the least popular
    with shop.storage.writing() as writing:  # what adding shares and taking them away again leaves
        writing.execute(schema.shoppers.update().values(normpop=-1e-16))
        writing.execute(schema.settings.update().where(schema.settings.c.name == "normpop").values(value="-1e-16"))
    assert shop.shoppers["ann"].trendiness == 0
    assert shop.shoppers.mean_trendiness() == 0
    assert shop.shoppers.frame()["trendiness"].to_list() == [0]
    assert shop.recommend("ann", top=3)


def test_trendiness_leads_to_what_is_popular_or_is_not(shop):
    shop.shoppers.put("follower", trendiness=1.0)
    shop.shoppers.put("contrarian", trendiness=0.0)
    shop.purchases.record([Event(one, "Denim-red-women-0", DAY) for one in ("follower", "contrarian")])
    popular = {"alpha": 0, "beta": 20, "gamma": 0, "top": 1, "gender": "any"}
    assert shop.recommend("follower", **popular)[0].item_id == "Tees_Tanks-blue-men-6"
    assert shop.recommend("contrarian", **popular)[0].item_id == "Dresses-red-women-0"
    assert shop.recommend("contrarian", trendiness=1.0, **popular)[0].item_id == "Tees_Tanks-blue-men-6"


# Guests


def test_a_guest_is_shown_what_suits_what_she_looked_at(shop):
    red, blue = "Dresses-red-women-0", "Denim-blue-women-0"
    alone = [one.item_id for one in shop.recommend(item=red, preset="visual")]
    assert [one.item_id for one in shop.recommend(items=[red], preset="visual")] == alone
    both = shop.recommend(items=[red, blue, "sock", red], top=10)
    assert {one.because for one in both} == {red, blue}
    assert not {red, blue} & {one.item_id for one in both}
    assert "you looked at" in both[0].why
    popular = [one.item_id for one in shop.introduce()]
    for nothing in ([], ["sock"]):
        assert [one.item_id for one in shop.recommend(items=nothing)] == popular
    with pytest.raises(SettingError, match="one of the three"):
        shop.recommend(item=red, items=[blue])


# Forgetting


def test_a_shopper_is_known_to_herself(shop):
    shop.shoppers.put("ann", latitude=48.8, longitude=2.3)
    shop.purchases.record([Event("ann", "Denim-red-men-0", DAY, "cart", 2), Event("bea", "Denim-red-men-6", DAY)])
    known = shop.known_of("ann")
    [event] = known.pop("events")
    assert known == {"shopper_id": "ann", "trendiness": None, "latitude": 48.8, "longitude": 2.3, "lists": []}
    assert (event["kind"], event["item_id"], event["at"], event["quantity"]) == ("cart", "Denim-red-men-0", DAY, 2)
    with pytest.raises(UnknownIdError):
        shop.known_of("nobody")


def test_nothing_of_a_forgotten_shopper_is_left_anywhere(shop, monkeypatch, caplog):
    her = "jane-doe-4711"
    monkeypatch.setattr(shop.moments, "filed_from", 1)
    items = shop.items.frame()["item_id"].to_list()
    others = [Event(f"other-{n % 50}", items[n % 24], DAY, order_id=f"order-{n}") for n in range(2300)]
    hers = [Event(her, items[n % 24], DAY, ("purchase", "view")[n % 2], order_id=f"hers-{n}") for n in range(40)]
    shop.purchases.record(others[:1500])
    for n, one in enumerate(hers):
        shop.purchases.record([one, *others[1500 + 20 * n : 1520 + 20 * n]])
    shop.purchases.record([Event(her, items[0], DAY, "return", order_id="hers-0"), Event(her, items[1], DAY, "cancel")])
    shop.shoppers.put(her, trendiness=0.5)
    seen = Served("home", None, (items[0],), datetime.now(UTC).replace(tzinfo=None), her)
    shop.storefront.record([Seen(shop.storefront.sign(one), items[0]) for one in (seen, replace(seen, who="hers-1"))])
    shop.storefront.link({"hers-1": her})
    shop.purchases.record([Event("hers-1", items[1], DAY)])
    shop.snapshot()
    shop.recommend(items=items[:2])
    (shop.path / "not-taken.txt").write_text(f"orders.csv, row 3: {her} bought no item\n")
    (shop.path / "notes.txt").write_text("of somebody else")
    (shop.path / "numbers.csv").write_text(f"recall\n{her}\n")
    named = {shop.path / "not-taken.txt"}
    for form in ("csv", "jsonl", "parquet", "feed"):
        named.add(out := shop.path / "lists" / f"all.{form}")
        out.parent.mkdir(exist_ok=True)
        recommend_all(shop, out, top=1)
    with pytest.raises(KeyboardInterrupt):
        recommend_all(shop, shop.path / "half.csv", block=60, progress=Mock(side_effect=KeyboardInterrupt), top=1)
    named |= {shop.path / "half.csv.parts" / name for name in ("plan.json", "000000000000.parquet")}
    named.add(half := shop.path / "half.csv.parts" / "new-000000000060.parquet")
    half.write_bytes(b"PAR1 and not to the end")
    named.add(part := shop.path / "experiments" / "parts" / "a" / "0.json")
    part.parent.mkdir(parents=True)
    part.write_text(json.dumps({"rows": [{"shopper": her}]}))
    assert set(shop.forget(her)) == named
    (shop.path / "numbers.csv").unlink()  # no column says that it is of shoppers
    for file in [one for one in shop.path.rglob("*") if one.is_file()]:
        assert her.encode() not in file.read_bytes(), file
        assert b"hers-" not in file.read_bytes(), file
    with shop.storage.reading() as connection:
        for table in schema.metadata.sorted_tables:
            assert her not in str(connection.execute(sa.select(table)).all())
    assert her not in caplog.text
    assert her not in shop.shoppers
    popularity = shop.purchases.popularity()
    assert popularity["popularity"].sum() == shop.items.frame()["popularity"].sum() + 2300
    assert len(shop.purchases) == shop.purchases.frame().height == 2300
    shop.purchases.recount()
    assert shop.purchases.popularity().equals(popularity)
    with pytest.raises(UnknownIdError, match="no shopper"):
        shop.forget(her)


def test_who_is_forgotten_is_looked_for_in_broken_files_and_those_that_cannot_be_read_are_named(shop):
    shop.shoppers.put("ann")
    (shop.path / "half.parquet").write_bytes(b"PAR1 of ann, cut short")
    with (shop.path / "huge.txt").open("wb") as huge:
        huge.truncate(1 << 40)
    with pytest.raises(SourceError, match=r"whether these name her.*huge\.txt"):
        shop.forget("ann")
    assert "ann" not in shop.shoppers
    assert not (shop.path / "half.parquet").exists()


def test_forgetting_while_another_reads_is_to_be_done_again(shop, monkeypatch):
    shop.shoppers.put("ann")
    monkeypatch.setattr(storage, "LOCKED_S", 0.1)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    with shop.storage.reading() as connection:
        connection.execute(sa.select(schema.shoppers)).all()
        with pytest.raises(SourceError, match="do it again"):
            shop.forget("ann")
    assert "ann" not in shop.shoppers
    shop.forget("ann")
    with pytest.raises(UnknownIdError):  # it was done
        shop.forget("ann")


def test_an_error_of_the_database_names_no_shopper(shop):
    with pytest.raises(sa.exc.IntegrityError) as told, shop.storage.writing() as writing:
        writing.execute(schema.shoppers.insert(), [new_shopper("-".join(("jane", "doe")))] * 2)
    assert "jane-doe" not in "".join(traceback.format_exception(told.value))


# At a glance


def test_a_shop_says_what_it_has_and_what_is_next(tmp_path, small):
    with Shop.create(tmp_path / "empty") as empty:
        assert empty.status().next_steps("empty") == ["add items; modiste add items empty PHOTOS-OR-TABLE"]
    small.items.put(Item("a", available=False))
    small.purchases.record(
        [Event("ann", "b", DAY), Event("ann", "c", DAY, "return", 2), Event("ann", "b", DAY, "view")]
    )
    status = small.status()
    assert (status.coverage.items, status.on_offer, status.without_category) == (5, 4, 5)
    assert status.events == {"purchase": 1, "return": 1, "view": 1}
    told = " ".join(status.next_steps("small"))
    assert "items without a photo: 5" in told
    assert "returned pieces of no known purchase: 2" in told
