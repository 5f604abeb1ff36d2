"""A/B tests that may be looked at every day: who sees what, how many shoppers it takes, and what came of it.

The test is an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, 2021, "Time-uniform
central limit theory and asymptotic confidence sequences", theorem 2.2): an interval for each number of shoppers, all of
which together hold the true difference with 95%. So a test may be looked at after every shopper, and ended when it
is decided, without more false alarms than were allowed. It is narrowest, relative to an interval that is computed
once, at the number of shoppers that was planned.
"""

import math
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import Literal

import numpy as np

from modiste.arrays import Array, Floats
from modiste.errors import SettingError

ALPHA = 0.05
"""The chance of a false alarm, however often one looks."""

POWER = 0.8
"""The chance to find a difference as large as the one that was planned for, by the planned number of shoppers."""

LEAST_COVERAGE = 0.8
"""The new setting is warned of where it shows less than this share of the different items that the old one shows."""

Variant = Literal["a", "b"]
State = Literal["a", "b", "same", "open", "broken"]


def share_of(salt: str, who: str) -> float:
    """A number in [0, 1): the same for a shopper each time, and unrelated to the one under another ``salt``."""
    key = blake2b(salt.encode(), digest_size=32).digest()
    return int.from_bytes(blake2b(who.encode(), digest_size=8, key=key).digest(), "big") / 2**64


def variant_of(experiment: str, who: str) -> Variant:
    """Which of two settings a shopper (or session) sees in an experiment: each half of them, for good."""
    return "a" if share_of(experiment, who) < 0.5 else "b"


# How sure


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The score interval of a share, ``hits`` of ``n`` (Wilson 1927); (0, 1) where there are none."""
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(1 - ALPHA / 2)
    middle, share = (hits + z * z / 2) / (n + z * z), hits / n
    half = z / (n + z * z) * math.sqrt(n * share * (1 - share) + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def radius(n: Array | float, variance: Array | float, planned: float, alpha: float = ALPHA) -> Floats:
    """Half the width of the confidence sequence of a mean of ``n`` values of a ``variance``; narrowest at ``planned``.

    ``n`` and ``variance`` are numbers or arrays of one shape, float64 comes back; infinite where ``n`` is 0.
    """
    spread = _tuned(alpha) / planned * np.maximum(n, 1.0)  # n ρ²
    half = np.sqrt(2 * variance * (spread + 1) / (np.maximum(n, 1.0) * spread) * np.log(np.sqrt(spread + 1) / alpha))
    return np.asarray(np.where(np.asarray(n) > 0, half, np.inf), np.float64)


def _tuned(alpha: float) -> float:
    """n ρ² at the planned n, so that the sequence is narrowest there (Waudby-Smith et al., equation 24)."""
    return -2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)


def sample_size(rate: float, lift: float) -> int:
    """How many shoppers, of both variants together, find a change of ``rate`` by ``lift`` with the chance POWER.

    ``rate`` is the share of shoppers who do what is counted, in (0, 1), ``lift`` relative: 0.1 finds 2.2% against 2%.
    Raises SettingError where either can't be.
    """
    other = rate * (1 + lift)
    if not 0 < rate < 1 or not lift or not 0 < other < 1:
        raise SettingError(f"a rate of {rate:g} can't change by {lift:+g}; both shares must lie between 0 and 1")
    variance = 2 * (rate * (1 - rate) + other * (1 - other))
    wanted = float(radius(1, 1, 1)) + NormalDist().inv_cdf(POWER)
    return math.ceil(variance * (wanted / (other - rate)) ** 2)


def preferences_needed(lift: float) -> int:
    """How many shoppers who prefer one of two interleaved settings find out which, with the chance POWER.

    ``lift`` in (0, 1] is how many more prefer the better one, as a share: 0.1 finds 55 against 45%.
    Raises SettingError.
    """
    if not 0 < lift <= 1:
        raise SettingError(f"{lift:g} more can't prefer one of two; give a share above 0, such as 0.1")
    return math.ceil(((float(radius(1, 1, 1)) + NormalDist().inv_cdf(POWER)) / lift) ** 2)


@dataclass(frozen=True, slots=True)
class Arm:
    """What came of one variant: so many shoppers, how many of them did what is counted."""

    shoppers: int
    hits: int

    @property
    def rate(self) -> float:
        """Their share; 0 where there are no shoppers."""
        return self.hits / self.shoppers if self.shoppers else 0.0

    @property
    def variance(self) -> float:
        """Of one shopper, as if one more had done it and one more had not: never 0, however few there are."""
        share = (self.hits + 1) / (self.shoppers + 2)
        return share * (1 - share)


@dataclass(frozen=True, slots=True)
class Between:
    """A difference and the confidence sequence around it, now."""

    value: float
    low: float
    high: float


def difference(a: Arm, b: Arm, planned: int, alpha: float = ALPHA) -> Between:
    """How much larger the rate of ``b`` is than that of ``a``, for shoppers split in halves by chance."""
    n, value = a.shoppers + b.shoppers, b.rate - a.rate
    if not a.shoppers or not b.shoppers:
        return Between(value, -1.0, 1.0)
    half = float(radius(n, 2 * (a.variance + b.variance), planned, alpha))
    return Between(value, max(-1.0, value - half), min(1.0, value + half))


def preference(wins_a: int, wins_b: int, planned: int, alpha: float = ALPHA) -> Between:
    """Of the shoppers who chose between two interleaved settings, the share for ``b`` less that for ``a``."""
    n = wins_a + wins_b
    if not n:
        return Between(0.0, -1.0, 1.0)
    value = (wins_b - wins_a) / n
    smooth = (wins_b - wins_a) / (n + 2)
    half = float(radius(n, 1 - smooth * smooth, planned, alpha))
    return Between(value, max(-1.0, value - half), min(1.0, value + half))


# In words


@dataclass(frozen=True, slots=True)
class Guards:
    """What must not get worse meanwhile: what is sent back, and how much of the catalogue is shown.

    ``returns_a`` and ``returns_b`` are pieces bought from lists and how many came back; ``coverage_a`` and
    ``coverage_b`` how many different items equally many lists of both showed.
    """

    returns_a: Arm
    returns_b: Arm
    coverage_a: int
    coverage_b: int

    def warnings(self, planned: int) -> list[str]:
        """A sentence for each that got worse."""
        said = []
        if difference(self.returns_a, self.returns_b, planned).low > 0:
            said.append(f"More of what is bought from B comes back: {_percent(self.returns_b.rate)} of the pieces, "
                        f"{_percent(self.returns_a.rate)} from A.")  # fmt: skip
        if self.coverage_b < LEAST_COVERAGE * self.coverage_a:
            said.append(f"B shows fewer different items: {self.coverage_b}, A {self.coverage_a} on as many lists.")
        return said


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a test stands: ``a`` or ``b`` is better, they are the ``same`` but for less than was looked for, it is still
    ``open``, or the split is ``broken`` and nothing follows; the difference B − A; and all of it in ``words``."""

    state: State
    difference: Between
    words: str
    warnings: tuple[str, ...] = ()


