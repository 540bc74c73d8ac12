"""A Slurm of one node on 127.0.0.1, as a peer in a benchmark: started, checked, ended."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.benchmarks.measure import end_with_parent

PORTS = (16817, 16818)
CONF = """ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={d}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MaxArraySize=20000
MaxJobCount=30000
GresTypes=gpu,slice
StateSaveLocation={d}/state
SlurmdSpoolDir={d}/spool
SlurmctldPidFile={d}/slurmctld.pid
SlurmdPidFile={d}/slurmd.pid
SlurmctldLogFile={d}/slurmctld.log
SlurmdLogFile={d}/slurmd.log
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=200 RealMemory=20000 Gres=gpu:2,slice:{slices} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """Daemons of its own in a directory of its own; all of them end with it."""

    def __init__(self, directory: Path, slices: int) -> None:
        self._directory, self._slices = directory, slices
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {**os.environ, "SLURM_CONF": str(directory / "slurm.conf")}

    @staticmethod
    def possible() -> bool:
        """Whether everything that is needed is here."""
        return os.geteuid() == 0 and all(map(shutil.which, ("slurmctld", "slurmd", "munged")))

    def __enter__(self) -> Slurm:
        d, host = self._directory, socket.gethostname().split(".")[0]
        for name in ("", "state", "spool", "out"):
            (d / name).mkdir(mode=0o755)
        (d / "key").write_bytes(secrets.token_bytes(1024))
        (d / "key").chmod(0o400)
        (d / "slurm.conf").write_text(CONF.format(d=d, host=host, slices=self._slices))
        devices = [d / f"nvidia{index}" for index in range(2)]
        for device in devices:
            device.touch()
        (d / "gres.conf").write_text(
            f"NodeName={host} Name=gpu File={d}/nvidia[0-1]\n"
            f"NodeName={host} Name=slice Count={self._slices}\n"
        )
        try:
            self._start("munged", "--foreground", "--force", f"--key-file={d}/key",
                        f"--socket={d}/munge.socket", f"--pid-file={d}/munged.pid",
                        f"--log-file={d}/munged.log", f"--seed-file={d}/seed")  # fmt: skip
            self._until(lambda: (d / "munge.socket").exists(), "munged")
            self._start("slurmctld", "-D", "-f", str(d / "slurm.conf"))
            self._start("slurmd", "-D", "-f", str(d / "slurm.conf"))
            self._until(lambda: self._ask("sinfo", "-h", "-o", "%t") == "idle", "the node")
            self._refuse_exposed()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("scancel", "-u", "root", "-t", "PENDING")
        self._ask("scancel", "--signal=KILL", "--full", "-u", "root")
        deadline = time.monotonic() + 20
        while self._ask("squeue", "-h") and time.monotonic() < deadline:
            time.sleep(0.2)
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def submit(self, gres: str, script: str, *options: str) -> None:
        """One job, or an array, by sbatch."""
        out = self._directory / "out" / "%j"
        words = ["sbatch", "--parsable", f"--gres={gres}", "-n1", "-o", str(out), *options]
        text = f"#!/bin/sh\n{script}\n"
        subprocess.run(
            words, input=text.encode(), env=self._environment, check=True, stdout=subprocess.DEVNULL
        )

    def count(self, state: str) -> int:
        """How many jobs are in that state."""
        return len(self._ask("squeue", "-h", "-t", state, "-o", "%i").splitlines())

    def _ask(self, *words: str) -> str:
        done = subprocess.run(words, env=self._environment, capture_output=True, text=True)
        return done.stdout.strip()

    def _start(self, *words: str) -> None:
        log = (self._directory / f"{words[0]}.out").open("wb")
        self._processes.append(
            subprocess.Popen(
                words,
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        )

    def _until(self, condition: object, what: str) -> None:
        deadline = time.monotonic() + 30
        while not condition():  # type: ignore[operator]
            if time.monotonic() > deadline:
                raise RuntimeError(f"Slurm: {what} did not come up: {self._directory}")
            time.sleep(0.1)

    def _refuse_exposed(self) -> None:
        """Nobody but this machine may reach the daemons."""
        for line in self._ask("ss", "-Hltn").splitlines():
            address, _, port = line.split()[3].rpartition(":")
            if port.isdecimal() and int(port) in PORTS and not address.startswith("127."):
                raise RuntimeError(f"Slurm listens on {address}:{port}, not on 127.0.0.1")
