"""
Numbers in a database of SQL: one driver, and a dialect a database.

`driver.py` knows no database and no statement, `sqlite.py`, `postgresql.py` and `mysql.py` know one each; the statements stand by name in
`queries/`, what makes and changes tables in `schema/`.
"""

from queue_metrics.storage.sql.driver import DatabaseStorageDriver

__all__ = ["DatabaseStorageDriver"]
