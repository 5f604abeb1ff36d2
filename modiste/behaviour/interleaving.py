"""Two lists shown as one, so that each shopper compares both: the quicker alternative to an A/B test."""

from collections.abc import Collection, Hashable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def team_draft(a: Sequence[T], b: Sequence[T], top: int, rng: Random) -> tuple[list[T], str]:
    """One list of up to ``top`` from two, best first, and a letter for each place: whose pick it is, ``a`` or ``b``.

    As captains choose teams (Radlinski, Kurup and Joachims 2008): whoever has fewer picks chooses her best that is
    not taken yet, and chance decides where both have equally many. So neither is favoured by place, and one whose items
    are chosen more often is preferred. Items that both have are a pick as well: of whoever came first.
    """
    taken: dict[T, str] = {}
    queues = {"a": list(dict.fromkeys(a))[::-1], "b": list(dict.fromkeys(b))[::-1]}
    counts = {"a": 0, "b": 0}
    while len(taken) < top:
        for queue in queues.values():
            while queue and queue[-1] in taken:
                queue.pop()
        if not queues["a"] and not queues["b"]:
            break
        first = "a" if (counts["a"], rng.random()) < (counts["b"], 0.5) else "b"
        team = first if queues[first] else "b" if first == "a" else "a"
        taken[queues[team].pop()] = team
        counts[team] += 1
    return list(taken), "".join(taken.values())


def credit(shown: Sequence[T], teams: str, chosen: Collection[T]) -> int:
    """How many more of ``chosen`` are picks of b than of a."""
    return sum((1 if team == "b" else -1) for one, team in zip(shown, teams, strict=True) if one in chosen)
