"""A question: how somebody asks, put to one moment of the shop. Candidates, ranking, recommendations with reasons."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Bools, Floats, Ints, Singles
from modiste.ask import Ask
from modiste.behaviour.choice import DEFAULT, usual_price
from modiste.catalog.items import GENDERS
from modiste.errors import SettingError
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import Weights, sentence
from modiste.ranking.topk import Ranking, merge, rank, rank_among
from modiste.shop.proposals import SURE, proposals
from modiste.shop.recommendations import SHOWN, Recommendation, Recommendations
from modiste.shop.rules import Ruling, Walk, likeness, prices_of, varied
from modiste.shop.shoppers import Shopper
from modiste.shop.snapshot import Snapshot
from modiste.shop.taste import Companions, freshness, habits, taste_of, together, usual
from modiste.vision.colour import colour_words

FILLED_UP = "fills up the list, as too few fit"
"""Said of what a fall-back adds."""

NOTHING_FITS = "Nothing fits: the best of what the filters leave suits less than an item drawn at random."
"""Why a list is empty though something passed its filters."""

RANDOM_ITEMS = 1_000
"""The worth of a random item is the mean of at most so many, evenly spread over those on offer."""

FEWEST_RANDOM = 5
"""Among fewer items a random one's worth is a matter of chance, and nothing is compared with it."""

ALIKE_PRICES = float(np.log10(1.25))
"""Prices of which one is at most a quarter above the other are about the same."""

SPARE = 5
"""So many more than a list is long are looked at, lest pictures that stand in it already make it too short."""

NEWS_HALF_LIFE = 30.0
"""Days after which a purchase counts half in what the paper's formula shows to a shopper nobody knows."""


Pinnable = dict[int, tuple[list[int], Ranking]]
"""Rows that each pin may put into somebody's list, by the rule's number, best first, and their ranking."""


@dataclass(frozen=True)
class Garment:
    """One garment of a photo: ``label`` names it in the palette, ``colour`` in a shopper's words, ``keep``, bool
    (h, w), are its pixels; and what looks like it among the ``kinds`` of the shop that can be one."""

    label: str
    colour: str
    keep: Bools
    kinds: tuple[str, ...]
    recommendations: Recommendations


@dataclass(frozen=True)
class SearchResult:
    """How a photo was parsed, and what looks like it.

    ``photo`` is upright RGB. ``labels``, uint8 (h, w), names its pixels in the palette and ``keep``, bool (h, w), tells
    which were compared; both are None where the photo was taken whole, ``labels`` also where it shows one thing alone
    and nobody said what that is. ``whose`` is as :class:`Question` has it. ``garments`` are those that somebody wears
    on the photo, the largest first.
    """

    photo: Image.Image
    labels: NDArray[np.uint8] | None
    keep: Bools | None
    recommendations: Recommendations
    whose: tuple[str, float] | None = None
    garments: tuple[Garment, ...] = ()


