"""The same input gives the same bytes, whatever the batch size, threads, database, locale and time zone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from modiste.vision.backbones import Encoder, get_backbone
from modiste.vision.reduction import fit_reduction

FILLS = """
import hashlib, sys
from datetime import datetime
from functools import partial
import sqlalchemy as sa
from modiste import Event, Shop
from modiste.shop import schema, vectors
from modiste.vision.embedding import embed_photos
folder, catalogue, batch, url = sys.argv[1:5]
vectors.embed_photos = partial(embed_photos, batch_size=int(batch), workers=int(batch) % 3 + 1)
with Shop.create(folder, database=url or None) as shop:
    shop.items.add(catalogue)
    shop.vectors.embed(masking="none")
    shop.purchases.record([Event("ann", "Denim-red-men-0", datetime(2026, 3, 1, 0, 30)), Event("ina", "Denim-red-men-6",
                                                                                              datetime(2026, 3, 2))])
    digest = hashlib.sha256()
    with shop.storage.reading() as connection:
        for row in connection.execute(sa.select(schema.vectors).order_by(schema.vectors.c.item_id)):
            digest.update(repr((row.item_id, bytes(row.vector), bytes(row.colour), row.made_of)).encode())
        for table in (schema.counts, schema.sales):
            for row in connection.execute(sa.select(*list(table.c)[:3]).order_by(*table.primary_key)):
                digest.update(repr(tuple(row)[:2]).encode())
    for one in [*shop.recommend("ann", top=9), *shop.recommend(item="Dresses-red-women-6", top=9)]:
        digest.update(repr((one.item_id, one.relevance.hex(), {name: term.hex() for name, term in one.terms.items()},
                            one.why)).encode())
    print(digest.hexdigest())
"""


def test_a_photo_s_vector_has_the_same_bits_alone_and_beside_others() -> None:
    spec = get_backbone("modiste_s")
    batch = np.random.default_rng(0).normal(size=(5, 3, spec.height, spec.width)).astype(np.float32)
    one, two = Encoder(spec, threads=1), Encoder(spec, threads=2)
    whole = one.embed(batch)
    assert len(np.unique(whole, axis=0)) == 5
    for encoder in (one, two):
        assert np.array_equal(whole, np.concatenate([encoder.embed(batch[:1]), encoder.embed(batch[1:])]))


def test_a_reduced_vector_has_the_same_bits_alone_and_beside_others() -> None:
    vectors = np.random.default_rng(1).normal(size=(700, 96)).astype(np.float32)
    reduction = fit_reduction(vectors, 32)
    whole = reduction.apply(vectors)
    for some in (slice(3, 4), slice(250, 260), slice(1, 699), slice(0, 0)):
        assert np.array_equal(reduction.apply(vectors[some]), whole[some])


def test_a_shop_is_the_same_whatever_it_was_made_with(drawn: Path, tmp_path: Path, postgres_url: str) -> None:
    locales = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    other = next((one for one in locales if one.partition(".")[0] not in ("C", "POSIX", "en_US")), "C.UTF-8")
    plain = {"LC_ALL": "C", "TZ": "UTC", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    else_ = {"LC_ALL": other, "TZ": "Pacific/Kiritimati", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}
    said = []
    for name, batch, url, environment in (("one", 16, "", plain), ("other", 5, postgres_url, else_)):
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", FILLS, tmp_path / name, drawn / "items.csv", str(batch), url],
            env={**os.environ, **environment}, capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        said.append(ran.stdout)
    assert said[0] == said[1]
