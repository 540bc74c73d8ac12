"""The `environment.*` methods of the protocol: what there is, where a plugin would run, what may go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from cockpit import codec
from cockpit.agent.environments import catalogue
from cockpit.agent.environments.choice import need_of, where
from cockpit.agent.environments.installer import find_uv
from cockpit.agent.environments.need import Need
from cockpit.model import JobRequest
from cockpit.protocol import INVALID_PARAMS, NOT_FOUND, REFUSED, RpcError
from cockpit.settings import EnvironmentSettings

Method = Callable[[dict[str, Any]], Awaitable[Any]]


class EnvironmentService:
    """What the agent knows of environments."""

    def __init__(self, root: Path, settings: EnvironmentSettings) -> None:
        self._root, self._settings = root, settings
        self.methods: Mapping[str, Method] = {
            "environment.list": self._list,
            "environment.find": self._find,
            "environment.remove": self._remove,
        }

    async def _list(self, _: dict[str, Any]) -> dict[str, Any]:
        found = await asyncio.to_thread(catalogue.everything, self._root)
        return {
            "directory": str(self._root),
            "uv": find_uv(),
            "offline": self._settings.offline,
            "prebuilt": dict(self._settings.prebuilt),
            "environments": found,
        }

    async def _find(self, params: dict[str, Any]) -> dict[str, Any]:
        """Where this request would run: its own environment, a pre-built one, or the agent's Python."""
        try:
            request = codec.loads(JobRequest, params)
            code = Path(request.plugin_directory or "/nonexistent")
            need = need_of(request, code, self._settings)
        except (ValueError, OSError) as error:
            raise RpcError(INVALID_PARAMS, f"the request makes no sense: {error}") from None
        return await asyncio.to_thread(self._where, need)

    def _where(self, need: Need) -> dict[str, Any]:
        place = where(need, self._settings, self._root)
        identity = place.directory.name if place.directory else None
        return {
            "origin": place.origin,
            "python": place.python,
            "id": identity,
            "ready": place.ready,
        }

    async def _remove(self, params: dict[str, Any]) -> dict[str, Any]:
        identity = params.get("id")
        if not isinstance(identity, str):
            raise RpcError(INVALID_PARAMS, f'"id" must be text, got {identity!r:.60}')
        found = await asyncio.to_thread(catalogue.find, self._root, identity)
        if found is None:
            raise RpcError(
                NOT_FOUND,
                f"there is no one environment {identity!r:.60}",
                "`cockpit environments` lists them.",
            )
        try:
            await asyncio.to_thread(catalogue.remove, self._root, found.id)
        except (catalogue.InUseError, OSError) as error:
            raise RpcError(
                REFUSED, f"the environment {found.id} cannot be removed now: {error}"
            ) from None
        return {"removed": found.id, "size_bytes": found.size_bytes}
