"""From a plugin and what was chosen to a JobRequest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cockpit.errors import UsageError
from cockpit.model import JobRequest
from cockpit.parameters import read_value
from cockpit.plugins.model import Plugin, Preset

BENCH_TABLE = "bench"
"""The table that a benchmark reports its figures in."""


def validate(plugin: Plugin, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of a plugin with its value: text is read, defaults are filled in.

    Raises UsageError that names the first parameter that is unknown, missing or out of bounds.
    """
    known = {parameter.name: parameter for parameter in plugin.parameters}
    for name in values:
        if name not in known:
            have = ", ".join(known) or "none"
            raise UsageError(f"{plugin.name} has no parameter {name!r}", f"It has: {have}.")
    result: dict[str, Any] = {}
    for name, parameter in known.items():
        value = values.get(name)
        if value is None:
            value = parameter.default
        if value is None:
            raise UsageError(f"{plugin.name} needs {name}: {parameter.help or parameter.type}")
        try:
            result[name] = read_value(parameter, value)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    return result


def find_preset(plugin: Plugin, name: str) -> Preset:
    """The preset of that name. Raises UsageError if the plugin has none."""
    for preset in plugin.presets:
        if preset.name == name:
            return preset
    have = ", ".join(preset.name for preset in plugin.presets) or "none"
    raise UsageError(f"{plugin.name} has no preset {name!r}", f"It has: {have}.")


def request(
    plugin: Plugin,
    parameters: Mapping[str, Any],
    gpus: int | Sequence[str] | None = None,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    token: str | None = None,
    preset: str | None = None,
) -> JobRequest:
    """What to submit to run a plugin; `gpus` is a count or UUIDs, and the plugin's default if None.

    What is given wins over the preset, and the preset over the defaults. Raises UsageError for a
    preset that is not there, and for a parameter or a number of GPUs that the plugin cannot take.
    """
    if preset is not None:
        chosen = find_preset(plugin, preset)
        parameters = {**chosen.parameters, **parameters}
        gpus = chosen.gpus if gpus is None else gpus
    need = plugin.gpus
    wanted: int | tuple[str, ...] = (
        need.default if gpus is None else gpus if isinstance(gpus, int) else tuple(gpus)
    )
    count = wanted if isinstance(wanted, int) else len(wanted)
    if not need.minimum <= count <= need.maximum:
        raise UsageError(f"{plugin.name} runs on {need.wants}, not on {count}")
    return JobRequest(
        name=name or plugin.name,
        command=plugin.command,
        plugin=plugin.name,
        plugin_directory=str(plugin.directory),
        requires=plugin.requires,
        environment_name=plugin.environment,
        family=plugin.family,
        gpus=wanted,
        parameters=validate(plugin, parameters),
        environment=dict(environment or {}),
        views=plugin.views,
        service=plugin.service,
        token=token,
    )


def bench_request(
    plugin: Plugin,
    parameters: Mapping[str, Any],
    gpus: int | Sequence[str] | None = None,
) -> JobRequest:
    """What to submit to run a plugin's benchmark; raises as `request` does, and if it has none."""
    bench = plugin.bench
    if bench is None:
        raise UsageError(
            f"{plugin.name} has no benchmark", "A plugin says what to run under [bench]."
        )
    if bench.requires:
        # What only the benchmark needs is no business of a family's environment.
        requires = (*plugin.requires, *bench.requires)
        plugin = replace(plugin, requires=requires, environment=None, family=())
    plain = request(plugin, {**bench.parameters, **parameters}, gpus)
    return replace(
        plain,
        name=f"bench-{plugin.name}",
        command=bench.command,
        service=None,
        views=({"type": "table", "name": BENCH_TABLE, "title": "Benchmark"},),
    )
