"""What the live view costs: beside nvitop, a bare pynvml loop and gpustat, on the same ten GPUs.

`python -m tests.benchmarks.live_box [--seconds 60]` runs everything at the same time against the
stand-in driver, prints ratios, and ends what it started. It needs nvitop and gpustat, and gcc.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.measure import TerminalProgram, cpu_seconds, end_with_parent
from tests.standin.fixtures import Standin, build_library

BIN = Path(sys.executable).parent
KEYS = (b"j", b"k")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of measuring, after warm-up")
    parser.add_argument("--warm-up", type=float, default=10.0)
    parser.add_argument("--only", choices=("cpu", "status", "keys"), help="one of the three")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ck") as directory:
        standin = Standin(Path(directory) / "standin", build_library())
        environment = isolated_environment(Path(directory) / "watched", standin)
        alone = isolated_environment(Path(directory) / "alone", standin)
        try:
            subprocess.run([BIN / "cockpit", "status"], env=environment, stdout=subprocess.DEVNULL)
            if arguments.only in (None, "cpu"):
                cost_of_watching(environment, alone, arguments.warm_up, arguments.seconds)
            if arguments.only in (None, "status"):
                status_beside_gpustat(environment)
            if arguments.only in (None, "keys"):
                keys_under_a_slow_driver(environment, standin)
        finally:
            subprocess.run([BIN / "cockpit", "agent", "stop"], env=environment, check=False)
            standin.close()


def isolated_environment(directory: Path, standin: Standin) -> dict[str, str]:
    """This environment with the stand-in driver, and files of its own."""
    environment = {**os.environ, **standin.environment}
    for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME", "CACHE_HOME"):
        path = directory / name.lower()
        path.mkdir(mode=0o700, parents=True)
        environment[f"XDG_{name}"] = str(path)
    return environment


def cost_of_watching(
    environment: dict[str, str], alone: dict[str, str], warm_up_s: float, seconds: float
) -> None:
    """CPU of cockpit's agent and terminal, nvitop and a bare loop, all running together.

    One agent serves the terminal; another, without a client, is what is held against the loop.
    """
    nvitop = TerminalProgram([str(BIN / "nvitop"), "--interval", "1"], environment)
    bare = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bare_loop.py")), "1"],
        env=environment,
        preexec_fn=end_with_parent,
    )
    lonely = subprocess.Popen(
        [str(BIN / "cockpit"), "agent"], env=alone, preexec_fn=end_with_parent
    )
    terminal = TerminalProgram([str(BIN / "cockpit")], environment)
    try:
        time.sleep(warm_up_s)
        programs = {
            "bare loop": bare.pid,
            "agent alone": lonely.pid,
            "agent": agent_pid(environment),
            "terminal": terminal.pid,
            "nvitop": nvitop.pid,
        }
        before = {name: cpu_seconds(pid) for name, pid in programs.items()}
        start = time.perf_counter()
        time.sleep(seconds)
        elapsed = time.perf_counter() - start
        percent = {
            name: 100 * (cpu_seconds(pid) - before[name]) / elapsed
            for name, pid in programs.items()
        }
        for program in (nvitop, terminal):
            if not program.alive():
                raise SystemExit("a program ended by itself: nothing was measured")
    finally:
        nvitop.stop()
        terminal.stop()
        for process in (bare, lonely):
            process.terminate()
            process.wait()
    both = percent["agent"] + percent["terminal"]
    print(f"\nCPU of one core, 10 stand-in GPUs, 1 s, 200×60, {elapsed:.0f} s:")
    for name, value in percent.items():
        print(f"  {name:<12}{value:6.3f} %")
    print(f"  agent + terminal over nvitop    {both / percent['nvitop']:.2f}  (limit 1.00)")
    print(
        f"  agent alone over the bare loop  {percent['agent alone'] / percent['bare loop']:.2f}"
        "  (limit 1.50)"
    )


def agent_pid(environment: dict[str, str]) -> int:
    """The pid of the agent that serves the terminal."""
    import json

    answer = subprocess.run(
        [BIN / "cockpit", "agent", "status", "--json"],
        env=environment,
        check=True,
        capture_output=True,
    )
    return int(json.loads(answer.stdout)["agents"][0]["pid"])


def status_beside_gpustat(environment: dict[str, str], rounds: int = 15) -> None:
    """`cockpit status --json` with an agent running, and `gpustat --json`, by turns."""
    commands = {
        "cockpit status --json": [BIN / "cockpit", "status", "--json"],
        "gpustat --json": [BIN / "gpustat", "--json"],
    }

    def once(command: list[Path | str]) -> float:
        start = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    times = {name: [once(command) for _ in range(rounds)] for name, command in commands.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\nOne answer, median of {rounds}:")
    for name, value in medians.items():
        print(f"  {name:<24} {value * 1000:6.0f} ms")
    ratio = medians["cockpit status --json"] / medians["gpustat --json"]
    print(f"  cockpit over gpustat     {ratio:.2f}  (limit 1.00)")


def keys_under_a_slow_driver(environment: dict[str, str], standin: Standin) -> None:
    """The worst of 50 keys at 200×60 while every driver call takes 20 ms.

    A program that only echoes gets the same keys by turns: what it waits for is the machine's own.
    """
    standin.delay_ms(20)
    terminal = TerminalProgram([str(BIN / "cockpit")], environment)
    echo = TerminalProgram(["sh", "-c", "stty raw -echo; exec cat"], environment)
    try:
        time.sleep(6)
        responses: list[float] = []
        echoes: list[float] = []
        for turn in range(50):
            terminal.wait_until_quiet(0.05, 2)
            responses.append(terminal.key_response_s(KEYS[turn % 2]))
            echoes.append(echo.key_response_s(b"x"))
            time.sleep(0.05)
        print("\nKeys with 20 ms in every driver call, 50 keys by turns:")
        for name, times in (("cockpit", responses), ("echo (cat)", echoes)):
            worst, median = max(times) * 1000, statistics.median(times) * 1000
            print(f"  {name:<12} median {median:5.1f} ms, worst {worst:6.1f} ms")
        print("  limit for cockpit's worst: 50 ms on a machine that does not stall by itself")
    finally:
        standin.delay_ms(0)
        terminal.stop()
        echo.stop()


if __name__ == "__main__":
    for tool in ("nvitop", "gpustat"):
        if not (BIN / tool).exists() and shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing: pip install nvitop gpustat")
    main()
