"""The keymap: one table of every action, its keys, its help, and the places where it applies.

Lower-case hjkl always move, as in vim; where a word's letter is one of those, its capital goes
there: `J` jobs, `L` launch. Users rebind by action name in `[keys]` of cockpit.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding
from textual.keys import format_key

from cockpit.roles import Role, may

Place = Literal["everywhere", "wall", "gpu", "events", "jobs", "job", "launch", "boxes"]
PLACES: tuple[Place, ...] = ("wall", "gpu", "events", "jobs", "job", "launch", "boxes")
LISTS = PLACES
_CHOSEN_FROM: tuple[Place, ...] = ("wall", "jobs", "events", "launch", "boxes")
CHARTS = ("all", "metrics", "compare")
FIELDS = ("all", "pictures")
LOGS = ("all", "log")


@dataclass(frozen=True)
class Action:
    """Something a key does. `run` is the Textual action; the screen or the app has its method."""

    name: str
    """Stable: what users write in `[keys]`, and the id of the binding."""
    keys: str
    """Comma separated, in Textual's names or as single characters."""
    help: str
    run: str
    where: tuple[Place, ...] = ("everywhere",)
    label: str = ""
    """Short word for the line of keys at the bottom; without one it is not shown there."""
    rank: int = 50
    """Where it stands in that line; the lowest are kept when there is little room."""
    tabs: tuple[str, ...] = ()
    """Of its screen, those whose line of keys names it; none: all. It works in every tab."""

    @property
    def needs(self) -> Role:
        """The least role that may do it, where the terminal is served to somebody."""
        return "operator" if self.name in ACTING else "viewer"


ACTING = frozenset(
    {
        *("launch", "start", "again", "end", "stop", "requeue", "remove"),
        *("save", "save_log"),
    }
)
"""Names of actions that change something on the box, or write a file there."""

_JOB: tuple[Place, ...] = ("job",)
JOB_ACTIONS: tuple[Action, ...] = (
    Action("enlarge", "enter", "Enlarge the chosen chart; open the chosen GPU", "open", _JOB),
    Action("compare", "equals_sign", "Compare with another job", "compare", _JOB, "compare", 23),
    Action(
        *("zoom_in", "plus", "Charts: look closer", "zoom(1)", _JOB, "closer", 13),
        tabs=("metrics", "compare"),
    ),
    Action("zoom_out", "minus", "Charts: from further away", "zoom(-1)", _JOB),
    Action(
        *("zoom_all", "z", "Charts: the whole run", "zoom_all", _JOB, "whole run", 17),
        tabs=("metrics", "compare"),
    ),
    Action("pan_left", "less_than_sign,shift+left", "Charts: earlier", "pan(-1)", _JOB),
    Action("pan_right", "greater_than_sign,shift+right", "Charts: later", "pan(1)", _JOB),
    Action(
        *("smoothing", "m", "Charts: the next strength of smoothing", "smoothing", _JOB),
        *("smooth", 17),
        tabs=("metrics", "compare"),
    ),
    Action(
        *("log_scale", "o", "Charts: orders of magnitude, or linear", "log_scale", _JOB),
        *("log scale", 18),
        tabs=("metrics", "compare"),
    ),
    Action(
        *("axis", "t", "Charts: along steps, or along time", "axis", _JOB, "step/time", 18),
        tabs=("metrics", "compare"),
    ),
    Action("search", "slash", "Log: search", "search", _JOB, "search", 13, tabs=LOGS),
    Action("search_next", "n", "Log: the next match", "find(1)", _JOB, "next", 17, tabs=("log",)),
    Action("search_before", "N", "Log: the match before", "find(-1)", _JOB),
    Action("expression", "r", "Log: search for text, or for an expression", "expression", _JOB),
    Action("follow", "f", "Log: follow it, or stay here", "follow", _JOB, "follow", 17, tabs=LOGS),
    Action("percent", "percent_sign", "Log: go to a percentage of it", "percent", _JOB),
    Action(
        "wrap", "W", "Log: break long lines, or cut them", "wrap", _JOB, "wrap", 18, tabs=("log",)
    ),
    Action("copy_log", "Y", "Log: copy what is shown", "copy_log", _JOB),
    Action("save_log", "S", "Log: save what is shown to a file", "save_log", _JOB),
    Action("hold", "space", "Field: hold it, or go on", "hold", _JOB, "hold", 17, tabs=FIELDS),
    Action("frame_before", "comma", "Field: a frame back", "frame(-1)", _JOB),
    Action("frame_after", "full_stop", "Field: a frame on", "frame(1)", _JOB),
    Action(
        *("colours", "c", "Field: the next colours", "colours", _JOB, "colours", 18),
        tabs=("pictures",),
    ),
    Action(
        *("fixed", "a", "Field: automatic scale, or fixed as it is", "fixed", _JOB, "scale", 18),
        tabs=("pictures",),
    ),
)
"""What only the screen of a job can do. Each goes to the tab that it is about."""