def verdict(a: Arm, b: Arm, planned: int, smallest: float, did: str, guards: Guards | None = None) -> Verdict:
    """What follows from what came of two variants so far; ask as often as you like.

    ``planned`` is the number of shoppers told beforehand, ``smallest`` the difference of rates it was told for, and
    ``did`` what the shoppers did who are counted, such as "bought from the list".
    """
    found, n = difference(a, b, planned), a.shoppers + b.shoppers
    warnings = tuple(guards.warnings(planned)) if guards else ()
    halves = preference(a.shoppers, b.shoppers, planned, 0.001)
    if halves.low > 0 or halves.high < 0:
        words = (
            f"Not to be trusted: {a.shoppers} shoppers saw A and {b.shoppers} saw B, which should be halves; something "
            "keeps one of them from being shown or reported."
        )
        return Verdict("broken", found, words, warnings)
    rates = f"{_percent(b.rate)} of those who saw B {did}, {_percent(a.rate)} of those who saw A"
    if not a.shoppers or not b.shoppers:
        return Verdict("open", found, f"Nothing to tell yet: of about {planned} shoppers {n} can be counted.", warnings)
    points = f"{100 * found.low:+.2f} to {100 * found.high:+.2f} points"
    if found.low > 0 or found.high < 0:
        state: State = "b" if found.low > 0 else "a"
        words = f"{state.upper()} is better: {rates}; the difference is {points} ({n} shoppers)."
        return Verdict(state, found, words, warnings)
    if max(found.high, -found.low) < smallest:
        words = f"Alike: {rates}; a difference, if any, is {points}, less than was looked for ({n} shoppers)."
        return Verdict("same", found, words, warnings)
    if n < planned:
        words = f"Not decided yet: {rates}; the difference is {points} after {n} of about {planned} shoppers."
    else:
        words = (
            f"Not decided, and more shoppers ({n}) than the {planned} planned: {rates}; the difference is {points}. A "
            "difference of the size that was looked for would probably have shown."
        )
    return Verdict("open", found, words, warnings)


def preferred(wins_a: int, wins_b: int, planned: int) -> Verdict:
    """As :func:`verdict`, for interleaved lists: how many shoppers chose more of the one's items or of the other's."""
    found, n = preference(wins_a, wins_b, planned), wins_a + wins_b
    said = f"of {n} shoppers who preferred one, {wins_b} chose more of B's items and {wins_a} more of A's"
    if found.low > 0:
        return Verdict("b", found, f"B is better: {said}.")
    if found.high < 0:
        return Verdict("a", found, f"A is better: {said}.")
    return Verdict("open", found, f"Not decided yet: {said}.")


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}%" if rate < 0.1 else f"{100 * rate:.1f}%"
