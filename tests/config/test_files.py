"""Files: what is written, what stays, and what is reported when it can't be done."""

import errno
import json
import os
import stat
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from config.documents import EXAMPLE
from config.test_render import settings
from examples import scaled
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

import acg_lab as acg
from acg_lab.config import AcgSettings, propose_config

TUNED = AcgSettings().replace(stable_threshold=0.9, observation_window=30)
KILL = Path(__file__).with_name("kill.py")
FILES = Path(acg.__file__).parent / "config" / "files.py"


@pytest.fixture
def file(tmp_path):
    """Make a config file in a folder of its own."""
    path = tmp_path / "plugins.toml"
    path.write_bytes(EXAMPLE.encode())
    return path


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


@given(settings())
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=scaled(25))
def test_round_trip(tmp_path, tuned):
    """What is exported loads as it was, from TOML and from JSON."""
    for name in ("plugins.toml", "plugins.json"):
        (tmp_path / name).unlink(missing_ok=True)
        assert acg.load_config(acg.export_config(tmp_path / name, tuned)) == tuned


def test_new_file(tmp_path):
    """A new file is for its owner alone, since it may come to hold a password."""
    path = acg.export_config(str(tmp_path / "plugins.toml"), TUNED, note="why")
    assert path == tmp_path / "plugins.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert listed(tmp_path) == ["plugins.toml"]
    assert path.read_text(encoding="utf-8") == acg.render_config(TUNED, note="why")


def test_nothing_is_written_that_is_so(file):
    """A second export leaves the very file alone."""
    acg.export_config(file, TUNED, note="why")
    before = file.stat()
    acg.export_config(file, TUNED, note="why")
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o640])
def test_mode_and_links_stay(file, mode):
    """The file keeps its mode, and a link to it stays a link."""
    file.chmod(mode)
    link = file.with_name("link.toml")
    link.symlink_to("plugins.toml")
    acg.export_config(link, TUNED)
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert acg.load_config(file).observation_window == 30
    assert listed(file.parent) == ["link.toml", "plugins.toml"]


