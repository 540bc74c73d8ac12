"""One process for each GPU, by torchrun, and what they tell each other."""

from __future__ import annotations

import os
import sys
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

PATIENCE = timedelta(hours=2)
"""The first rank writes samples and outputs while the others wait."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of the job."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """The sum over all ranks of each value."""
        if self.count == 1:
            return [float(value) for value in values]
        import torch

        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return list(total.tolist())

    def hand_out(self, values: Any) -> None:
        """Overwrite a tensor of the same shape on every rank with that of the first."""
        if self.count > 1:
            import torch

            torch.distributed.broadcast(values, 0)

    def any(self, value: bool) -> bool:
        """Whether it is so on any rank: all decide the same, and together."""
        return self.sum(float(value))[0] > 0

    def gather(self, value: Any) -> list[Any]:
        """The value of every rank, in their order."""
        if self.count == 1:
            return [value]
        import torch

        values: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(values, value)
        return values

    def leave(self) -> None:
        if self.count > 1:
            import torch

            torch.distributed.destroy_process_group()


def is_rank() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first() -> bool:
    """Whether this is the process that speaks for all."""
    return os.environ.get("RANK", "0") == "0" or not is_rank()


def run_on(count: int) -> int:
    """Run this program as `count` ranks, as torchrun does, and wait. Returns the exit code.

    A signal goes on to the ranks, which have the time that torchrun gives them to save.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    launch = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        monitor_interval=0.1,
        max_restarts=0,
    )
    try:
        elastic_launch(launch, sys.executable)(
            "-u", str(Path(sys.argv[0]).absolute()), *sys.argv[1:]
        )
    except SignalException:
        return 0
    except ChildFailedError as error:
        # A rank has said what it was; the others were ended because of it.
        codes = [failure.exitcode for failure in error.failures.values()]
        return next((code for code in codes if code > 0), 1)
    return 0


def end(code: int) -> NoReturn:
    """End this rank here and now, after all is written.

    While an interpreter is torn down, a thread of libtorch's that is still there aborts the process
    (SIGABRT, seen once in twenty runs), and the whole job would count as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def join(use_cuda: bool) -> Ranks:
    """This process's place, once all the others are there too."""
    import torch

    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = f"cuda:{local}" if use_cuda else "cpu"
    if use_cuda:
        torch.cuda.set_device(local)
    count = int(os.environ.get("WORLD_SIZE", "1")) if is_rank() else 1
    if count == 1:
        return Ranks(device=device)
    torch.distributed.init_process_group("nccl" if use_cuda else "gloo", timeout=PATIENCE)
    return Ranks(torch.distributed.get_rank(), count, device)
