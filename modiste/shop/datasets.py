"""A shop's items and purchases in the forms that RecBole and LensKit read."""

from pathlib import Path

import polars as pl

from modiste.errors import SettingError, SourceError
from modiste.shop import schema
from modiste.shop.shop import Shop

FORMS = ("recbole", "lenskit")

_KINDS = {pl.String: "token", pl.Float64: "float", pl.Int64: "float", pl.Boolean: "float", pl.Date: "token"}


def export_dataset(shop: Shop, folder: Path, form: str) -> list[Path]:
    """Write the catalogue and the purchases into ``folder``; returns the files.

    - ``recbole``: its atomic files, ``NAME.inter`` (user_id, item_id, timestamp in seconds since 1970), ``NAME.item``
      (item_id, its fields) and ``NAME.user`` (user_id, trendiness), NAME being the folder's; tabs and line ends in
      texts become spaces, as the form has no quotes.
    - ``lenskit``: ``interactions.parquet`` as its ``from_interactions_df`` takes it, which knows no item bought again:
      user_id, item_id, timestamp of the last time, count of times; ``purchases.parquet`` (user_id, item_id, timestamp)
      with every time, for its ``DatasetBuilder.add_interactions(…, allow_repeats=True)``; ``items.parquet`` (item_id,
      its fields) and ``users.parquet``.

    Ids are the shop's. Raises SettingError for another form, SourceError where nothing can be written.
    """
    if form not in FORMS:
        raise SettingError(f"there is no form {form!r}; there are: {', '.join(FORMS)}")
    bought = shop.purchases.frame().select(user_id="shopper_id", item_id="item_id", timestamp="at")
    items = shop.items.frame().drop("image", "mask", "photos", "stamp", *schema.DERIVED)
    users = shop.shoppers.frame().select(user_id="shopper_id", trendiness="trendiness")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if form == "lenskit":
            pairs = bought.group_by("user_id", "item_id", maintain_order=True).agg(
                pl.col("timestamp").max(), count=pl.len().cast(pl.Int32)
            )
            made = {"interactions.parquet": pairs, "purchases.parquet": bought}
            made |= {"items.parquet": items, "users.parquet": users}
            for name, frame in made.items():
                frame.write_parquet(folder / name)
            return [folder / name for name in made]
        seconds = bought.with_columns(pl.col("timestamp").dt.epoch("us") / 1e6)
        texts = {"title", "attributes"}
        made = {f"{folder.resolve().name}.{end}": one for end, one in
                (("inter", seconds), ("item", items), ("user", users))}  # fmt: skip
        for name, frame in made.items():
            _write_atomic(frame, folder / name, texts)
    except OSError as error:
        raise SourceError(f"{folder} can't be written: {error.strerror}; make room or choose another") from error
    return [folder / name for name in made]


def _write_atomic(frame: pl.DataFrame, file: Path, texts: set[str]) -> None:
    """RecBole's atomic file: tabs between cells, ``name:type`` as header, no quotes."""
    kinds = {name: "token_seq" if name in texts else _KINDS[kind.base_type()] for name, kind in frame.schema.items()}
    clean = frame.with_columns(pl.col(pl.String).str.replace_all(r"[\t\r\n]+", " "), pl.col(pl.Boolean).cast(pl.Int8))
    clean.rename({name: f"{name}:{kind}" for name, kind in kinds.items()}).write_csv(
        file, separator="\t", quote_style="never", null_value=""
    )