def test_link_to_nothing_yet(tmp_path):
    """A link to a file that is not there yet is followed too."""
    link = tmp_path / "link.toml"
    link.symlink_to("plugins.toml")
    acg.export_config(link, TUNED)
    assert link.is_symlink()
    assert acg.load_config(tmp_path / "plugins.toml") == TUNED


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_owner_stays(file):
    """Replaced by root, the file still belongs to whom it belonged to."""
    os.chown(file, 12345, 23456)
    acg.export_config(file, TUNED)
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has no extended attributes")
def test_extended_attributes_stay(file):
    """Extended attributes are kept, and with them access control lists, which are one of them."""
    # Version 2; the owner reads and writes, user 12345 reads, the mask is to read, others have nothing.
    entries = [(1, 6, 2**32 - 1), (2, 4, 12345), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(file, "user.note", b"mine")
        os.setxattr(file, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this file system has no extended attributes")
    acg.export_config(file, TUNED)
    assert acg.load_config(file).observation_window == 30
    assert os.getxattr(file, "user.note") == b"mine"
    assert os.getxattr(file, "system.posix_acl_access") == acl


def test_hard_links_are_told(file):
    """A file with two names is not replaced, since the other name would keep the old content."""
    os.link(file, file.with_name("other.toml"))
    with pytest.raises(acg.SourceError, match=r"not changed: it has 1 more name \(hard links\)"):
        acg.export_config(file, TUNED)
    assert file.read_text(encoding="utf-8") == EXAMPLE
    assert listed(file.parent) == ["other.toml", "plugins.toml"]


def test_a_mount_of_its_own_is_told(file):
    """A file that is mounted by itself is left alone, with what to do instead of 'busy'."""
    source = file.with_name("source.toml")
    source.write_text(EXAMPLE, encoding="utf-8")
    export = (
        "import sys, acg_lab as acg; acg.export_config(sys.argv[1], acg.AcgSettings().replace(stable_threshold=0.9))"
    )
    script = 'mount --bind "$1" "$2" || exit 77; exec "$3" -c "$4" "$2"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(source), str(file), sys.executable, export]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("this system has no unshare")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this user may not mount")
    assert "it is mounted there by itself" in done.stderr
    assert source.read_text(encoding="utf-8") == EXAMPLE
    assert listed(file.parent) == ["plugins.toml", "source.toml"]


def test_proposal(file):
    """What would change can be looked at first; the difference is one that patch takes."""
    proposal = propose_config(file, TUNED)
    assert proposal.is_change
    assert file.read_text(encoding="utf-8") == EXAMPLE
    lines = [line for line in proposal.diff().splitlines() if line[0] in "-+"]
    assert lines == [
        f"--- {file}",
        f"+++ {file}",
        "-observation_window = 100",
        "+observation_window = 30",
        "-stable_threshold = 0.95",
        "+stable_threshold = 0.9",
    ]
    assert proposal.settings == AcgSettings(TUNED.thresholds, 30, "anthropic")
    proposal.write()
    again = propose_config(file, TUNED)
    assert (again.is_change, again.diff()) == (False, "")


def test_diff_of_a_new_file(tmp_path):
    """A new file's difference is to nothing; a missing end of line is reported as diff tells it."""
    proposal = propose_config(tmp_path / "plugins.toml", TUNED)
    assert proposal.diff().startswith(f"--- {os.devnull}\n+++ {tmp_path}/plugins.toml\n@@ -0,0 +1,")
    path = tmp_path / "bare.toml"
    path.write_text(EXAMPLE.rstrip(), encoding="utf-8")
    changed = AcgSettings().replace(min_observations_for_full_confidence=3)
    assert propose_config(path, changed).diff().count("\n\\ No newline at end of file\n") == 2


# --- JSON ---


def test_json_keeps_its_indent(tmp_path):
    """A document kept as JSON is written anew, in its own indent, and left alone when it says so already."""
    path = tmp_path / "plugins.json"
    acg.export_config(path, TUNED)
    text = json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"é": 1}, indent="\t", ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    acg.export_config(path, TUNED)
    assert path.read_text(encoding="utf-8") == text
    acg.export_config(path, AcgSettings())
    assert path.read_text(encoding="utf-8") == text.replace("0.9,", "0.95,").replace("30", "100") + "\n"


@pytest.mark.parametrize(("text", "message"), [("{", "at $: expected JSON: "), ("[1]", "expected an object, got list")])
def test_bad_json(tmp_path, text, message):
    """What is no JSON document is refused."""
    path = tmp_path / "plugins.json"
    path.write_text(text, encoding="utf-8")
    for call in (acg.load_config, lambda given: acg.export_config(given, TUNED)):
        with pytest.raises(acg.RecordError, match=message.replace("$", r"\$")):
            call(path)


def test_json_takes_no_note(tmp_path):
    """A note can't go into JSON."""
    with pytest.raises(acg.UsageError, match="JSON has no comments"):
        acg.export_config(tmp_path / "plugins.json", TUNED, note="why")


# --- what can go wrong ---


def test_bad_content(file):
    """What is not UTF-8 or not TOML is reported with its place."""
    file.write_bytes(b"version = 1 # caf\xe9\n")
    with pytest.raises(acg.RecordError, match=r"plugins\.toml, at .*: expected UTF-8, got byte 0xe9 at position 17"):
        acg.load_config(file)
    file.write_text("version = \n", encoding="utf-8")
    with pytest.raises(acg.RecordError, match=r"plugins\.toml, at .*: expected TOML: .*line 1"):
        acg.export_config(file, TUNED)


def test_bad_places(tmp_path):
    """No file, no folder, a folder in place of a file, and a link to itself are reported."""
    with pytest.raises(acg.SourceError, match=r"nothing\.toml: there is no such file"):
        acg.load_config(tmp_path / "nothing.toml")
    with pytest.raises(acg.SourceError, match=r"there is no folder .*no; create it first"):
        acg.export_config(tmp_path / "no" / "plugins.toml", TUNED)
    with pytest.raises(acg.SourceError, match="expected a file, got a folder"):
        acg.export_config(tmp_path, TUNED)
    with pytest.raises(acg.SourceError, match="expected a file, got a device"):
        acg.export_config("/dev/null", TUNED)
    loop = tmp_path / "loop.toml"
    loop.symlink_to("loop.toml")
    with pytest.raises(acg.SourceError, match="Too many levels of symbolic links"):
        acg.export_config(loop, TUNED)


@pytest.mark.parametrize("change", ["write", "replace", "remove"])
def test_changed_in_between(file, change):
    """Who changed the file since it was read does not lose the change, and nothing is left beside it."""
    proposal = propose_config(file, TUNED)
    if change == "remove":
        file.unlink()
    elif change == "write":
        file.write_text(EXAMPLE + "# mine\n", encoding="utf-8")
    else:
        other = file.with_name("other")
        other.write_text(EXAMPLE + "# mine\n", encoding="utf-8")
        other.rename(file)
    with pytest.raises(acg.SourceError, match=r"plugins\.toml: it was not changed: "):
        proposal.write()
    assert listed(file.parent) == ([] if change == "remove" else ["plugins.toml"])
    assert change == "remove" or file.read_text(encoding="utf-8").endswith("# mine\n")


def test_made_in_between(tmp_path):
    """Who made the file since there was none does not lose it."""
    proposal = propose_config(tmp_path / "plugins.toml", TUNED)
    proposal.path.write_text("# mine\n", encoding="utf-8")
    with pytest.raises(acg.SourceError, match="it was modified by another process"):
        proposal.write()
    assert proposal.path.read_text(encoding="utf-8") == "# mine\n"


AS_NOBODY = """
import os, sys
import acg_lab as acg
acg.load_config(sys.argv[1]); acg.AcgSettings().replace(stable_threshold=0.9)  # everything is imported
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""
LIMITED = """
import resource, signal, sys
import acg_lab as acg
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
"""
EXPORT = """
try:
    acg.export_config(sys.argv[1], acg.AcgSettings().replace(stable_threshold=0.9))
except acg.SourceError as error:
    print(error)
"""


def export_in(preparation, path):
    """Export in a process of its own; return what it says."""
    command = [sys.executable, "-c", preparation + EXPORT, str(path)]
    environment = os.environ | {"PYTHONPATH": str(Path(acg.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    return done.stdout.strip()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize(
    ("folder_mode", "mode", "reason"), [(0o555, 0o666, "Permission denied"), (0o777, 0o444, "read-only")]
)
def test_read_only(folder_mode, mode, reason):
    """In a read-only folder, or if the file is read-only, nothing is written, and the reason is reported."""
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())  # where others may look in
    try:
        file = folder / "plugins.toml"
        file.write_text(EXAMPLE, encoding="utf-8")
        file.chmod(mode)
        folder.chmod(folder_mode)
        assert reason in export_in(AS_NOBODY, file)
        assert listed(folder) == ["plugins.toml"]
        assert file.read_text(encoding="utf-8") == EXAMPLE
    finally:
        folder.chmod(0o700)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_no_room(file):
    """Where the system takes no more bytes, the file is as it was, nothing is left beside it, and that is reported."""
    assert os.strerror(errno.EFBIG) in export_in(LIMITED, file)
    assert listed(file.parent) == ["plugins.toml"]
    assert file.read_text(encoding="utf-8") == EXAMPLE


def test_full_disk(tmp_path):
    """The same on a disk that is full."""
    script = f"""
        set -e
        mount -t tmpfs -o size=8k tmpfs {tmp_path}
        cp "$1" {tmp_path}/plugins.toml
        dd if=/dev/zero of={tmp_path}/rest bs=1k count=100 2>/dev/null || true
        "$2" -c "$3" {tmp_path}/plugins.toml
        cmp "$1" {tmp_path}/plugins.toml && ls {tmp_path}
    """
    example = tmp_path.with_name(f"{tmp_path.name}.toml")
    example.write_text(EXAMPLE, encoding="utf-8")
    code = f"import sys\nimport acg_lab as acg\n{EXPORT}"
    command = ["unshare", "--mount", "sh", "-c", textwrap.dedent(script), "sh", example, sys.executable, code]
    environment = os.environ | {"PYTHONPATH": str(Path(acg.__file__).parents[1])}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    except FileNotFoundError:
        pytest.skip("there is no unshare(1)")
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip(f"no small disk to be had: {done.stderr.strip()}")
    said, *files = done.stdout.splitlines()
    assert said.endswith("plugins.toml: it was not changed: No space left on device."), done
    assert files == ["plugins.toml", "rest"]


AT_ONCE = """
import sys
import acg_lab as acg
from acg_lab.config import propose_changes
proposal = propose_changes(sys.argv[1], {sys.argv[2]: float(sys.argv[3])})
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
try:
    proposal.write()
except acg.SourceError as error:
    print(error)
"""


def test_two_at_once(file):
    """Of two processes that export at once one waits for the other, sees its change, and loses none."""
    fcntl = pytest.importorskip("fcntl")
    environment = os.environ | {"PYTHONPATH": str(Path(acg.__file__).parents[1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    changes = ("stable_threshold", "0.9"), ("semi_stable_threshold", "0.4")
    commands = [[sys.executable, "-c", AT_ONCE, str(file), *change] for change in changes]
    folder = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # so that both have begun before either may write
    both = [subprocess.Popen(command, **pipes) for command in commands]
    for process in both:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
    time.sleep(0.3)
    assert file.read_text(encoding="utf-8") == EXAMPLE, "they wait"
    os.close(folder)
    said = sorted(process.communicate(timeout=60)[0] for process in both)
    assert said[0] == ""
    assert "it was modified by another process" in said[1]
    found = acg.load_config(file).thresholds
    assert (found.stable_threshold, found.semi_stable_threshold) in {(0.9, 0.5), (0.95, 0.4)}
    assert listed(file.parent) == ["plugins.toml"]


def test_what_a_killed_export_left_goes(file):
    """The next export removes what a killed one left beside the file, and nothing of another name or file."""
    pytest.importorskip("fcntl")
    kept = [".plugins.toml.swp", ".plugins.toml.mine.partial", ".other.toml.acg-lab-x1y2z3.partial"]
    for name in [*kept, ".plugins.toml.acg-lab-a1b2c3.partial"]:
        file.with_name(name).write_text("x", encoding="utf-8")
    acg.export_config(file, TUNED)
    assert listed(file.parent) == sorted([*kept, "plugins.toml"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("exists", [True, False])
def test_killed_at_every_step(tmp_path, exists):
    """kill -9 before any line of an export leaves the old file or the new one, whole, and never another one."""
    command = [sys.executable, str(KILL), str(tmp_path), "existing" if exists else "new", str(FILES)]
    environment = os.environ | {"PYTHONPATH": str(Path(acg.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["steps"] > 30
    assert seen["old"] > 20
    assert seen["new"] > 1
    assert seen["old"] + seen["new"] == seen["steps"]


def test_smaller_windows_are_a_caveat(tmp_path):
    """A proposal that lowers observation_window says that stored windows keep their size; no other one does."""
    path = tmp_path / "plugins.toml"
    (caveat,) = propose_config(path, AcgSettings(observation_window=30)).caveats
    assert "never shrink" in caveat
    assert propose_config(path, AcgSettings()).caveats == ()
    acg.export_config(path, AcgSettings(observation_window=30))
    assert propose_config(path, AcgSettings(observation_window=40)).caveats == ()
    assert propose_config(path, AcgSettings(observation_window=20)).caveats == (caveat,)
