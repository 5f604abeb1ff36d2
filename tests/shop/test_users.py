"""Accounts, passwords and sessions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import perf_counter

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher, extract_parameters

from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema, users
from modiste.shop.shop import Shop
from modiste.shop.users import MOST_FROM_ADDRESS, MOST_TRIES, TooManyTriesError, Users

SECRET = "fifteen small buttons"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time."""
    monkeypatch.setattr(Users, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def shop(small: Shop, quick: None) -> Shop:
    """A shop in which anna and bea have accounts."""
    small.users.add("anna", SECRET, "merchandiser")
    small.users.add("bea", SECRET + "!", "viewer")
    return small


def test_a_password_is_kept_as_an_argon2id_hash_with_a_salt_of_its_own(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Shop.create(tmp_path_factory.mktemp("users") / "shop") as shop:
        for name in ("anna", "bea"):
            shop.users.add(name, SECRET, "viewer")
        first, second = (row["password"] for row in shop.storage.rows(sa.select(schema.users.c.password)))
        assert first != second
        assert first.startswith("$argon2id$")
        assert extract_parameters(first).memory_cost >= 19 * 1024  # OWASP's least, in KiB
        shop.users.log_in("anna", SECRET, "here")  # the hash of a password that nobody knows is made by now

        def seconds(name: str) -> float:
            start = perf_counter()
            assert shop.users.log_in(name, "wrong " + SECRET, name) is None
            return perf_counter() - start

        known, unknown = (min(seconds(name) for _ in range(3)) for name in ("bea", "nobody"))
        assert known < 5 * unknown  # a name that nobody has costs a hash too
        assert unknown < 5 * known


def test_whoever_logs_in_has_a_session_until_she_logs_out(shop: Shop) -> None:
    session = shop.users.log_in("anna", SECRET, "here")
    assert session is not None
    found = shop.users.whose(session)
    assert found is not None
    assert (found.name, found.role) == ("anna", "merchandiser")
    other = shop.users.log_in("anna", SECRET, "there")
    assert other not in (None, session)
    kept = str(shop.storage.rows(sa.select(schema.sessions))) + str(shop.storage.rows(sa.select(schema.users)))
    assert session not in kept
    assert SECRET not in kept
    shop.users.log_out(session)
    assert shop.users.whose(session) is None
    assert shop.users.whose(str(other)) is not None
    for nobody in ("", "x", "\ud800", "é" * 2000):
        assert shop.users.whose(nobody) is None


def test_a_session_ends_by_itself(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "SESSION", timedelta(seconds=-1))
    session = shop.users.log_in("anna", SECRET, "here")
    assert shop.users.whose(str(session)) is None
    monkeypatch.undo()
    shop.users.log_in("bea", SECRET + "!", "here")
    assert [one["name"] for one in shop.storage.rows(sa.select(schema.sessions))] == ["bea"]


@pytest.mark.parametrize("change", ["password", "role", "removed"])
def test_another_password_or_role_ends_every_session(shop: Shop, change: str) -> None:
    sessions = [str(shop.users.log_in("anna", SECRET, "here")) for _ in range(2)]
    if change == "removed":
        shop.users.remove("anna")
    else:
        shop.users.change("anna", **{change: {"password": "sixteen small buttons", "role": "viewer"}[change]})
    assert [shop.users.whose(one) for one in sessions] == [None, None]
    again = shop.users.log_in("anna", SECRET, "here")
    assert (again is None) is (change != "role")


def test_a_password_is_the_same_however_it_is_typed(shop: Shop) -> None:
    shop.users.add("zoë", "cafe\u0301 au lait, sil vous plait", "viewer")
    assert shop.users.log_in("zoë", "café au lait, sil vous plait", "here")


def test_guessing_ends_soon_and_another_address_may_go_on(shop: Shop) -> None:
    for name in ("anna", "nobody"):
        assert [shop.users.log_in(name, f"guess {n}", "192.0.2.1") for n in range(MOST_TRIES)] == [None] * MOST_TRIES
        with pytest.raises(TooManyTriesError, match="15 minutes") as refused:
            shop.users.log_in(name, SECRET, "192.0.2.1")  # right, and too late
        assert 0 < refused.value.wait <= 900
    assert shop.users.log_in("anna", SECRET, "192.0.2.2")
    assert shop.users.log_in("bea", SECRET + "!", "192.0.2.1")


def test_right_passwords_are_no_tries(shop: Shop) -> None:
    for _ in range(2 * MOST_TRIES):
        assert shop.users.log_in("anna", SECRET, "here")
    assert shop.storage.rows(sa.select(schema.attempts)) == []


def test_one_address_does_not_try_every_name(shop: Shop) -> None:
    for number in range(MOST_FROM_ADDRESS):
        assert shop.users.log_in(f"name {number}", SECRET, "192.0.2.1") is None
    with pytest.raises(TooManyTriesError):
        shop.users.log_in("anna", SECRET, "192.0.2.1")


def test_many_guesses_at_once_are_counted_too(shop: Shop) -> None:
    def guess(number: int) -> bool:
        try:
            return shop.users.log_in("anna", f"guess {number}", "192.0.2.1") is None
        except TooManyTriesError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(guess, range(24))) == MOST_TRIES


def test_tries_are_forgotten_after_a_while(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST_TRIES):
        shop.users.log_in("anna", f"guess {number}", "here")
    monkeypatch.setattr(users, "WINDOW", timedelta(0))
    assert shop.users.log_in("anna", SECRET, "here")


def test_a_hash_of_older_settings_is_made_anew(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Users, "_hasher", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert shop.users.log_in("anna", SECRET, "here")
    (row,) = shop.storage.rows(sa.select(schema.users.c.password).where(schema.users.c.name == "anna"))
    assert extract_parameters(row["password"]).time_cost == 2
    assert shop.users.log_in("anna", SECRET, "here")


def test_what_makes_no_sense_is_refused(shop: Shop) -> None:
    for name, password, role, what in (
        ("carla", "short", "viewer", "from 12"),
        ("carla", SECRET, "owner", "viewer, merchandiser, admin"),
        ("anna", SECRET, "viewer", "already"),
        ("", SECRET, "viewer", "empty"),
    ):
        with pytest.raises(SettingError, match=what):
            shop.users.add(name, password, role)
    for unknown in (lambda: shop.users.change("carla", role="viewer"), lambda: shop.users.remove("carla")):
        with pytest.raises(UnknownIdError, match="carla"):
            unknown()
    assert [(one.name, one.role) for one in shop.users.all()] == [("anna", "merchandiser"), ("bea", "viewer")]
    assert len(shop.users) == 2
