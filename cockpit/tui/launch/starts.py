"""What a form begins with: defaults, presets, what was launched last, a job, a GPU. No Textual."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cockpit.model import JobRequest
from cockpit.plugins import Plugin
from cockpit.tui.launch.order import GPUS, Order
from cockpit.tui.launch.texts import defaults, preset_texts, request_texts
from cockpit.tui.memory import Memory


@dataclass(frozen=True)
class Start:
    """What the form can begin with: its name in the row, and the text of every field."""

    label: str
    texts: Mapping[str, str]
    summary: str = ""
    """What it is for; empty where the label says it all."""


def starts_of(
    plugin: Plugin,
    memory: Memory,
    gpus: Mapping[int, str],
    request: JobRequest | None,
    gpu: str | None,
) -> tuple[dict[str, Start], str]:
    """All of them, and which comes first: a job's values, a GPU (UUID), the last ones, the defaults."""
    starts = {"defaults": Start("defaults", defaults(plugin))}
    for preset in plugin.presets:
        starts[f"preset {preset.name}"] = Start(
            preset.title, preset_texts(plugin, preset), preset.summary
        )
    first, last = "defaults", last_texts(plugin, memory, gpus)
    if last is not None:
        first, starts["last"] = "last", Start("last used", last)
    indices = {uuid: index for index, uuid in gpus.items()}
    if request is not None and request.plugin == plugin.name:
        first, starts["job"] = "job", Start("that job", request_texts(plugin, request, indices))
    elif gpu in indices and plugin.gpus.maximum > 0:
        begun = {**starts[first].texts, GPUS: f"{indices[gpu]},"}
        first, starts["here"] = "here", Start(f"GPU {indices[gpu]}", begun)
    return starts, first


def last_texts(plugin: Plugin, memory: Memory, gpus: Mapping[int, str]) -> dict[str, str] | None:
    """What this plugin was last launched with, as far as it still has such fields and they fit."""
    try:
        texts = json.loads(memory.text(f"launch.last.{plugin.name}"))
    except ValueError:
        return None
    if not isinstance(texts, dict):
        return None
    kept = {key: str(text) for key, text in texts.items() if key in _kept(plugin)}
    begun = defaults(plugin) | kept
    return None if Order(plugin, begun, gpus).problems() else begun


def remember(memory: Memory, order: Order) -> None:
    """Keep what was launched for the next time; what it waits for is not."""
    last = {key: text for key, text in order.texts.items() if key in _kept(order.plugin)}
    memory.set("launch.plugin", order.plugin.name)
    memory.set(f"launch.last.{order.plugin.name}", json.dumps(last))


def _kept(plugin: Plugin) -> set[str]:
    return {GPUS, *(parameter.name for parameter in plugin.parameters)}


def as_it_is(plugin: Plugin) -> JobRequest:
    """The request of a plugin by its defaults; its parameters play no part in where it runs."""
    return JobRequest(
        plugin.name,
        plugin.command,
        plugin=plugin.name,
        plugin_directory=str(plugin.directory),
        requires=plugin.requires,
        environment_name=plugin.environment,
        family=plugin.family,
        gpus=plugin.gpus.default,
    )
