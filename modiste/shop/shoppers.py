"""``shop.shoppers``: what is known of them, and how far they follow trends."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from modiste.behaviour.trendiness import STRENGTH, estimated_trendiness
from modiste.catalog.values import composed, identifier, position, share
from modiste.errors import UnknownIdError
from modiste.shop import schema
from modiste.shop.storage import Storage, Writing, chunks, frame, set_setting, setting


@dataclass(frozen=True, slots=True)
class Shopper:
    """What is known of a shopper.

    ``trendiness`` in [0, 1] is as given or, where ``estimated``, made of her purchases; without any it is the mean of
    all shoppers. ``purchases`` is how many she made. ``latitude`` and ``longitude`` are degrees, None: not known.
    """

    shopper_id: str
    trendiness: float
    estimated: bool
    latitude: float | None
    longitude: float | None
    simulated: bool
    purchases: int

    @property
    def told(self) -> bool:
        """Whether anything tells her trendiness: somebody, or a purchase."""
        return not self.estimated or self.purchases > 0

    @property
    def position(self) -> tuple[float, float] | None:
        """(latitude, longitude) in degrees."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)


class Shoppers:
    """A shop's shoppers."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __len__(self) -> int:
        return self._storage.count(schema.shoppers)

    def __contains__(self, shopper_id: object) -> bool:
        wanted = sa.select(schema.shoppers.c.shopper_id).where(schema.shoppers.c.shopper_id == shopper_id)
        return isinstance(shopper_id, str) and self._storage.row(wanted) is not None

    def __getitem__(self, shopper_id: str) -> Shopper:
        """What is known of a shopper. Raises UnknownIdError."""
        with self._storage.reading() as connection:
            return self.read(connection, shopper_id)

    def read(self, connection: sa.Connection, shopper_id: str) -> Shopper:
        """What the transaction of ``connection`` knows of a shopper. Raises UnknownIdError."""
        found = self.those(connection, [shopper_id])
        if not found:
            raise UnknownIdError(f"no shopper {shopper_id!r} in {self._storage.path.name}")
        return found[composed(shopper_id)]

    def those(self, connection: sa.Connection, shopper_ids: Collection[str]) -> dict[str, Shopper]:
        """What the transaction of ``connection`` knows of those of some shoppers that there are."""
        table, found, means = schema.shoppers, dict[str, Shopper](), dict[bool, float]()
        for some in chunks(shopper_ids):
            for row in connection.execute(sa.select(table).where(table.c.shopper_id.in_(some))).mappings():
                known, trendiness = bool(row["purchases"]), row["trendiness"]
                if trendiness is None:
                    if known not in means:
                        means[known] = _mean_normpop(connection) if known else mean_trendiness(connection)
                    many = float(row["purchases"])
                    trendiness = estimated_trendiness(row["normpop"], many, means[True]) if known else means[False]
                found[row["shopper_id"]] = Shopper(
                    row["shopper_id"], float(trendiness), row["trendiness"] is None, row["latitude"], row["longitude"],
                    row["simulated"], row["purchases"],
                )  # fmt: skip
        return found

    def frame(self) -> pl.DataFrame:
        """All shoppers by id.

        Columns shopper_id, trendiness (given, else estimated, else the mean), given (null: not), purchases (how many),
        latitude, longitude, simulated.
        """
        with self._storage.reading() as connection:
            found = frame(connection, sa.select(schema.shoppers).order_by(schema.shoppers.c.shopper_id))
            prior, mean = _mean_normpop(connection), mean_trendiness(connection)
        guess = ((pl.col("normpop") + STRENGTH * prior) / (pl.col("purchases") + STRENGTH)).clip(0, 1)
        return found.select(
            "shopper_id",
            pl.coalesce("trendiness", pl.when(pl.col("purchases") > 0).then(guess), pl.lit(mean)).alias("trendiness"),
            pl.col("trendiness").alias("given"),
            "purchases",
            "latitude",
            "longitude",
            "simulated",
        )

    def mean_trendiness(self) -> float:
        """The mean over all shoppers, as given or else as estimated; 0.5 without any."""
        with self._storage.reading() as connection:
            return mean_trendiness(connection)

    def put(
        self,
        shopper_id: str,
        trendiness: float | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
    ) -> None:
        """Make a shopper or change one. ``trendiness`` in [0, 1]; None leaves it to be estimated from purchases."""
        shopper_id = identifier(shopper_id, "shopper_id")
        if trendiness is not None:
            share(trendiness)
        if latitude is not None or longitude is not None:
            position(latitude, longitude)
        values: dict[str, Any] = {"trendiness": trendiness, "latitude": latitude, "longitude": longitude}
        table = schema.shoppers
        with self._storage.writing() as writing:
            if writing.execute(table.update().where(table.c.shopper_id == shopper_id).values(values)).rowcount == 0:
                writing.execute(table.insert().values(new_shopper(shopper_id) | values))


def new_shopper(shopper_id: str, simulated: bool = False) -> dict[str, Any]:
    """The row of a shopper who has bought nothing."""
    return {"shopper_id": shopper_id, "simulated": simulated, "purchases": 0, "normpop": 0.0}


def add_up(writing: Writing, sums: dict[str, tuple[int, float]]) -> None:
    """Add purchases, and the sum of their normalised popularity, to those of shoppers and of all."""
    if not sums:
        return
    shoppers = schema.shoppers
    writing.execute(
        shoppers.update()
        .where(shoppers.c.shopper_id == sa.bindparam("who"))
        .values(purchases=shoppers.c.purchases + sa.bindparam("n"), normpop=shoppers.c.normpop + sa.bindparam("share")),
        [{"who": who, "n": n, "share": share} for who, (n, share) in sums.items()],
    )
    for place, name in enumerate(("purchases", "normpop")):
        value = sum(one[place] for one in sums.values())
        set_setting(writing.connection, name, setting(writing.connection, name) + value)


def _mean_normpop(connection: sa.Connection) -> float:
    """The mean normalised popularity of all that was ever bought, 0.5 before anything was."""
    purchases = setting(connection, "purchases")
    return setting(connection, "normpop") / purchases if purchases else 0.5


def mean_trendiness(connection: sa.Connection) -> float:
    """As :meth:`Shoppers.mean_trendiness`, of the connection's moment."""
    table = schema.shoppers.c
    guess = (table.normpop + STRENGTH * _mean_normpop(connection)) / (table.purchases + STRENGTH)
    mean = connection.execute(
        sa.select(sa.func.avg(sa.func.coalesce(table.trendiness, sa.case((table.purchases > 0, guess)))))
    ).scalar()
    return 0.5 if mean is None else min(max(float(mean), 0.0), 1.0)