ACTIONS: tuple[Action, ...] = (
    Action("up", "up,k", "Move up", "move_up", LISTS),
    Action("down", "down,j", "Move down", "move_down", LISTS),
    Action("left", "left,h", "Move left", "move_left", LISTS),
    Action("right", "right,l", "Move right", "move_right", LISTS),
    Action("first", "home,g", "To the first", "move_first", LISTS),
    Action("last", "end,G", "To the last", "move_last", LISTS),
    Action("page_up", "pageup,ctrl+b", "A page up", "page_up", LISTS),
    Action("page_down", "pagedown,ctrl+f", "A page down", "page_down", LISTS),
    Action(
        *("open", "enter", "Open what is selected", "open", _CHOSEN_FROM, "open", 15),
        tabs=("", "gallery"),
    ),
    Action("back", "escape,backspace", "Back", "back", label="back", rank=12),
    Action(
        *("filter", "slash", "Filter by any word", "filter"),
        ("wall", "gpu", "events", "jobs", "launch", "boxes"),
        *("filter", 40),
    ),
    Action("previous", "left_square_bracket", "The GPU before", "move_left", ("gpu",)),
    Action("next", "right_square_bracket", "The next GPU", "move_right", ("gpu",)),
    Action("next_tab", "tab", "The next tab", "tab(1)", ("gpu", "job"), "tabs", 16),
    Action("previous_tab", "shift+tab", "The tab before", "tab(-1)", ("gpu", "job")),
    Action("longer", "minus,underscore", "A longer time", "span(1)", ("gpu",), "longer", 18),
    Action("shorter", "plus,equals_sign", "A shorter time", "span(-1)", ("gpu",), "shorter", 19),
    Action("sort", "o", "Order by the next column", "sort", ("gpu", "jobs"), "order", 42),
    Action("end", "x", "End a process of yours, after a question", "end", ("gpu",), "end", 22),
    Action("reverse", "O", "Order the other way round", "reverse", ("jobs",)),
    Action("stop", "x", "Stop, after a question", "stop", ("jobs", "job"), "stop", 22),
    Action("requeue", "R", "Run again as it was", "requeue", ("jobs", "job"), "again", 26),
    Action("remove", "d,delete", "Remove what has ended, after a question", "remove", ("jobs",)),
    Action("copy_ids", "y", "Copy the ids", "copy", ("jobs", "job")),
    Action("mark", "space", "Mark, to do something with several", "mark", ("jobs",), "mark", 24),
    Action(
        "mark_range", "v", "Mark all that the cursor passes, or stop it", "mark_range", ("jobs",)
    ),
    Action("mark_up", "shift+up", "Mark, and move up", "mark_move(-1)", ("jobs",)),
    Action("mark_down", "shift+down", "Mark, and move down", "mark_move(1)", ("jobs",)),
    Action("mark_all", "a", "Mark all that the filter shows, or none", "mark_all", ("jobs",)),
    Action("compare_marked", "equals_sign", "Compare the two marked", "compare", ("jobs",)),
    *JOB_ACTIONS,
    Action("again", "E", "Change something and launch again", "again", ("jobs", "job"), "edit", 27),
    Action("start", "ctrl+s,f5", "Launch what the form says", "start", ("launch",), "start", 16),
    Action("defaults", "ctrl+r", "The plugin's defaults again", "defaults", ("launch",)),
    Action(
        "copy_command", "ctrl+y,y", "Copy the command line", "copy_command", ("launch",), "copy", 17
    ),
    Action("boxes", "B", "All boxes", "go('boxes')", label="boxes", rank=13),
    Action("next_box", "right_curly_bracket", "The next box", "station(1)"),
    Action("previous_box", "left_curly_bracket", "The box before", "station(-1)"),
    Action("wall", "w", "The wall: every GPU", "go('wall')", label="wall", rank=14),
    Action("jobs", "J", "Jobs", "go('jobs')", label="jobs", rank=25),
    Action(
        "events", "e", "Events: what happened and when", "go('events')", label="events", rank=30
    ),
    Action("launch", "L", "Launch a workload", "launch", label="launch", rank=20),
    Action("help", "question_mark,f1", "The keys of this place", "help", label="help", rank=1),
    Action("palette", "ctrl+p,colon", "All commands", "command_palette", label="all", rank=45),
    Action("theme", "T", "Choose a theme", "choose_theme"),
    Action("save", "s", "Save the screen as an SVG picture", "save_picture"),
    Action("quit", "q,ctrl+q", "Leave; agent and jobs go on", "quit", label="quit", rank=60),
)
"""Everything but the digits, which always open the GPU of that number."""

