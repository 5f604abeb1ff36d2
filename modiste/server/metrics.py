"""What Prometheus reads at /metrics: how long requests take, and what the shop holds."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from modiste.catalog.values import utc_now
from modiste.shop.checking import KINDS, Finding
from modiste.shop.status import Coverage

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"})
"""Methods with a name of their own in the histogram; anyone can send any other word."""


FOLDER = "modiste-metrics-"
"""How the names of the folders begin, among the system's temporary ones, in which the workers of a service count."""


@contextmanager
def counted() -> Iterator[Path]:
    """A folder for the counts of a service's workers, removed in the end; first, those of services that were killed.

    A service holds a lock on its folder as long as it lives, however it ends.
    """
    for old in Path(gettempdir()).glob(f"{FOLDER}*"):
        with suppress(OSError), _locked(old):  # else it is another's
            shutil.rmtree(old)
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix=FOLDER, ignore_cleanup_errors=True)))
        with suppress(OSError):  # no locks on folders here
            held.enter_context(_locked(folder))
        folder.mkdir(0o700, exist_ok=True)  # taken for an old one, in the moment before it was locked
        yield folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A lock on a folder of this user's. Raises OSError where another has it, or there are none."""
    if sys.platform == "win32":
        raise OSError
    import fcntl

    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            raise PermissionError
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def known_method(method: str) -> str:
    """The method, or "other" for a word that somebody made up."""
    return method if method in METHODS else "other"


class Meters:
    """The latency histogram of one worker; with PROMETHEUS_MULTIPROC_DIR set, the scrape adds up all workers'."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._latency = Histogram(
            "modiste_request_seconds",
            "Time from a request's arrival to the end of its answer, by route.",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self._own,
        )
        self._found = Gauge(
            "modiste_check_findings",
            "What the check at the service's start found, by kind, and whether it was mended.",
            ("kind", "mended"),
            multiprocess_mode="max",
            registry=self._own,
        )
        self._dropped = Counter(
            "modiste_connections_dropped",
            "Connections that were ended: their client was late, or had too many.",
            ("why",),
            registry=self._own,
        )

    def found(self, findings: Sequence[Finding]) -> None:
        """Tell what a check found."""
        for kind, mended in product(KINDS, (False, True)):
            count = sum(one.count for one in findings if (one.kind, one.mended) == (kind, mended))
            self._found.labels(kind, str(mended).lower()).set(count)

    def dropped(self, why: str) -> None:
        """Count one connection that was ended here."""
        self._dropped.labels(why).inc()

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is its template, never the path itself."""
        self._latency.labels(known_method(method), route, str(status)).observe(seconds)

    def scrape(self, coverage: Callable[[], Coverage]) -> bytes:
        """The metrics in Prometheus's text format."""
        registry = self._own
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        gauges = CollectorRegistry()
        gauges.register(_ShopCollector(coverage()))
        return generate_latest(registry) + generate_latest(gauges)


class _ShopCollector(Collector):
    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage

    def collect(self) -> Iterator[Metric]:
        has = self._coverage
        for name, what in (
            ("items", "Items in the shop."),
            ("photos", "Items with a photo."),
            ("vectors", "Items with an embedding in the default vector space."),
            ("missing", "Items whose photo has no embedding yet."),
            ("failed", "Items whose photo can't be embedded."),
            ("shoppers", "Shoppers."),
            ("purchases", "Purchases."),
        ):
            title = "modiste_vectors_missing" if name == "missing" else f"modiste_{name}"
            yield GaugeMetricFamily(title, what, value=getattr(has, name))
        if has.last_purchase is not None:
            since = (utc_now() - has.last_purchase).total_seconds()
            age = max(since, 0.0)  # the clock that dated it may be ahead
            yield GaugeMetricFamily("modiste_popularity_age_seconds", "Time since the last purchase.", value=age)
        if has.last_sync is not None:
            age = max((utc_now() - has.last_sync).total_seconds(), 0.0)
            yield GaugeMetricFamily("modiste_sync_age_seconds", "Time since the last sync that went well.", value=age)
            counts = GaugeMetricFamily("modiste_sync", "What came of the last sync.", labels=["what"])
            for what, count in has.synced.items():
                counts.add_metric([what], count)
            yield counts
