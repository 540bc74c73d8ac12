"""Order: what a form says, as problems, as a command line, and as a request. Pure: no Textual.

Everything stays text until it is asked for, so that the command line has the very words that were
typed. What is about devices and time has its option of `cockpit run` as its key; a parameter has its
name.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cockpit import wishes
from cockpit.model import JobRequest
from cockpit.parameters import Parameter, read_value
from cockpit.plugins import Plugin, request

GPUS, SLICE, MEMORY, SHARED = "--gpus", "--slice", "--gpu-memory", "--shared"
NAME, PRIORITY, LIMIT, AFTER = "--name", "--priority", "--time-limit", "--after"
ARRAY, RETRIES = "--array", "--retries"

Wanted = int | tuple[int, ...]
"""A number of GPUs, or the indices of those that are named."""


@dataclass(frozen=True)
class Asked:
    """Something a job can ask for beside its parameters."""

    key: str
    """The option of `cockpit run`."""
    label: str
    help: str
    note: str
    """How it is written."""
    read: Callable[[str], Any]
    rare: bool = True
    each: bool = False
    """Whether the option is given once for every word."""


def _text(text: str) -> str:
    return text.strip()


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def slice_names(text: str) -> tuple[str, ...]:
    """Every slice that is asked for, several words of `--slice` together."""
    return tuple(name for word in _words(text) for name in wishes.slice_names(word))


def job_ids(text: str, arrays: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Ids of jobs, each once; `12[]` is every job of that array (id → ids). Raises ValueError."""
    ids: dict[str, None] = {}
    for word in _words(text):
        number = word.removesuffix("[]")
        if not (number.isdecimal() and number.isascii()):
            raise ValueError(f"{word!r} is no id of a job: write them as 12, 13[]")
        if number != word and number not in arrays:
            raise ValueError(f"there is no array {word} here")
        ids.update(dict.fromkeys(arrays[number] if number != word else (number,)))
    return tuple(ids)


ASKED: tuple[Asked, ...] = (
    Asked(GPUS, "GPUs", "How many GPUs, or which", "a number, or which: 0,3", str, rare=False),
    Asked(
        *(SLICE, "slices", "MIG slices instead of whole GPUs, one or several"),
        *("as in 1g.10gb, 2g.20gb", slice_names),
        each=True,
    ),
    Asked(
        *(MEMORY, "memory", "Only on a GPU with so much; of a shared one so much is set aside"),
        *("as in 40G", wishes.memory_bytes),
    ),
    Asked(
        *(
            SHARED,
            "shared",
            "Others may be on its GPUs at the same time, as far as the memory goes",
        ),
        *("", lambda text: text == "true"),
    ),
    Asked(NAME, "name", "What to call the job", "any text", _text),
    Asked(
        *(PRIORITY, "priority", "Higher ones start first", "from -1000 to 1000"),
        wishes.priority,
    ),
    Asked(
        *(
            LIMIT,
            "time limit",
            "It is ended after this long; the queue then knows when GPUs are free",
        ),
        *("as in 90s, 15m, 2h, 1d12h", wishes.duration_s),
    ),
    Asked(
        *(AFTER, "after", "Starts once these jobs have completed, and only then"),
        *("ids, 13[] for an array: 12, 13[]", _words),
        each=True,
    ),
    Asked(
        *(ARRAY, "array", "One job for each index; COCKPIT_ARRAY_INDEX tells them apart"),
        *("as in 0-9, or 0-99%4 for 4 at once", wishes.array_indices),
    ),
    Asked(
        *(
            RETRIES,
            "retries",
            "Started again so often when it FAILED, each time after a longer pause",
        ),
        *("from 0 to 100", wishes.retries),
    ),
)
BY_KEY: Mapping[str, Asked] = {asked.key: asked for asked in ASKED}


