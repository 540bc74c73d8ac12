"""One run: step, show, write, until done or asked to stop."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import checkpoint
from choices import Output
from pictures import pictures
from shedding import Shedding
from tunnel import SPEED, Tunnel
from vtk_files import Series

from cockpit.sdk import job

BATCH_SHARE = 1.25
"""A batch lasts this part of a frame's time, so that showing it fits in between."""
GROWTH = 8
"""One batch to the next, at most: a lucky first measurement must not make a batch of minutes."""
TOO_FAST = 5.0
"""Times the stream's speed: no flow here becomes so fast, only one that has lost its stability."""


class Run:
    """Takes a flow from where it is to `steps`, and tells how it goes."""

    def __init__(
        self,
        tunnel: Tunnel,
        flow: Any,
        output: Output,
        physics: dict[str, Any],
        steps: int,
        frame_s: float,
    ) -> None:
        self.tunnel, self.flow = tunnel, flow
        self.output, self.physics = output, physics
        self.steps, self.frame_s = steps, frame_s
        self.shedding = Shedding(tunnel.size, SPEED)
        self._series = Series(job.directory / "output", output.vtk_budget_bytes)
        self._series_full = False
        self._saved_at = flow.steps
        self._drag, self._lift = math.nan, math.nan

    def resume(self, start: checkpoint.Checkpoint) -> None:
        """Go on from a checkpoint, whose physics are this run's."""
        self.flow.restore(start.populations, start.steps)
        self.shedding.restore(start.samples)
        self._saved_at = start.steps
        self._drag, self._lift, _ = self.tunnel.coefficients(self.flow.force())
        job.message(f"Going on from step {start.steps:,} of {start.path}.")

    def go(self) -> int:
        """Run to the end, or until asked to stop. Returns the exit code."""
        self._tell()
        batch = 1
        while self.flow.steps < self.steps and not job.stopping:
            count = min(batch, self._until_due())
            seconds = self._advance(count)
            self._tell_speed(count, seconds)
            if not self._tell():
                return 1
            self._write_what_is_due()
            batch = max(1, min(GROWTH * count, round(count * self.frame_s / BATCH_SHARE / seconds)))
        self._finish()
        return 0

    def _until_due(self) -> int:
        """Steps until the end or the next file, whichever comes first."""
        due = [self.steps]
        for every in (
            self.output.checkpoint_every,
            self.output.vtk_every if self.output.vtk == "series" else 0,
        ):
            if every > 0:
                due.append((self.flow.steps // every + 1) * every)
        return min(due) - self.flow.steps

    def _advance(self, count: int) -> float:
        """Take `count` steps; returns the seconds that the device needed for them alone."""
        seconds, end, every = 0.0, self.flow.steps + count, self.shedding.every
        while self.flow.steps < end:
            part = min(end - self.flow.steps, every - self.flow.steps % every)
            seconds += self._timed(part)
            if self.flow.steps % every == 0:
                self._sample()
        return seconds

    def _timed(self, count: int) -> float:
        self.flow.synchronize()
        began = time.perf_counter()
        self.flow.step(count)
        self.flow.synchronize()
        return time.perf_counter() - began

    def _sample(self) -> None:
        self._drag, self._lift, _ = self.tunnel.coefficients(self.flow.force())
        if self.flow.steps >= self.tunnel.settled_steps:
            self.shedding.add(self._drag, self._lift)

    def _tell_speed(self, count: int, seconds: float) -> None:
        job.kernel(
            "stream_collide",
            seconds=seconds,
            count=count,
            bytes=self.flow.bytes_per_step * count,
        )
        mlups = self.flow.fluid_cells * count / seconds / 1e6
        job.metrics(step=self.flow.steps, mlups=mlups)

    def _tell(self) -> bool:
        """Tell how the flow stands. False, with the reason told, if it has become unstable."""
        step = self.flow.steps
        job.progress(step, self.steps, "steps")
        plane = self.output.plane
        sight = self.tunnel.sight
        block = plane.block([part.stop - part.start for part in sight])
        seen = pictures(plane.moments(self.flow, block, sight), plane, SPEED, block)
        if step >= self.tunnel.settled_steps and not math.isnan(self._drag):
            job.metrics(step=step, drag=self._drag, lift=self._lift)
        shed = self.shedding.found()
        if shed is not None:
            job.metrics(step=step, strouhal=shed.strouhal, drag_mean=shed.drag)
        job.frame("speed", seen.speed, low=0.0, high=1.6, step=step)
        turn = 3.0 / self.tunnel.size
        ranges = {
            "vorticity": (-turn, turn),
            "pressure": (-1.5, 1.0),
            "swirl": (-(turn**2) / 4, turn**2 / 4),
        }
        low, high = ranges[self.output.field]
        job.frame(self.output.field, getattr(seen, self.output.field), low, high, step=step)
        return self._is_stable(seen.fastest)

    def _is_stable(self, fastest: float) -> bool:
        step = self.flow.steps
        are_numbers = math.isfinite(self._drag) or step < self.shedding.every
        if are_numbers and fastest < TOO_FAST:
            return True
        what = (
            f"the air reached {fastest:.0f} times the stream's speed"
            if are_numbers
            else "its figures are no numbers any more"
        )
        job.message(
            f"The flow became unstable by step {step}: {what}. Choose {self._remedy}.",
            "error",
        )
        return False

    @property
    def _remedy(self) -> str:
        """What makes a flow like this one stable, in words."""
        finer = "a greater height, which makes the cells finer, or a lower Reynolds number"
        return (
            finer if self.tunnel.collision == "regularized" else f"collision regularized, {finer}"
        )

    def _write_what_is_due(self) -> None:
        step = self.flow.steps
        if self.output.vtk == "series" and step % self.output.vtk_every == 0:
            self._write_vtk()
        if self.output.checkpoint_every > 0 and step % self.output.checkpoint_every == 0:
            self._save_checkpoint()

    def _finish(self) -> None:
        """Leave what was wished, the checkpoint first: after SIGTERM there may not be much time."""
        if self.output.checkpoint_every >= 0 and self.flow.steps > self._saved_at:
            self._save_checkpoint()
        if self.output.vtk != "none" and not job.stopping:
            self._write_vtk()
        ended = "Stopped as asked" if self.flow.steps < self.steps else "Done"
        job.message(f"{ended} after {self.flow.steps:,} of {self.steps:,} steps.")

    def _save_checkpoint(self) -> None:
        folder = job.directory / checkpoint.FOLDER
        try:
            refusal = checkpoint.room_for(folder, self.flow.cells)
            if refusal:
                job.message(f"No checkpoint: {refusal}.", "warning")
                return
            path = checkpoint.save(folder, self.flow, self.physics, self.shedding.samples)
        except OSError as error:
            job.message(f"No checkpoint: {error.strerror or error}.", "warning")
            return
        self._saved_at = self.flow.steps
        job.checkpoint(path)

    def _write_vtk(self) -> None:
        if self._series_full:
            return
        sizes = (self.flow.nx, self.flow.ny, self.flow.nz)
        try:
            refusal = self._series.refusal(sizes)
            if not refusal:
                path = self._series.write(self.flow, self.tunnel, SPEED)
                job.message(f"Wrote {_short(path)}.")
                return
        except OSError as error:
            refusal = error.strerror or str(error)
        self._series_full = True
        job.message(f"No VTK file at step {self.flow.steps}: {refusal}.", "warning")


def _short(path: Path) -> str:
    """As it lies in the job's directory."""
    return str(path.relative_to(job.directory))
