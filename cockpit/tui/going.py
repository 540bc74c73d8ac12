"""Going from place to place: what the app as a whole does when a key, a click or the palette says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.actions import ActionParseResult
from textual.app import App
from textual.dom import DOMNode
from textual.screen import Screen

from cockpit.client import Box
from cockpit.errors import CockpitError
from cockpit.roles import Role, may
from cockpit.tui.keys import Action, refused
from cockpit.tui.live import Live
from cockpit.tui.memory import Memory
from cockpit.tui.stations import Stations


class Going(App[None]):
    """The part of the app that opens screens."""

    role: Role
    stations: Stations
    memory: Memory

    @property
    def box(self) -> Box:
        """The box in front: what every screen is about."""
        return self.stations.current.box

    @property
    def live(self) -> Live:
        """What is known of the box in front."""
        return self.stations.current.live

    def goto_screen(self, screen: Screen[Any]) -> None:
        """Put `screen` on top; one of the same kind there already is replaced."""
        if type(self.screen) is type(screen):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def open_gpu(self, uuid: str) -> None:
        """Show the screen of one GPU."""
        from cockpit.tui.screens.gpu import GpuScreen

        self.memory.set("gpu", uuid)
        self.goto_screen(GpuScreen(uuid))

    def open_job(self, job_id: str) -> None:
        """Show the screen of one job."""
        from cockpit.tui.screens.job import JobScreen

        self.goto_screen(JobScreen(job_id))

    def compare_jobs(self, job_id: str, other_id: str) -> None:
        """Show one job beside another."""
        from cockpit.tui.screens.job import JobScreen

        self.goto_screen(JobScreen(job_id, other_id))

    def action_gpu(self, index: int) -> None:
        """Open the GPU of that index, if the box has one."""
        gpus = self.live.box.gpus if self.live.box else ()
        for gpu in gpus:
            if gpu.index == index:
                self.open_gpu(gpu.uuid)
                return
        if gpus:
            last = max(gpu.index for gpu in gpus)
            self.notify(f"This box has no GPU {index}: it has 0 to {last}.", severity="warning")

    def action_go(self, mode: str) -> None:
        """Show the wall, the jobs or the events; all boxes, if there are several."""
        from cockpit.tui.screens.boxes import BoxesScreen

        if mode == "boxes" and not self.stations.several:
            self.notify("This terminal shows one box; `cockpit --host a,b` shows several.")
            return
        if self.screen.is_modal:
            return
        if mode != "boxes" and isinstance(self.screen, BoxesScreen):
            self.stations.go(self.screen.chosen, lambda: self.switch_mode(mode))
        elif self.current_mode == mode:
            while len(self.screen_stack) > 1:
                self.pop_screen()
        else:
            self.switch_mode(mode)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action, whichever key, click or word of the palette it comes from."""
        run = action if isinstance(action, str) else action[1]
        if (refusal := refused(run, self.role)) is not None:
            self._tell_role(refusal.help)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def _tell_role(self, what: str) -> None:
        needed = "an operator can do this"
        self.notify(f"{what}: you are here as {self.role}, {needed}.", severity="warning")

    def action_station(self, by: int) -> None:
        """Bring the next box to the front, or the one before."""
        if self.stations.several and not self.screen.is_modal:
            self.stations.go(self.stations.position + by)

    async def do(self, action: Action, screen: Screen[Any]) -> None:
        """Do what a key of `screen` would do."""
        await self.run_action(action.run, self if "everywhere" in action.where else screen)

    async def action_back(self) -> None:
        """Close what is open or on top; from another place, go home to the wall."""
        step_back = getattr(self.screen, "step_back", None)
        if step_back is not None and step_back():
            return
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self.current_mode not in ("wall", "boxes"):
            self.switch_mode("wall")
        elif self.current_mode == "wall" and self.stations.several:
            self.switch_mode("boxes")

    def action_launch(self, plugin: str = "") -> None:
        """Choose a workload and launch it; from the screen of a GPU, on that one."""
        if not may(self.role, "operator"):
            self._tell_role("Launch a workload")
            return
        from cockpit.tui.screens.boxes import BoxesScreen
        from cockpit.tui.screens.gpu import GpuScreen
        from cockpit.tui.screens.launch import LaunchScreen

        if isinstance(self.screen, BoxesScreen):
            self.stations.go(self.screen.chosen, lambda: self.action_launch(plugin))
            return
        gpu = self.screen.uuid if isinstance(self.screen, GpuScreen) else None
        self.goto_screen(LaunchScreen(plugin, gpu=gpu))

    def launch_again(self, job_id: str) -> None:
        """Open the form with what a job was launched with."""
        self.run_worker(self._launch_again(job_id), group="launch_again", exclusive=True)

    async def _launch_again(self, job_id: str) -> None:
        from cockpit.tui.screens.launch import LaunchScreen

        try:
            request = await self.box.job_request(job_id)
        except CockpitError as error:
            self.notify(str(error), title=f"Job #{job_id}", severity="error")
            return
        self.goto_screen(LaunchScreen(request.plugin or "", request))
