"""Storage: stored bytes and rows in, columns and records out.

Backends share one protocol (`acg_lab.storage.base`), and a whole source is read into columns of codes. Only their
backends import redis and pyarrow.
"""
