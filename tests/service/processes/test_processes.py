"""What keeps the service's processes apart, alive and together: home lock, supervisor, lifeline."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from service.conductor.__main__ import LONGEST_SCRATCH, ray_scratch
from service.processes import lifeline
from service.processes.home import HomeInUseError, HomeLock, home_identity, write_private
from service.processes.supervisor import Supervisor, pause_before_restart
from tests.patience import PATIENCE_S, wait_until

HOLD = "import sys, time; from pathlib import Path; from service.processes.home import HomeLock; "
HOLD += "lock = HomeLock(Path(sys.argv[1]), 'api'); lock.acquire(); print('held', flush=True); "
HOLD += f"time.sleep({2 * PATIENCE_S})"


def test_a_home_has_one_holder_and_the_next_one_reads_who(tmp_path: Path) -> None:
    first, second = HomeLock(tmp_path / "home", "api"), HomeLock(tmp_path / "home", "api")
    first.acquire()
    first.describe("peftsearch serve (process 7, http://127.0.0.1:8765)")
    with pytest.raises(HomeInUseError, match=r"peftsearch serve \(process 7, http://127.0.0.1:8765\) already works on"):
        second.acquire()
    HomeLock(tmp_path / "home", "conductor").acquire()  # the other half of the service
    first.release()
    second.acquire()
    second.release()


def test_kill_nine_frees_the_home_at_once(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(HomeInUseError):
        HomeLock(tmp_path, "api").acquire(wait=0.3)
    holder.kill()
    HomeLock(tmp_path, "api").acquire(wait=10)  # seconds: at once, on any machine
    holder.wait()


def test_a_home_keeps_its_identity_and_two_homes_differ(tmp_path: Path) -> None:
    assert home_identity(tmp_path / "a") == home_identity(tmp_path / "a")
    assert home_identity(tmp_path / "a") != home_identity(tmp_path / "b")


def test_a_full_disk_leaves_no_home_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "fdopen", Mock(side_effect=OSError(errno.ENOSPC, "no space left")))
        full.setattr(Path, "write_text", lambda path, _: path.touch())  # as much as a full disk takes
        with suppress(OSError):
            home_identity(tmp_path)
    assert home_identity(tmp_path) != ""


def test_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "new" / "token", "secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "token").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["token"]


def test_rays_sockets_fit_into_their_paths_wherever_the_home_is(tmp_path: Path) -> None:
    assert ray_scratch(Path("/home/me/.peftsearch")) == Path("/home/me/.peftsearch/ray")
    deep = tmp_path / ("very" * 10) / "deep"
    assert len(str(ray_scratch(deep))) <= LONGEST_SCRATCH
    assert ray_scratch(deep) == ray_scratch(deep) != ray_scratch(tmp_path / ("very" * 10) / "other")


def test_restarts_come_at_growing_intervals() -> None:
    assert [pause_before_restart(deaths) for deaths in (1, 2, 3, 6, 100)] == [1, 2, 4, 30, 30]


def test_a_supervised_child_is_started_again_until_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.processes.supervisor.FIRST_PAUSE", 0.05)
    script = f"import os, time; open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n'); "
    script += f"time.sleep({2 * PATIENCE_S})"
    supervisor = Supervisor("child", lambda: subprocess.Popen([sys.executable, "-c", script]))
    supervisor.start()
    for births in (1, 2, 3):
        pids = _lines(tmp_path / "pids", births)
        if births < 3:
            os.kill(pids[-1], signal.SIGKILL)
    supervisor.stop()
    time.sleep(0.3)
    assert len(_lines(tmp_path / "pids", 3)) == 3
    with pytest.raises(ProcessLookupError):
        os.kill(pids[-1], 0)


def _lines(path: Path, count: int) -> list[int]:
    def lines() -> list[str]:
        found = path.read_text().splitlines() if path.exists() else []
        return found if len(found) >= count else []

    return [int(line) for line in wait_until(lines, f"{count} lines are in {path.name}", every=0.02)]


def test_a_child_on_a_lifeline_leaves_when_its_parent_is_killed(tmp_path: Path) -> None:
    child = tmp_path / "followed.py"
    child.write_text(
        "import os, time\nfrom service.processes.lifeline import follow_parent\nassert follow_parent()\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}}\\n')\n"
        f"time.sleep({2 * PATIENCE_S})\n"  # longer than we wait for it to be gone
    )
    parent = "import time; from service.processes.lifeline import spawn; spawn(['followed'], {}); "
    parent += f"time.sleep({2 * PATIENCE_S})"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen([sys.executable, "-c", parent], env={**os.environ, "PYTHONPATH": path})
    (pid,) = _lines(tmp_path / "pid", 1)
    process.kill()
    process.wait()
    wait_until(lambda: _gone(pid), "the child leaves, too", every=0.05)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_process_that_nobody_spawned_follows_nobody() -> None:
    assert not lifeline.follow_parent()


@pytest.mark.slow
def test_deciding_needs_neither_ray_nor_torch() -> None:
    code = "import sys, service.conductor.loop; print(sorted({'ray', 'torch'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
