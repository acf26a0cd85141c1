"""Footers are checked before pyarrow reads them, and sizes before memory is taken."""

import random
import struct
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from learned_backend import learned_backend

import acg_lab as acg
from acg_lab.storage.parquet_footer import check_footers

LOAD = """
import sys
import acg_lab as acg
for path in sys.argv[1:]:
    try:
        acg.load(path)
    except acg.AcgLabError as error:
        print("refused")
    else:
        print("read")
"""


def footer_of(path):
    """Return where the footer begins and ends."""
    size = path.stat().st_size
    return size - 8 - struct.unpack("<I", path.read_bytes()[-8:-4])[0], size - 8


def flip(path, rng):
    """Flip one bit of the footer."""
    raw = bytearray(path.read_bytes())
    first, last = footer_of(path)
    raw[rng.randrange(first, last)] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def load_apart(paths):
    """Load sources in a process of its own; return its status and what it printed for each."""
    done = subprocess.run([sys.executable, "-c", LOAD, *map(str, paths)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.split()


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    path = tmp_path_factory.mktemp("footers") / "export"
    acg.load(learned_backend()).to_parquet(path)
    return path


def copy_of(export, target):
    target.mkdir()
    for table in export.iterdir():
        (target / table.name).write_bytes(table.read_bytes())
    return target


def unsealed(path):
    """Write a table anew, as another tool does."""
    pq.write_table(pq.read_table(path), path)


def test_every_flipped_bit_in_our_footers_is_noticed(export, tmp_path):
    """A bit that flips in the footer of an export is refused by its checksum, wherever it is; none ends the process."""
    rng, copies = random.Random(1), []
    tables = sorted(table.name for table in export.iterdir())
    for i in range(60):
        copies.append(copy_of(export, tmp_path / str(i)))
        flip(copies[-1] / tables[i % len(tables)], rng)
    assert load_apart(copies) == (0, ["refused"] * 60)


@pytest.mark.slow
def test_no_flipped_bit_in_a_foreign_footer_ends_the_process(export, tmp_path):
    """Footers without a checksum are read in another process first, which may end; ours says that they are damaged."""
    rng, copies = random.Random(2), []
    for i in range(12):
        copies.append(copy_of(export, tmp_path / str(i)))
        for table in copies[-1].iterdir():
            unsealed(table)
            flip(table, rng)
    status, said = load_apart(copies)
    assert status == 0
    assert len(said) == 12


CRASHES = """
import os, sys
import acg_lab.storage.parquet_footer as footer
footer._READER = "import os, sys; print('begin', flush=True); os.abort()"
with open(sys.argv[1], "rb") as file:
    class Sized:
        def __getattr__(self, name):
            return getattr(file, name)
        def size(self):
            return os.path.getsize(sys.argv[1])
    try:
        footer.check_footers({"it": Sized()})
    except OSError as error:
        print(error)
"""


def test_a_reader_that_ends_is_a_damaged_footer(tmp_path):
    """What ends the reading process, as pyarrow does on some damage, is an error of ours and no more."""
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    done = subprocess.run([sys.executable, "-c", CRASHES, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("it: its footer is damaged")


def test_other_tools_read_sealed_files(export):
    """The checksum stands where the format leaves room: the tables are plain Parquet."""
    for table in export.iterdir():
        assert pq.read_metadata(table).num_columns > 2
        assert table.read_bytes()[footer_of(table)[0] - 8 :][:4] == b"ACGF"
        with pa.OSFile(str(table)) as file:
            check_footers({"it": file})
            assert file.tell() == 0
    assert acg.load(export) == acg.load(export)


def test_a_table_that_would_fill_the_memory_is_not_read(export, tmp_path):
    """A few kilobytes that stand for gigabytes are refused by their metadata, before anything is read."""
    bomb = copy_of(export, tmp_path / "bomb")
    table = pq.read_table(bomb / "messages.parquet")
    n = 25_000_000
    codes = pa.array(np.zeros(n, np.int32))
    row = {name: pa.DictionaryArray.from_arrays(codes, pa.array(["{}"])) for name in ("role", "json")}
    huge = pa.table({"message_id": codes, **row}).select(table.column_names)
    pq.write_table(huge, bomb / "messages.parquet", row_group_size=n, compression="zstd")
    with pytest.raises(acg.SourceError, match=r"would become .* more than 1,000 times .* \(--max table_ratio=\.\.\.\)"):
        acg.load(bomb)