DIGITS = Action("gpu", "0-9", "Open the GPU of that number", "", label="GPU", rank=10)

_HIDDEN_LABELS: Mapping[Place, frozenset[str]] = {
    "wall": frozenset({"wall", "back"}),
    "jobs": frozenset({"jobs"}),
    "events": frozenset({"events"}),
    "launch": frozenset({"launch", "gpu", "quit"}),
    "boxes": frozenset({"boxes", "gpu", "back"}),
}
OF_SEVERAL = frozenset({"boxes", "next_box", "previous_box"})
"""Names of actions that there is no use for with one box."""


def actions(place: Place, role: Role = "admin", several: bool = False) -> list[Action]:
    """What a role can do in one place (with `everywhere`: only what can be done in all).

    `several`: whether the terminal shows more than one box.
    """
    return [
        action
        for action in ACTIONS
        if (place in action.where or (place != "everywhere" and "everywhere" in action.where))
        and may(role, action.needs)
        and (several or action.name not in OF_SEVERAL)
    ]


def refused(run: str, role: Role) -> Action | None:
    """The action that Textual is to run, if the role may not do it."""
    name = run.partition("(")[0].rpartition(".")[2]
    for action in ACTIONS:
        if action.run.partition("(")[0] == name and not may(role, action.needs):
            return action
    return None


def bindings(place: Place) -> list[Binding]:
    """Textual bindings for the actions that belong to one place alone, or to the app as a whole."""
    made = [
        Binding(action.keys, action.run, action.help, show=False, id=action.name)
        for action in ACTIONS
        if place in action.where
    ]
    if place == "everywhere":
        made += [
            Binding(str(digit), f"gpu({digit})", f"Open GPU {digit}", show=False)
            for digit in range(10)
        ]
    return made


def shown_keys(action: Action, overrides: Mapping[str, str]) -> str:
    """The keys of an action as people write them, such as `J` or `↑ k`."""
    if action is DIGITS:
        return action.keys
    return " ".join(shown_key(key) for key in overrides.get(action.name, action.keys).split(","))


def key_of(name: str, overrides: Mapping[str, str]) -> str:
    """The first key of an action by its name, as people write it."""
    action = next(action for action in ACTIONS if action.name == name)
    return shown_keys(action, overrides).split(" ")[0]


def bar_key(action: Action, overrides: Mapping[str, str], typing: bool) -> str:
    """The key that the line of keys names; while text is typed, one that is no letter, or none."""
    shown = shown_keys(action, overrides).split(" ")
    if typing:
        # Space, Home and the like move in the text or belong to it.
        shown = [key for key in shown if key[0] == "^" or key in ("Esc", "F1", "F5")]
    return shown[0] if shown else ""


def shown_key(key: str) -> str:
    """One key as people write it."""
    key = key.strip()
    names = {
        "escape": "Esc",
        "enter": "Enter",
        "pageup": "PgUp",
        "pagedown": "PgDn",
        "home": "Home",
        "end": "End",
        "f1": "F1",
        "f5": "F5",
    }
    if key.startswith("ctrl+"):
        return "^" + key[5:]
    return names.get(key) or format_key(key)


def footer(
    place: Place, tab: str = "", role: Role = "admin", several: bool = False
) -> list[Action]:
    """The actions in the line of keys of one place and tab, by rank."""
    hidden = _HIDDEN_LABELS.get(place, frozenset())
    shown = [
        action
        for action in [DIGITS, *actions(place, role, several)]
        if action.label and action.name not in hidden and (not action.tabs or tab in action.tabs)
    ]
    return sorted(shown, key=lambda action: action.rank)


def unknown_actions(overrides: Iterable[str]) -> list[str]:
    """Names in `[keys]` that no action has."""
    known = {action.name for action in ACTIONS}
    return sorted(set(overrides) - known)
