"""A shop's tables of orders and stores, as frames."""

from pathlib import Path

import polars as pl

from modiste.errors import SourceError


def read_table(file: Path) -> pl.DataFrame:
    """A CSV (every column as text) or Parquet file as a frame. Raises SourceError."""
    try:
        if file.suffix.lower() == ".parquet":
            return pl.read_parquet(file)
        return pl.read_csv(file, infer_schema=False)
    except FileNotFoundError as error:
        raise SourceError(f"{file} doesn't exist") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{file} can't be read as a table: {error}") from error
