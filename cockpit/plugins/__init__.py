"""Plugins on the desk: found by name, read from `plugin.toml`, without importing any workload."""

from __future__ import annotations

from cockpit.plugins.finding import (
    find,
    find_all,
    find_place,
    load_place,
    names,
    own_folder,
    places,
    roots,
)
from cockpit.plugins.manifest import FILE, KEYS, KINDS, VIEW_TYPES, load
from cockpit.plugins.model import Bench, BrokenPlugin, Found, GpuNeed, Origin, Place, Plugin, Preset
from cockpit.plugins.requests import BENCH_TABLE, bench_request, find_preset, request, validate

__all__ = [
    "BENCH_TABLE",
    "FILE",
    "KEYS",
    "KINDS",
    "VIEW_TYPES",
    "Bench",
    "BrokenPlugin",
    "Found",
    "GpuNeed",
    "Origin",
    "Place",
    "Plugin",
    "Preset",
    "bench_request",
    "find",
    "find_all",
    "find_place",
    "find_preset",
    "load",
    "load_place",
    "names",
    "own_folder",
    "places",
    "request",
    "roots",
    "validate",
]
