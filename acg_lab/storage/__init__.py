"""Storage: bytes and rows in, records out.

Belongs here: backends of one protocol (`acg_lab.storage.base`), the pure codec between stored JSON and records, and
columns: a whole source as arrays of codes. Imports the core and numpy; redis and pyarrow only inside their backend.
"""