@dataclass(frozen=True)
class Order:
    """A plugin and what stands in its form; empty text is what was not said."""

    plugin: Plugin
    texts: Mapping[str, str] = field(default_factory=dict)
    gpus: Mapping[int, str] = field(default_factory=dict)
    """Index → UUID of the box's GPUs."""
    arrays: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Id of each array → the ids of its jobs."""

    def said(self, key: str) -> str:
        """The text of a field; empty where nothing, or only blanks, was written."""
        text = self.texts.get(key, "")
        return text if text.strip() else ""

    # What is wrong

    def problems(self) -> dict[str, str]:
        """Key → what is wrong with it, in the order of the form."""
        found = {asked.key: self._asked_problem(asked) for asked in ASKED}
        for parameter in self.plugin.parameters:
            found[parameter.name] = parameter_problem(parameter, self.texts.get(parameter.name, ""))
        return {key: problem for key, problem in found.items() if problem}

    def _asked_problem(self, asked: Asked) -> str:
        text = self.said(asked.key)
        try:
            if asked.key == GPUS:
                self.wanted()
            elif asked.key == AFTER:
                job_ids(text, self.arrays)
            elif text:
                asked.read(text)
        except ValueError as error:
            return str(error)
        if asked.key == MEMORY and not text and self.said(SHARED) == "true":
            return "a shared job has to say how much it needs on each GPU"
        return ""

    def wanted(self) -> Wanted:
        """The GPUs it asks for. Raises ValueError that says what they may be."""
        if not self.said(SLICE):
            return gpu_wish(self.texts.get(GPUS, ""), self.plugin, self.gpus)
        if self.said(GPUS):
            raise ValueError("a job has GPUs or slices: leave this empty")
        slices = len(slice_names(self.said(SLICE)))
        gpu_wish(str(slices), self.plugin, self.gpus)
        return 0

    # The same in other forms

    def words(self) -> list[str]:
        """The command line that asks for the same."""
        words = ["cockpit", "run", self.plugin.name]
        for asked in ASKED:
            text = self.said(asked.key)
            if asked.key == SHARED:
                words += [SHARED] if text == "true" else []
            elif text and asked.each:
                for word in asked.read(text):
                    words += _option(asked.key, word)
            elif text:
                words += _option(asked.key, text.strip())
        for parameter in self.plugin.parameters:
            text = self.said(parameter.name)
            if text and not same(parameter, text, parameter.default):
                words += _option(flag(parameter), text)
        return words

    def command_line(self) -> str:
        """The same, quoted for a shell."""
        return shlex.join(self.words())

    def request(self, token: str | None = None) -> JobRequest:
        """What to submit. Raises ValueError or UsageError if something is wrong with it."""
        wanted = self.wanted()
        gpus = wanted if isinstance(wanted, int) else tuple(self.gpus[index] for index in wanted)
        known = {parameter.name for parameter in self.plugin.parameters}
        values = {key: text for key, text in self.texts.items() if key in known and text.strip()}
        read = {
            asked.key: asked.read(self.said(asked.key)) for asked in ASKED if self.said(asked.key)
        }
        indices, parallel = read.get(ARRAY, ((), None))
        slices = read.get(SLICE, ())
        plain = request(self.plugin, values, len(slices) or gpus, read.get(NAME), token=token)
        return replace(
            plain,
            gpus=gpus,
            slices=slices,
            gpu_memory_bytes=read.get(MEMORY),
            shared=read.get(SHARED, False),
            priority=read.get(PRIORITY, 0),
            time_limit_s=read.get(LIMIT),
            after=job_ids(self.said(AFTER), self.arrays),
            array=indices,
            array_parallel=parallel,
            retries=read.get(RETRIES, 0),
        )


def _option(option: str, value: str) -> list[str]:
    # A value that begins with a minus would be read as another option.
    return [f"{option}={value}"] if value.startswith("-") else [option, value]


def flag(parameter: Parameter) -> str:
    """The option of `cockpit run` for a parameter."""
    return "--" + parameter.name.replace("_", "-")


def same(parameter: Parameter, text: str, value: object) -> bool:
    """Whether a text means that value."""
    try:
        return value is not None and read_value(parameter, text) == read_value(parameter, value)
    except ValueError:
        return False


def parameter_problem(parameter: Parameter, text: str) -> str:
    """What is wrong with the text for a parameter; empty if nothing."""
    if not text.strip():
        return "" if parameter.default is not None else f"wants {parameter.wants}"
    try:
        read_value(parameter, text)
    except ValueError as error:
        return str(error)
    return ""


def named_gpus(text: str) -> tuple[int, ...]:
    """The indices that a text names, whether or not there may be so many; none for a count."""
    parts = [part.strip() for part in text.split(",")] if "," in text else []
    return tuple(int(part) for part in parts if part.isdecimal() and part.isascii())


def gpu_wish(text: str, plugin: Plugin, gpus: Mapping[int, str]) -> Wanted:
    """`2` is a count, `0,3` and `3,` name them, as in `cockpit run --gpus`. Raises ValueError."""
    need, text = plugin.gpus, text.strip()
    chosen: tuple[int, ...] = ()
    if "," in text:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not parts or not all(part.isdecimal() and part.isascii() for part in parts):
            raise ValueError("wants a number, or which ones: 0,3")
        chosen = tuple(int(part) for part in parts)
        missing = [index for index in chosen if index not in gpus]
        if missing:
            raise ValueError(f"this box has no GPU {missing[0]}")
        if len(set(chosen)) < len(chosen):
            raise ValueError("names a GPU twice")
        wanted = len(chosen)
    elif text.isdecimal() and text.isascii():
        wanted = int(text)
    else:
        raise ValueError("wants a number, or which ones: 0,3")
    if not need.minimum <= wanted <= need.maximum:
        raise ValueError(f"runs on {need.wants}, not on {wanted}")
    return chosen or wanted
