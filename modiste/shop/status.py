"""How far a shop is: what it has, what it lacks, and what to do next; for the command, the page and the metrics."""

import json
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from modiste.shop import schema
from modiste.shop.purchases import last_purchase
from modiste.shop.storage import Storage, count_of, setting


@dataclass(frozen=True)
class Coverage:
    """How far a shop is ready: counts; vectors, missing and failed are photos in the default vector space.

    ``synced`` are those of the last sync (:class:`~modiste.shop.sync.SyncReport`), which began at ``last_sync`` (UTC).
    """

    items: int
    photos: int
    vectors: int
    missing: int
    failed: int
    shoppers: int
    purchases: int
    last_purchase: datetime | None
    last_sync: datetime | None = None
    synced: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """Something to do: what is the matter, the ``command`` that mends it, and the ``page`` where one sees it."""

    said: str
    command: str
    page: str


@dataclass(frozen=True)
class Status:
    """What a shop has and lacks.

    ``on_offer`` items may be recommended, ``hidden`` were taken out of every list here, ``without_category`` have none,
    for ``proposed`` of which photos propose one, as names and they propose a gender for ``proposed_gender`` items;
    ``events`` are how many of each kind; ``unmatched`` is how much was returned or cancelled for which no purchase is
    known; ``failures`` tells why photos have no vector, and how many.
    """

    coverage: Coverage
    on_offer: int
    hidden: int
    without_category: int
    proposed: int
    proposed_gender: int
    events: dict[str, int]
    unmatched: int
    failures: dict[str, int]

    def steps(self, shop: str) -> list[Step]:
        """What is to be done, the first thing first; ``shop`` is its folder as commands name it."""
        have = self.coverage
        if not have.items:
            return [Step("add items", f"modiste add items {shop} PHOTOS-OR-TABLE", "/items")]
        orders = f"modiste add purchases {shop} ORDERS, or modiste simulate {shop}"
        known = f" (photos propose one for {self.proposed:,}, see their pages)" if self.proposed else ""
        found = [
            (not self.on_offer, "nothing is on offer; add the items again as they are now",
             f"modiste add items {shop} TABLE", "/items?state=off"),
            (have.items - have.photos, "items without a photo: {}", "name photos in the column image",
             "/items?state=no+photo"),
            (have.missing, "photos without a vector: {}", f"modiste embed {shop}", "/items?state=no+vector"),
            (have.failed, "photos that could not be embedded: {}", f"modiste embed {shop} tells why",
             "/items?state=no+vector"),
            (self.without_category, f"items without a category: {{}}{known}", "name it in the column category",
             "/items?state=no+category"),
            (self.proposed_gender, "items without a gender, though name or photos propose one (see their pages): {}",
             "name it in the column gender", "/items?state=no+gender"),
            (not have.purchases, "nobody bought anything", orders, "/shoppers"),
            (self.unmatched, "returned pieces of no known purchase: {}", "add the older orders", "/shoppers"),
        ]  # fmt: skip
        return [Step(said.format(f"{count:,}"), command, page) for count, said, command, page in found if count]

    def next_steps(self, shop: str) -> list[str]:
        """As :meth:`steps`, in sentences for a terminal; there is always one."""
        steps = [f"{step.said}; {step.command}" for step in self.steps(shop)]
        return steps or [f"ask: modiste recommend {shop} --shopper ID"]


def coverage_of(storage: Storage) -> Coverage:
    """The counts of a shop's tables."""
    items, vectors, failures = schema.items, schema.vectors, schema.failures
    syncs = sa.select(schema.syncs).order_by(schema.syncs.c.sync_id.desc()).limit(1)
    with storage.reading() as connection:
        photos = count_of(connection, items, items.c.image.is_not(None))
        synced = connection.execute(syncs).one_or_none()
        embedded = count_of(connection, vectors, vectors.c.space == schema.LATEST_SPACE)
        failed = count_of(connection, failures, failures.c.space == schema.LATEST_SPACE)
        return Coverage(
            items=count_of(connection, items),
            photos=photos,
            vectors=embedded,
            missing=photos - embedded - failed,
            failed=failed,
            shoppers=count_of(connection, schema.shoppers),
            purchases=int(setting(connection, "purchases")),
            last_purchase=last_purchase(connection),
            last_sync=synced.at if synced else None,
            synced=json.loads(synced.report) if synced else {},
        )


def status_of(storage: Storage) -> Status:
    """What is there and what is missing."""
    items, events, failures = schema.items.c, schema.events.c, schema.failures.c
    counts = sa.select(
        sa.func.count(sa.case((schema.ON_OFFER, 1))).label("on_offer"),
        sa.func.count(sa.case((items.hidden, 1))).label("hidden"),
        sa.func.count(items.category).label("categories"),
        sa.func.count(items.proposed).label("proposed"),
        sa.func.count(items.proposed_gender).label("proposed_gender"),
    )
    kinds = sa.select(events.kind, sa.func.count().label("n")).group_by(events.kind)
    waiting = sa.select(sa.func.coalesce(sa.func.sum(events.kept), 0)).where(events.kind.in_(("return", "cancel")))
    reasons = sa.select(failures.reason, sa.func.count().label("n")).where(failures.space == schema.LATEST_SPACE)
    coverage = coverage_of(storage)
    with storage.reading() as connection:
        found = connection.execute(counts).one()
        by_kind = {one.kind: int(one.n) for one in connection.execute(kinds)}
        loose = int(connection.execute(waiting).scalar_one())
        failed = connection.execute(reasons.group_by(failures.reason).order_by(sa.desc("n"), failures.reason).limit(20))
        why = {one.reason: int(one.n) for one in failed}
    without = coverage.items - found.categories
    proposed = found.proposed, found.proposed_gender
    return Status(coverage, found.on_offer, found.hidden, without, *proposed, by_kind, loose, why)
