"""Keys: told once, kept as digests."""

import pytest
import sqlalchemy as sa

from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema
from modiste.shop.keys import digest
from modiste.shop.shop import Shop


def test_a_key_is_told_once_and_kept_as_a_digest(small: Shop) -> None:
    made = {small.keys.add(f"key {number}", "server") for number in range(20)}
    assert len(made) == 20
    assert all(len(key.removeprefix("modiste_server_")) == 43 for key in made)  # 256 bits
    kept = str(small.storage.rows(sa.select(schema.keys)))
    assert not any(key in kept or key.removeprefix("modiste_server_") in kept for key in made)
    assert set(small.keys.by_digest()) == set(map(digest, made))


def test_a_key_is_withdrawn_by_its_name(small: Shop) -> None:
    small.keys.add("pages", "publishable", origins=["https://Shop.example/", "http://localhost:3000"], per_minute=9)
    (one,) = small.keys.by_digest().values()
    assert (one.name, one.role, one.per_minute) == ("pages", "publishable", 9)
    assert one.origins == ("https://shop.example", "http://localhost:3000")
    with pytest.raises(SettingError, match="already"):
        small.keys.add("pages", "server")
    small.keys.remove("pages")
    assert small.keys.by_digest() == {}
    with pytest.raises(UnknownIdError, match="pages"):
        small.keys.remove("pages")


@pytest.mark.parametrize(
    ("role", "origins", "per_minute", "what"),
    [
        ("owner", [], None, "publishable, viewer, server, admin"),
        ("publishable", [], None, "needs the origins"),
        ("server", ["https://shop.example"], None, "others have none"),
        ("publishable", ["https://shop.example/page"], None, "no web origin"),
        ("publishable", ["*"], None, "no web origin"),
        ("publishable", ["null"], None, "no web origin"),
        ("server", [], 0, "from 1 to"),
    ],
)
def test_what_makes_no_sense_is_refused(
    small: Shop, role: str, origins: list[str], per_minute: int | None, what: str
) -> None:
    with pytest.raises(SettingError, match=what):
        small.keys.add("one", role, origins=origins, per_minute=per_minute)
    assert small.keys.by_digest() == {}