@dataclass(frozen=True, eq=False)
class Question:
    """``ask`` put to ``snapshot``, with a query for each purchase or photo. ``verb`` ends "the denim …".

    ``beside``: it is about what is worn with an item.
    ``distances`` are each row's, float64 in km, None where the position or the stores are not known. ``ruling`` has the
    rules in force, None without any, and ``apart`` which of those about what is shown together it doesn't meet.
    ``told``: something tells how far she follows the crowd, or whoever asks says so; else no sentence speaks of it.
    ``personal``: it is about what somebody bought or looked at, so that nothing may fit.
    ``whose``: the gender that what looks like its photo proposes, and the share of the neighbours that have it.
    ``seen_on``: the row of the item on whose photo something like each row is worn with something like it, int64
    (rows,), -1: none; None: of none.
    ``pinned`` is what may be pinned, where that was worked out with others'.
    """

    snapshot: Snapshot
    ask: Ask
    weights: Weights
    candidates: Candidates
    queries: Queries
    distances: Floats | None
    verb: str
    habitual: bool = False
    beside: bool = False
    ruling: Ruling | None = None
    apart: tuple[int, ...] = ()
    told: bool = False
    personal: bool = False
    whose: tuple[str, float] | None = None
    seen_on: Ints | None = None
    pinned: "Pinnable | None" = None

    # What may be asked

    @classmethod
    def for_shopper(
        cls,
        snapshot: Snapshot,
        ask: Ask,
        shopper: Shopper,
        bought: Sequence[tuple[str, int]],
        companions: Companions | None = None,
    ) -> "Question":
        """What suits a shopper who bought the items ``bought``, each with its day, the oldest first; ``companions`` are
        what goes with them. Raises SettingError, UnknownIdError.
        """
        snapshot = snapshot.tuned(ask.tuning)
        ids = list(dict.fromkeys(item_id for item_id, _ in bought))
        rows = [row for item_id in ids if (row := snapshot.find(item_id)) >= 0]
        if ask.weights.formula == "paper":
            made = cls._of(snapshot, ask, rows, shopper.trendiness, "you bought", shopper.position)
            return replace(made, told=made.told or shopper.told)
        trendiness, told = shopper.trendiness, True
        if shopper.estimated and ask.trendiness is None:
            taste = taste_of(snapshot, bought)
            trendiness, told = taste.trendiness, taste.purchases > 0
        made = cls._of(snapshot, ask, rows, trendiness, "you bought", shopper.position)
        kinship = np.tile(habits(snapshot, ids, ask.half_life), (len(rows), 1))
        pairs = [together(snapshot, companions or {})] * len(rows)
        fresh = np.full(len(rows), freshness(snapshot, bought))
        queries = replace(made.queries, kinship=kinship, together=pairs, freshness=fresh)
        if (prices := made.candidates.price) is not None:
            every = [row for item_id, _ in bought if (row := snapshot.find(item_id)) >= 0]
            queries = replace(queries, usual=np.tile(np.array(usual_price(prices[every])), (len(rows), 1)))
        return replace(made, queries=queries, habitual=True, told=told, personal=True)

    @classmethod
    def for_guest(cls, snapshot: Snapshot, ask: Ask, seen: Sequence[str], trendiness: float) -> "Question":
        """What suits a guest who looked at the items ``seen``, the newest last. Raises SettingError, UnknownIdError.

        Ids that the shop doesn't have are passed over; without any other, popularity alone counts.
        """
        rows = [row for item_id in seen if (row := snapshot.find(item_id)) >= 0]
        if not rows:
            return cls.for_nobody(snapshot, ask, trendiness)
        newest = list(dict.fromkeys(rows[::-1]))[::-1]
        made = cls._of(snapshot, ask, newest, trendiness, "you looked at", None)
        return replace(made, personal=ask.weights.formula == "choice")

    @classmethod
    def for_item(cls, snapshot: Snapshot, ask: Ask, item_id: str) -> "Question":
        """What suits someone who looks at an item, of about its popularity. Raises SettingError, UnknownIdError."""
        snapshot = snapshot.tuned(ask.tuning)
        row, trendiness = snapshot.row(item_id), usual(snapshot)
        if ask.weights.formula == "paper":
            trendiness = float(snapshot.popularity(ask.half_life).normpop[row])
        return cls._of(snapshot, ask, [row], trendiness, "you look at", None)

    @classmethod
    def for_photo(
        cls, snapshot: Snapshot, ask: Ask, look: Singles, colour: Singles, of: "Question | None" = None
    ) -> "Question":
        """What looks like a photo of ``look``, float32 (dim,), not reduced yet, and ``colour``, (COLOUR_DIM,).

        Unless somebody says whose things are wanted, what it looks like proposes it; of a garment what the whole photo,
        which ``of`` is about, looks like.
        """
        snapshot = snapshot.tuned(ask.tuning)
        reduction = snapshot.matrix(ask.space).reduction
        looks = look[None] if reduction is None else reduction.apply(look[None])
        vectors = np.hstack([looks, colour[None]])
        made = cls._of(snapshot, ask, [-1], usual(snapshot), "you look at", None, vectors)
        if ask.gender is not None:
            return made
        whose = None if of is None else of.whose
        if of is None:
            gallery = snapshot.candidates(ask.space, ask.half_life, ask.weights.formula)
            [found], [share] = proposals(gallery, vectors, snapshot.said("gender"))
            whose = (GENDERS[found], round(float(share), 2)) if share >= SURE else None
        code = 0 if whose is None else GENDERS.index(whose[0]) + 3
        return replace(made, queries=replace(made.queries, gender=np.array([code], np.int8)), whose=whose)

    @classmethod
    def for_outfit(cls, snapshot: Snapshot, ask: Ask, item_id: str, companions: Companions) -> "Question":
        """What is worn with an item, of the categories asked for: by its colour, by what sells, and by ``companions``,
        what is bought with it; looks, kinds and presets play no part. Raises SettingError, UnknownIdError.
        """
        by = {
            "preset": "balanced",
            "alpha": 0.0,
            "gamma": 0.0,
            "price": ask.price or 0.0,
            "penalty": None,
            "scaling": None,
        }
        ask = ask.model_copy(update=by)
        row = snapshot.row(item_id)
        made = cls._of(snapshot, ask, [row], usual(snapshot), "you look at", None)
        queries = replace(made.queries, together=[together(made.snapshot, companions)])
        return replace(made, queries=queries, beside=True)

    @classmethod
    def for_nobody(cls, snapshot: Snapshot, ask: Ask, trendiness: float, shopper: Shopper | None = None) -> "Question":
        """What to show someone of whom no purchase is known: popularity alone counts, and old purchases fade.

        ``trendiness`` is that of somebody of whom nothing is; what is known of ``shopper`` comes before it.
        """
        if ask.weights.formula == "paper" and ask.half_life is None:
            ask = ask.model_copy(update={"half_life": NEWS_HALF_LIFE})
        told, position = False, None
        if shopper is not None:
            trendiness, told, position = shopper.trendiness, shopper.told, shopper.position
        made = cls._of(snapshot, ask, [-1], trendiness, "you like", position)
        return replace(made, told=made.told or told, weights=Weights(0.0, 1.0, 0.0, formula=ask.weights.formula))

    @classmethod
    def _of(
        cls,
        snapshot: Snapshot,
        ask: Ask,
        rows: Sequence[int],
        trendiness: float,
        verb: str,
        home: tuple[float, float] | None,
        vectors: Singles | None = None,
    ) -> "Question":
        """One query for each of ``rows`` (-1: no item, then ``vectors`` may have a photo's), with the ``trendiness``
        unless somebody asks for another."""
        snapshot, asked = snapshot.tuned(ask.tuning), ask.trendiness is not None
        trendiness = trendiness if ask.trendiness is None else ask.trendiness
        candidates = snapshot.candidates(ask.space, ask.half_life, ask.weights.formula)
        distances = snapshot.distances_km(ask.position or home)
        item = np.array(rows, np.int64)
        gender, young = snapshot.column("gender"), snapshot.column("children")
        genders = np.array([gender[row] if row >= 0 else 0 for row in rows], np.int8)
        ages = np.array([1 + young[row] if row >= 0 else 0 for row in rows], np.int8)
        if ask.gender == "any":  # nothing is hidden; what is for others than those that the shop says counts for less
            genders = np.where((genders == 1) | (genders == 2), genders + 2, 0).astype(np.int8)
        elif ask.gender is not None:
            genders[:] = GENDERS.index(ask.gender) + 1
        if ask.age == "any":
            ages[ages > 0] += 2
        elif ask.age is not None:
            ages[:] = ("any", "adults", "children").index(ask.age)
        unwanted = {snapshot.find(item_id) for item_id in ask.exclude}.union(rows) - {-1}
        owned = np.array(sorted(unwanted), np.int64)
        queries = Queries(item, vectors, np.full(len(rows), trendiness), genders, [owned] * len(rows), ages)
        weights, prices = weights_of(snapshot, ask), None
        if weights.price:
            prices = prices_of(snapshot)
            usual = [(prices[row], 1.0) if row >= 0 else (np.nan, 0.0) for row in rows]
            queries = replace(queries, usual=np.array(usual).reshape(-1, 2))
        allowed = _allowed(snapshot, ask, distances)
        ruling = Ruling.of(snapshot, ask.rules) if ask.rules else None
        apart = ruling.apart(item) if ruling else ()
        barred = ruling.barred(apart) if ruling else None
        if barred is not None:
            allowed = ~barred if allowed is None else allowed & ~barred
        candidates = candidates.updated(
            distance_km=distances, allowed=allowed, price=prices, boost=None if ruling is None else ruling.boost
        )
        return cls(snapshot, ask, weights, candidates, queries, distances, verb, ruling=ruling, apart=apart, told=asked)

    @property
    def of_items(self) -> bool:
        """Whether it is about items that were bought or looked at."""
        return bool((self.queries.item >= 0).any())

    # What is answered

    def merged(self) -> Recommendations:
        """One list over all queries, without repeats."""

        def best(depth: int) -> tuple[Ranking, list[list[int]]]:
            ranking = self.ranking(depth)
            return ranking, merge(ranking, depth).tolist()

        return self._listed(best)

    def each(self, latest: int | None = None) -> list[tuple[str, Recommendations]]:
        """A list for each query (with ``latest`` only for so many, the last ones), with the item that it is about."""
        asked = self
        if latest is not None:
            asked = replace(self, queries=self.queries.at(np.arange(len(self.queries))[-latest:]))
        ranking, lists = asked.ranking(asked.depth), []
        alone = [(query, query + 1) for query in range(len(asked.queries))]
        for (query, end), pinned in zip(alone, asked.pinnable(ranking, alone), strict=True):
            one = replace(asked, queries=asked.queries.at(np.array([query])), pinned=pinned)
            part = ranking.part(query, end)
            places = merge(part, asked.depth).tolist()
            made = one.arranged(part, places, whole=len(places) < asked.depth)
            lists.append((self.snapshot.item_ids[int(one.queries.item[0])], one.merged() if made is None else made))
        return lists

    def spread(self) -> Recommendations:
        """One list of the best of each category first, then each one's second."""

        def best(depth: int) -> tuple[Ranking, list[list[int]]]:
            ranking = self.ranking(max(20 * depth, 200))
            return ranking, [[0, place] for place in _spread(ranking.items[0], self.candidates.category)[:depth]]

        return self._listed(best)

    def ranking(self, top: int) -> Ranking:
        """The best ``top`` of each query."""
        return rank(self.candidates, self.queries, self.weights, top)

    # What depends on the list itself

    @property
    def arranges(self) -> bool:
        """Whether a list is more than the best of the ranking: something is pinned, limited, varied or filled up."""
        return bool(self.ask.variety) or self.ask.fallback != "none" or bool(self.ruling and self.ruling.arranges)

    @property
    def depth(self) -> int:
        """How long a list is looked at first."""
        top = self.ask.top
        return max(10 * top, 50) if self.ask.variety else 2 * top + 10 if self.arranges else top + SPARE

    def _listed(self, best: Callable[[int], tuple[Ranking, list[list[int]]]]) -> Recommendations:
        """The list that is made of the ``best`` so many places of a ranking, of more where these don't suffice."""
        depth = self.depth
        while True:
            ranking, found = best(depth)
            made = self.arranged(ranking, found, whole=len(found) < depth)
            if made is not None:
                return made
            depth *= 4

    def arranged(self, ranking: Ranking, found: Sequence[Sequence[int]], whole: bool) -> Recommendations | None:
        """The list, from the places ``found`` (query, position) of ``ranking``, best first; None where they are too few
        and not the ``whole`` of what there is."""
        nothing = None
        if len(found) and self._unfit(ranking).all():
            found, whole, nothing = [], True, NOTHING_FITS
        owned = self.queries.excluded or [self.queries.item[:0]]  # the same for all queries of one question
        walk = Walk(self.snapshot, self.ruling, self.candidates.has_vector, owned[0].tolist())
        pins = self._pins(ranking, walk)
        rest: list[Recommendation] = []
        room = self.ask.top - len(pins)
        for query, place in self._varied(ranking, found):
            if len(rest) == room:
                break
            row = int(ranking.items[query, place])
            if walk.fits(row):
                walk.take(row)
                rest.append(self._recommendation(ranking, query, place))
        if len(rest) < room and not whole:
            return None
        if len(rest) < room and self.ask.fallback != "none":
            rest += self._filling(walk, room - len(rest))
        made: list[Recommendation] = []
        for place in range(1, len(pins) + len(rest) + 1):
            if place in pins:
                made.append(pins.pop(place))
            elif rest:
                made.append(rest.pop(0))
            else:  # the list is too short for the place
                made += [pins[one] for one in sorted(pins)]
                break
        return self._list(made, walk.passed, nothing)

    def _unfit(self, ranking: Ranking) -> Bools:
        """Whether the best of each query is worth less than a random item of those on offer, bool (q,).

        Only filters can bring that about, so that without any nothing is compared. Where kinds were asked for, a random
        item is one of these: whoever asks for shoes wants what is unlike her dresses. What rules hide or add, and whom
        photos propose that it is for, counts on neither side.
        """
        ask, many = self.ask, len(self.queries)
        asked = (ask.min_price, ask.max_price, ask.within, ask.gender, ask.age)
        if not self.personal or not (ask.exclude or any(one not in (None, "any") for one in asked)):
            return np.zeros(many, bool)
        offered = self.snapshot.alive if ask.sold_out else self.snapshot.on_offer
        pool = np.ones(self.snapshot.rows, bool) if offered is None else offered
        if self.ruling is not None and self.ruling.hidden is not None:
            pool = pool & ~self.ruling.hidden
        if ask.categories and ask.match == "all":
            pool = pool & _of_kinds(self.snapshot, ask.categories)
        rows = np.flatnonzero(pool)
        if len(rows) < FEWEST_RANDOM:
            return np.zeros(many, bool)
        rows = rows[:: max(1, -(-len(rows) // RANDOM_ITEMS))]
        anybody = np.zeros(many, np.int8)
        candidates = replace(self.candidates, allowed=None, boost=None, group=self.candidates.groups)
        hers = np.unique(self.queries.item[self.queries.item >= 0])
        queries = replace(self.queries, gender=anybody, children=anybody, excluded=[hers] * many)
        usual = rank_among(
            candidates, queries, self.weights, [rows] * many, ranking.spans[:, :2].tolist(), max(len(rows), 1)
        )
        best = np.fmax.reduce(ranking.relevance - ranking.terms.boost - ranking.terms.gender, axis=1)
        found = usual.items >= 0
        random = np.where(found, usual.relevance, 0.0).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
        return np.asarray(best < random)

    def _list(
        self, found: Iterable[Recommendation], passed: Mapping[int, int] | None = None, nothing: str | None = None
    ) -> Recommendations:
        """The list, with what each rule did to it."""
        made = Recommendations(found, scenario=self.ask.scenario, nothing=nothing)
        if self.ruling is not None:
            made.rules = self.ruling.told(self.snapshot.column("alive"), self.apart, passed or {}, made)
        return made

    def _showable(self) -> Bools:
        """What the rules let be shown whatever the filters say, bool (rows,); to be worn with an item, of its kinds."""
        offered = self.snapshot.alive if self.ask.sold_out else self.snapshot.on_offer
        showable = np.ones(self.snapshot.rows, bool) if offered is None else offered
        if self.beside:
            showable = showable & _of_kinds(self.snapshot, self.ask.categories)
        barred = None if self.ruling is None else self.ruling.barred(self.apart)
        return showable if barred is None else showable & ~barred

    def _pins(self, ranking: Ranking, walk: Walk) -> dict[int, Recommendation]:
        """What is pinned, by its place from 1: items by name for everybody, what meets conditions where it suits her.

        Not what she has, what the list is made from, or what isn't on offer. For a place that is taken it is the next.
        """
        pins: dict[int, Recommendation] = {}
        pinnable = self.pinnable(ranking, [(0, len(self.queries))])[0] if self.pinned is None else self.pinned
        for number, (rows, scored) in pinnable.items():
            assert self.ruling is not None  # or nothing is pinnable
            rule = self.ruling.rules[number]
            where = {int(scored.items[one[0], one[1]]): one for one in merge(scored, len(rows)).tolist()}
            place = rule.place or 1
            for row in rows:
                if row not in where or walk.has(row):
                    continue
                while place in pins:
                    place += 1
                if place > self.ask.top:
                    break
                walk.take(row)
                pinned = self._recommendation(scored, *where[row])
                pins[place] = replace(pinned, rules=(f"pinned by rule “{rule.name}”", *pinned.rules))
                if not rule.items:
                    break
        return pins

    def pinnable(self, ranking: Ranking, parts: Sequence[tuple[int, int]]) -> list["Pinnable"]:
        """What may be pinned for each of ``parts``, somebody's queries from the first to before the second; ``ranking``
        is that of all."""
        found: list[Pinnable] = [{} for _ in parts]
        before = 0  # so many may be pinned already
        for number, rule in enumerate(self.ruling.rules if self.ruling else ()):
            if rule.do != "pin" or self.ruling is None:
                continue
            showable = self._showable() & self.ruling.about[number]
            if not showable.any():
                continue
            asked = replace(self, candidates=self.candidates.updated(allowed=showable))
            if rule.items:
                anybody = np.zeros(len(self.queries), np.int8)
                asked = replace(asked, queries=replace(self.queries, gender=anybody, children=anybody))
                those = [[row for one in dict.fromkeys(rule.items) if (row := self.snapshot.find(one)) >= 0]] * len(
                    parts
                )
            else:
                best = asked.ranking(1 + before)
                hers = [best.part(*part) for part in parts]
                those = [[int(one.items[at[0], at[1]]) for at in merge(one, 1 + before).tolist()] for one in hers]
            before += len(rule.items) or 1
            pools = [np.array(rows, np.int64) for rows, part in zip(those, parts, strict=True) for _ in range(*part)]
            spans, most = ranking.spans[:, :2].tolist(), max(map(len, those))
            scored = rank_among(asked.candidates, asked.queries, self.weights, pools, spans, max(most, 1))
            for one, rows, part in zip(found, those, parts, strict=True):
                one[number] = rows, scored.part(*part)
        return found

    def _varied(self, ranking: Ranking, found: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """The places in the order of their relevance or, where variety is asked for, each unlike those before it."""
        if not self.ask.variety or not found:
            return found
        query, place = np.array(found).T
        rows, shop = ranking.items[query, place], self.candidates
        look = shop.vectors[rows][:, : shop.look_dim]
        alike = likeness(shop.category[rows], look, shop.has_vector[rows], shop.scales[0])
        return [found[one] for one in varied(ranking.relevance[query, place], alike, self.ask.variety)]

    def _filling(self, walk: Walk, room: int) -> list[Recommendation]:
        """What fills up a list that is ``room`` short: what suits without filters, or what is bought most."""
        asked = replace(self, candidates=self.candidates.updated(allowed=self._showable()))
        if self.ask.fallback == "popular":
            genders, ages = set(self.queries.gender.tolist()), set(np.array(self.queries.children).tolist())
            nobody = Queries(
                item=np.array([-1]),
                vectors=None,
                trendiness=np.ones(1),
                gender=np.array([genders.pop() if len(genders) == 1 else 0], np.int8),
                excluded=[
                    np.unique(np.concatenate(list(self.queries.excluded or [self.queries.item[:0]]))).astype(np.int64)
                ],
                children=np.array([ages.pop() if len(ages) == 1 else 0], np.int8),
            )
            asked = replace(asked, queries=nobody, weights=Weights(0.0, 1.0, 0.0, formula=self.weights.formula))
        made: list[Recommendation] = []
        depth = 2 * self.ask.top + 10
        while True:
            ranking = asked.ranking(depth)
            found = merge(ranking, depth).tolist()
            for query, place in found:
                row = int(ranking.items[query, place])
                if len(made) < room and walk.fits(row):
                    walk.take(row)
                    one = asked._recommendation(ranking, query, place)
                    made.append(replace(one, rules=(*one.rules, FILLED_UP)))
            if len(made) == room or len(found) < depth:
                return made
            depth *= 4

    def _recommendation(self, ranking: Ranking, query: int, place: int) -> Recommendation:
        """One place of the ranking with its reasons."""
        row, cause = int(ranking.items[query, place]), int(self.queries.item[query])
        item = self.snapshot.item(row)
        terms = {name: float(one[query, place]) for name, one in ranking.terms._asdict().items()}
        km = None if self.distances is None or np.isnan(self.distances[row]) else float(self.distances[row])
        colour = self.candidates.vectors[row, self.candidates.look_dim :]
        why = sentence(
            self.weights,
            terms,
            trendiness=float(self.queries.trendiness[query]) if self.told else None,
            peak=self.candidates.peak,
            distance_km=km,
            colour=colour_words(colour) if terms["colour"] else "",
            habitual=self.habitual,
            priced=self._alike_price(query, row),
            cause=self._cause(cause),
            worn=self.beside,
            seen_on=self._seen_on(cause, row),
        )
        return Recommendation(
            item_id=item["item_id"],
            relevance=float(ranking.relevance[query, place]),
            terms=terms,
            because=self.snapshot.item_ids[cause] if cause >= 0 else None,
            category=item["category"],
            store_id=item["store_id"],
            distance_km=km,
            image=item["shown"] or item["image"],
            why=why,
            item={name: item[name] for name in SHOWN} | {"on_offer": bool(self.snapshot.offered[row])},
            rules=() if self.ruling is None else tuple(self.ruling.said_of(row)),
        )

    def _seen_on(self, cause: int, row: int) -> str:
        """On which photo something like the item is worn, in words that fit after "It"; empty where none is known."""
        seen = -1 if self.seen_on is None else int(self.seen_on[row])
        if seen < 0:
            return ""
        if seen == cause:
            return f"is like what is worn with {self._cause(cause)} on its photo"
        if seen == row:
            return f"is worn with something like {self._cause(cause)} on its photo"
        item = self.snapshot.item(seen)
        called = item["title"] or item["item_id"]
        return f"is like what is worn with something like {self._cause(cause)} on the photo of {called}"

    def _alike_price(self, query: int, row: int) -> bool:
        """Whether the item costs about what the query's shopper usually pays, as far as two purchases tell."""
        if self.candidates.price is None or self.queries.usual is None:
            return False
        usual, sure = self.queries.usual[query].tolist()
        return bool(sure >= 0.5 and abs(self.candidates.price[row] - usual) <= ALIKE_PRICES)

    def _cause(self, row: int) -> str:
        if row < 0 and (self.queries.vectors is not None or not self.told):
            return "your photo" if self.queries.vectors is not None else ""
        number = int(self.snapshot.column("category")[row]) if row >= 0 else -1
        category = self.snapshot.categories[number] if number >= 0 else None
        return f"the {category.replace('_', ' ').lower()} {self.verb}" if category else f"what {self.verb}"


def weights_of(snapshot: Snapshot, ask: Ask) -> Weights:
    """The weights that are asked for; of what orders teach, price and whom it is for, the model's."""
    weights, learnt = ask.weights, {**DEFAULT.weights, **snapshot.model.weights}
    if weights.formula == "paper":
        return weights
    price = learnt["price"] if ask.price is None and ask.preset == "balanced" else weights.price
    return replace(weights, price=max(price, 0.0), other=max(learnt["other"], 0.0))


def _allowed(snapshot: Snapshot, ask: Ask, distances: Floats | None) -> Bools | None:
    """The rows that may be recommended by category, price and distance, bool (rows,); None: all.

    An item without a price meets no condition on price. Raises SettingError for a radius around nowhere and for a
    category that nobody knows.
    """
    conditions: list[Bools] = []
    if ask.categories:
        conditions.append(_of_kinds(snapshot, ask.categories))
    if ask.min_price is not None or ask.max_price is not None:
        price = snapshot.column("price")
        low, high = ask.min_price or 0.0, np.inf if ask.max_price is None else ask.max_price
        conditions.append((price >= low) & (price <= high))
    allowed = snapshot.alive if ask.sold_out else snapshot.on_offer
    for condition in [np.logical_or.reduce(conditions)] if ask.match == "any" and conditions else conditions:
        allowed = condition if allowed is None else allowed & condition
    if ask.within is not None:
        if distances is None:
            raise SettingError("within needs a position: give near as latitude,longitude, and add stores")
        near = distances <= ask.within  # false for NaN
        allowed = near if allowed is None else allowed & near
    return allowed


def _of_kinds(snapshot: Snapshot, categories: Sequence[str]) -> Bools:
    """The rows of some categories, bool (rows,). Raises SettingError."""
    names = snapshot.taxonomy.chosen(categories, snapshot.categories)
    chosen = np.array([*(name in names for name in snapshot.categories), False])  # the last one: no category
    found: Bools = chosen[snapshot.column("category")]
    return found


def _spread(items: Ints, categories: NDArray[np.integer]) -> list[int]:
    """The places of a ranking, the best of each category first, then each one's second."""
    rounds: dict[int, int] = {}
    order: list[tuple[int, int]] = []
    for place, row in enumerate(items.tolist()):
        if row >= 0:
            category = int(categories[row])
            rounds[category] = rounds.get(category, -1) + 1
            order.append((rounds[category], place))
    return [place for _, place in sorted(order)]
