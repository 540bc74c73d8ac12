"""Pictures: the live fields and the images of a job, one under the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from textual.containers import Vertical

from cockpit.errors import CockpitError
from cockpit.model import ENDED_STATES, Job, JobImage
from cockpit.tui.widgets.field import FieldView
from cockpit.tui.widgets.frame import Frame
from cockpit.tui.widgets.image import ImageView
from cockpit.tui.widgets.table import Column, Table

AskFrame = Callable[[str, int], Awaitable[dict[str, Any]]]
AskImage = Callable[[str, int], Awaitable[JobImage | None]]
"""(name, sequence or version that is known) → what is newer."""
DIVERGING = ("vorticity", "curl", "difference", "charge")
"""Names of fields whose middle is zero: they get colours that say so."""
IMAGES_EVERY = 10
"""Of so many turns, images are asked for in one: they change less often than fields."""

Named = Sequence[tuple[str, str]]
"""Name and title."""


class Pictures(Vertical):
    """Makes a view for whatever the job begins to show, and asks for what can be seen."""

    DEFAULT_CSS = """
    Pictures { height: 1fr; overflow-y: auto; }
    Pictures #nothing { height: 1fr; }
    """

    def __init__(
        self, map_name: str, frame: AskFrame, image: AskImage, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._map = map_name
        self._ask_frame, self._ask_image = frame, image
        self.fields: dict[str, FieldView] = {}
        self.images: dict[str, ImageView] = {}
        self._sequences: dict[str, int] = {}
        self._turn = 0
        self._only_first = False

    def show_first(self, only: bool) -> None:
        """Show the first field or image alone, or all of them."""
        self._only_first = only
        self._choose()

    def _choose(self) -> None:
        for at, view in enumerate([*self.fields.values(), *self.images.values()]):
            view.display = at == 0 or not self._only_first

    def offer(self, job: Job, fields: Named, images: Named) -> None:
        """Have a view for each of these."""
        for name, title in fields:
            if name not in self.fields:
                diverging = any(word in name for word in DIVERGING)
                self.fields[name] = FieldView(title, "polar" if diverging else self._map)
                self.mount(self.fields[name])
        for name, title in images:
            if name not in self.images:
                self.images[name] = ImageView(title)
                self.mount(self.images[name])
        self._choose()
        if self.fields or self.images:
            for placeholder in self.query("#nothing"):
                placeholder.remove()
        elif not self.children:
            empty = "No live field and no picture."
            self.mount(
                Table(
                    (Column("", flex=True),), header=False, cursor=False, empty=empty, id="nothing"
                )
            )
        if job.state in ENDED_STATES:
            for view in self.fields.values():
                if view.frame is None:
                    view.note = "no frame is kept of this field"

    async def poll(self) -> None:
        """Ask for newer frames and images of what can be seen. Raises CockpitError."""
        self._turn += 1
        if not self.display:
            return
        for name, field in list(self.fields.items()):
            if field.is_attached and field.region.area:
                await self._frame(name, field)
        for name, image in list(self.images.items()):
            due = image.version == 0 or self._turn % IMAGES_EVERY == 0
            if due and image.is_attached and image.region.area:
                await self._image(name, image)

    async def _frame(self, name: str, view: FieldView) -> None:
        answer = await self._ask_frame(name, self._sequences.get(name, 0))
        try:
            frame = Frame.decode(answer)
        except ValueError as error:
            view.note = str(error)
            return
        if frame is not None:
            self._sequences[name] = frame.sequence
            view.show(frame)

    async def _image(self, name: str, view: ImageView) -> None:
        try:
            newer = await self._ask_image(name, view.version)
        except CockpitError as error:
            view.fail(str(error).splitlines()[0])
            return
        if newer is not None:
            await view.load(newer)

    def hold(self) -> None:
        """Hold all fields, or go on with all."""
        wanted = not any(view.held for view in self.fields.values())
        for view in self.fields.values():
            if view.held != wanted:
                view.hold()

    def step(self, by: int) -> None:
        """Show an earlier or later frame of all fields."""
        for view in self.fields.values():
            view.step(by)

    def fix(self) -> None:
        """Fix the scale of all fields, or of none."""
        wanted = not any(view.fixed for view in self.fields.values())
        for view in self.fields.values():
            if (view.fixed is not None) != wanted:
                view.fix()

    def recolour(self, name: str) -> None:
        """Draw all fields in other colours."""
        self._map = name
        for view in self.fields.values():
            view.recolour(name)
