"""What can be asked of a box about its jobs: a part of `Box`."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cockpit.link import CALL_TIMEOUT_S, decode
from cockpit.model import (
    Job,
    JobFile,
    JobImage,
    JobRequest,
    JobTable,
    JobText,
    LedgerEntry,
    Prospect,
)

DRAIN_MOST_S = 3600.0
COPY_TIMEOUT_S = 600.0
"""For a submission that copies a directory."""


@dataclass(frozen=True)
class ServiceAccess:
    """How a service is reached from this machine."""

    base_url: str
    """Of one that speaks OpenAI's API it ends in /v1."""
    key: str
    models: tuple[str, ...] = ()
    state: str = "ready"


class JobCalls:
    """The calls; `call` and `place` are the box's own."""

    async def call(
        self, method: str, params: Any = None, timeout_s: float | None = CALL_TIMEOUT_S
    ) -> Any:
        """The decoded result of any method of the protocol."""
        raise NotImplementedError

    async def place(self, folder: str) -> str:
        """The path on the box of a folder of this machine."""
        raise NotImplementedError

    async def forward(self, port: int) -> int:
        """A local port that leads to a port of the box's loopback."""
        raise NotImplementedError

    async def usage(self, since_s: float, until_s: float) -> list[LedgerEntry]:
        """The ledger: every job that had its devices in this span, running and removed ones too."""
        found: list[LedgerEntry] = []
        while True:
            params = {"since_s": since_s, "until_s": until_s, "offset": len(found)}
            result = await self.call("usage", params)
            found += [decode(LedgerEntry, entry) for entry in result["entries"]]
            if not result["entries"] or len(found) >= result["total"]:
                return found

    async def submit(self, request: JobRequest, secrets: Mapping[str, str] | None = None) -> Job:
        """Queue a job; returns as soon as the agent has it on disk, what is to be copied included.

        `secrets` holds a value for each name in `request.secrets`. The same token twice is one job.
        """
        request = await self._placed(request)
        params = {**vars(request), "secret_values": dict(secrets or {})}
        patience_s = CALL_TIMEOUT_S if request.snapshot_directory is None else COPY_TIMEOUT_S
        return decode(Job, await self.call("job.submit", params, patience_s))

    async def _placed(self, request: JobRequest) -> JobRequest:
        """The request with its folders where the box has them: sent there, if it is another machine."""
        plugin, snapshot = request.plugin_directory, request.snapshot_directory
        return replace(
            request,
            plugin_directory=plugin and await self.place(plugin),
            snapshot_directory=snapshot and await self.place(snapshot),
        )

    async def prospect(self, request: JobRequest) -> Prospect:
        """What would become of a request now: starts, waits or can never run; submits nothing."""
        return decode(Prospect, await self.call("job.prospect", await self._placed(request)))

    async def jobs(self, array: str | None = None) -> tuple[Job, ...]:
        """Every job, newest first; with `array` only the members of that one, by its id."""
        params: dict[str, Any] = {} if array is None else {"array": array}
        found: list[Job] = []
        while True:
            result = await self.call("job.list", params)
            found += [decode(Job, entry) for entry in result["jobs"]]
            if not result.get("more"):
                return tuple(found)
            params = {**params, "before": int(found[-1].id)}

    async def job(self, job_id: str) -> Job:
        """One job. BoxError with code NOT_FOUND if there is none of that id."""
        return decode(Job, await self.call("job.show", {"id": job_id}))

    async def job_request(self, job_id: str) -> JobRequest:
        """What a job was submitted with, to launch another like it."""
        return decode(JobRequest, await self.call("job.request", {"id": job_id}))

    async def stop_job(self, job_id: str, grace_s: float | None = None) -> Job:
        """SIGTERM to the whole tree, SIGKILL after `grace_s`; returns when it is gone.

        Without one: as long as a service takes to drain, and else 10 s.
        """
        params = {"id": job_id, **({} if grace_s is None else {"grace_s": grace_s})}
        wait_s = DRAIN_MOST_S if grace_s is None else grace_s
        return decode(Job, await self.call("job.stop", params, wait_s + CALL_TIMEOUT_S))

    async def service(self, job_id: str) -> ServiceAccess:
        """How a service is reached from here; of another box its port is forwarded.

        BoxError REFUSED if the job is no service or does not run.
        """
        answer = await self.call("job.service", {"id": job_id})
        port = await self.forward(int(answer["port"]))
        base = f"http://127.0.0.1:{port}" + ("/v1" if answer["protocol"] == "openai" else "")
        return ServiceAccess(base, str(answer["key"]), tuple(answer["models"]), answer["state"])

    async def remove_job(self, job_id: str) -> None:
        """Delete a job that has ended, with its directory. BoxError REFUSED if it has not."""
        await self.call("job.remove", {"id": job_id})

    async def requeue_job(
        self,
        job_id: str,
        token: str | None = None,
        secrets: Mapping[str, str] | None = None,
        array: bool = False,
    ) -> Job:
        """Submit a job that has ended once more; the same token twice makes one job.

        With `array` every job of the array that it belongs to. The values of its secrets have to be
        given again.
        """
        params: dict[str, Any] = {"id": job_id, "token": token, "array": array}
        params["secret_values"] = dict(secrets or {})
        return decode(Job, await self.call("job.requeue", params, COPY_TIMEOUT_S))

    async def job_log(self, job_id: str, offset: int, limit: int = 65536) -> dict[str, Any]:
        """Bytes of the log from `offset` (negative: from the end); see `job.log` for the keys."""
        return dict(await self.call("job.log", {"id": job_id, "offset": offset, "limit": limit}))

    async def job_search(
        self,
        job_id: str,
        pattern: str,
        offset: int,
        *,
        until: int | None = None,
        backwards: bool = False,
        regex: bool = False,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Look for `pattern` in a part of the log; see `job.search` for the keys."""
        asked = {"id": job_id, "pattern": pattern, "offset": offset, "backwards": backwards}
        asked |= {"regex": regex, "limit": limit, **({} if until is None else {"until": until})}
        return dict(await self.call("job.search", asked))

    async def job_events(self, job_id: str, offset: int, limit: int = 200) -> dict[str, Any]:
        """Whole events of the job from byte `offset` on; see `job.events` for the keys."""
        return dict(await self.call("job.events", {"id": job_id, "offset": offset, "limit": limit}))

    async def job_metrics(
        self,
        job_id: str,
        points: int = 400,
        names: Iterable[str] = (),
        axis: str = "step",
        since: float | None = None,
        until: float | None = None,
    ) -> dict[str, Any]:
        """What the job measured, the whole run or a part of it; see `job.metrics` for the keys."""
        asked = {"id": job_id, "points": points, "names": list(names), "axis": axis}
        return dict(await self.call("job.metrics", {**asked, "since": since, "until": until}))

    async def job_frame(self, job_id: str, name: str, after: int = 0) -> dict[str, Any]:
        """The newest frame of a live field if its sequence is above `after`; see `job.frame`."""
        return dict(await self.call("job.frame", {"id": job_id, "name": name, "after": after}))

    async def job_image(self, job_id: str, name: str, after: int = 0) -> JobImage | None:
        """The newest picture of a name in `Job.images`; None if its version is not above `after`.

        BoxError NOT_FOUND without one of that name, REFUSED if it is too large or no PNG or JPEG.
        """
        answer = await self.call("job.image", {"id": job_id, "name": name, "after": after})
        if "data" not in answer:
            return None
        return JobImage(answer["version"], answer["format"], base64.b64decode(answer["data"]))

    async def job_table(self, job_id: str, name: str, after: int = 0) -> JobTable | None:
        """The newest table of a name in `Job.tables`; None if its version is not above `after`."""
        answer = await self.call("job.table", {"id": job_id, "name": name, "after": after})
        return decode(JobTable, answer) if "rows" in answer else None

    async def job_text(self, job_id: str, name: str, after: int = 0) -> JobText | None:
        """The newest text of a name in `Job.texts`; None if its version is not above `after`."""
        answer = await self.call("job.text", {"id": job_id, "name": name, "after": after})
        return decode(JobText, answer) if "text" in answer else None

    async def job_files(self, job_id: str, path: str = "") -> tuple[JobFile, ...]:
        """Everything at and below a path of the job's directory; paths in it begin there.

        A file's own path is empty. BoxError NOT_FOUND if there is nothing of that name.
        """
        found: list[JobFile] = []
        params = {"id": job_id, "path": path}
        while True:
            result = await self.call("job.files", params)
            found += [decode(JobFile, entry) for entry in result["entries"]]
            if not result["more"]:
                return tuple(found)
            params = {**params, "after": found[-1].path}

    async def job_read(self, job_id: str, path: str, offset: int, limit: int) -> dict[str, Any]:
        """At most `limit` bytes (1 MiB) of a file of the job's directory; see `job.read`."""
        asked = {"id": job_id, "path": path, "offset": offset, "limit": limit}
        return dict(await self.call("job.read", asked))
