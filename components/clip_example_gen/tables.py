"""Tables of NamedTuples as Parquet, beside the Examples."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from components import filesystems

REJECTS_FILE = "rejects.parquet"
DUPLICATES_FILE = "duplicates.parquet"


_TYPES = {str: pa.string(), bytes: pa.binary(), int: pa.int64(), float: pa.float64()}


def write_table(path: str, row_type: type[Any], rows: Iterable[NamedTuple]) -> None:
    """Writes rows of `row_type`, a NamedTuple, as Parquet, sorted; complete or not at all.

    Args:
      path: of the file.
      row_type: its fields are the columns: strings, bytes, int64 and float64.
      rows: any number.
    """
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in row_type.__annotations__.items()])
    columns = [row._asdict() for row in sorted(rows)]
    with filesystems.open_output(path) as file:
        pq.write_table(pa.Table.from_pylist(columns, schema=schema), file)


def read_table(path: str, row_type: type[Any]) -> list[Any]:
    """Returns the rows of a table that `write_table` wrote."""
    with filesystems.open_input(path) as file:
        table = pq.ParquetFile(file).read()
    return [row_type(**row) for row in table.to_pylist()]
