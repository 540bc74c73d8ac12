"""The text of every field of a form: from a plugin, a preset, or a job's request. Pure: no Textual."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit import wishes
from cockpit.model import JobRequest
from cockpit.plugins import Plugin, Preset
from cockpit.tui.launch.order import (
    ARRAY,
    GPUS,
    LIMIT,
    MEMORY,
    NAME,
    PRIORITY,
    RETRIES,
    SHARED,
    SLICE,
)


def value_text(value: object) -> str:
    """A value as one writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)


def defaults(plugin: Plugin) -> dict[str, str]:
    """The form as its plugin wants it to begin with."""
    texts = {GPUS: str(plugin.gpus.default)}
    return texts | {each.name: value_text(each.default) for each in plugin.parameters}


def preset_texts(plugin: Plugin, preset: Preset) -> dict[str, str]:
    """The form with what a preset sets."""
    texts = defaults(plugin)
    texts |= {name: value_text(value) for name, value in preset.parameters.items()}
    return texts | ({GPUS: str(preset.gpus)} if preset.gpus is not None else {})


def request_texts(
    plugin: Plugin, request: JobRequest, indices: Mapping[str, int]
) -> dict[str, str]:
    """The form with what a job was submitted with, as far as this box still has it."""
    texts = defaults(plugin)
    known = {parameter.name for parameter in plugin.parameters}
    texts |= {name: value_text(v) for name, v in request.parameters.items() if name in known}
    if isinstance(request.gpus, int):
        texts[GPUS] = "" if request.slices and not request.gpus else str(request.gpus)
    else:
        named = [str(indices[uuid]) for uuid in request.gpus if uuid in indices]
        texts[GPUS] = ",".join(named) + ("," if len(named) == 1 else "")
    more = {
        SLICE: ", ".join(request.slices),
        MEMORY: wishes.memory_text(request.gpu_memory_bytes) if request.gpu_memory_bytes else "",
        SHARED: "true" if request.shared else "",
        NAME: request.name if request.name != plugin.name else "",
        PRIORITY: str(request.priority) if request.priority else "",
        LIMIT: f"{request.time_limit_s:g}s" if request.time_limit_s else "",
        ARRAY: wishes.array_text(request.array, request.array_parallel) if request.array else "",
        RETRIES: str(request.retries) if request.retries else "",
    }
    return texts | {key: text for key, text in more.items() if text}
