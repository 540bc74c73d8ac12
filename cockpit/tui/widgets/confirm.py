"""Confirm: a question before something that cannot be taken back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Confirm(ModalScreen[bool]):
    """Asks with the target's name in the question; the answer is no unless yes is said.

    `question` names what would be ended, `detail` what that means, `yes` the deed in a word.
    """

    DEFAULT_CSS = """
    Confirm { align: center middle; background: $background 60%; }
    Confirm > Vertical {
        width: 64; max-width: 96%; height: auto; padding: 1 2;
        background: $surface; border: round $warning;
    }
    Confirm #detail { color: $muted; margin: 1 0; }
    Confirm Horizontal { height: 1; align-horizontal: right; }
    Confirm Button { min-width: 12; margin-left: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape,q", "answer(False)", "No", show=False),
        Binding("left,h,right,l,tab", "other", "The other answer", show=False),
    ]

    def __init__(self, question: str, detail: str, yes: str) -> None:
        super().__init__()
        self.question, self.detail, self.yes = question, detail, yes

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.question, id="question", markup=False)
            yield Static(self.detail, id="detail", markup=False)
            with Horizontal():
                yield Button("No  n", id="no", compact=True)
                yield Button(f"{self.yes}  y", id="yes", variant="warning", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_other(self) -> None:
        other = "#yes" if self.query_one("#no", Button).has_focus else "#no"
        self.query_one(other, Button).focus()
