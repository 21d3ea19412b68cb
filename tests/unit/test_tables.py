import pytest
from sqlalchemy import Table

from storage.tables import metadata

WITHOUT_ROWID = [table for table in metadata.sorted_tables if table.dialect_options["sqlite"]["with_rowid"] is False]


@pytest.mark.parametrize("table", WITHOUT_ROWID, ids=str)
def test_a_table_that_is_its_key_has_the_key_first_so_that_the_check_at_start_finds_it_whole(table: Table) -> None:
    key = [column.name for column in table.primary_key]

    assert [column.name for column in table.columns][: len(key)] == key
