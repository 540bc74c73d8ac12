"""The values of jobs' secrets: in the agent's memory from the submission to the end, nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cockpit.protocol import INVALID_PARAMS, RpcError

VALUE_BYTES_MOST = 128 * 1024 - 1024
"""Linux passes no longer string to a program (MAX_ARG_STRLEN, the name included)."""


def taken(params: dict[str, Any], names: Sequence[str]) -> dict[str, str]:
    """The values beside a request, taken out of it; one for each of `names`.

    Raises RpcError, which names what is wrong and holds no value.
    """
    values = params.pop("secret_values", None) or {}
    if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
        raise RpcError(INVALID_PARAMS, '"secret_values" must be an object of texts')
    missing = [name for name in names if name not in values]
    if missing:
        raise RpcError(
            INVALID_PARAMS,
            f"there is no value for the secret {missing[0]}",
            f"Values are never kept: give it again with `--secret {missing[0]}`.",
        )
    for name in names:
        if "\0" in values[name]:
            raise RpcError(INVALID_PARAMS, f"the secret {name} holds a NUL byte")
        if len(values[name].encode(errors="surrogateescape")) > VALUE_BYTES_MOST:
            raise RpcError(
                INVALID_PARAMS,
                f"the secret {name} is longer than a variable can be (127 KiB)",
                "Let the job read it from a file.",
            )
    return {name: values[name] for name in names}


class Vault:
    """Secrets by job id."""

    def __init__(self) -> None:
        self._values: dict[str, Mapping[str, str]] = {}

    def keep(self, jobs: Iterable[str], values: Mapping[str, str]) -> None:
        """Remember the values for these jobs."""
        if values:
            self._values.update(dict.fromkeys(jobs, values))

    def of(self, job: str) -> Mapping[str, str]:
        """What a job was given; nothing for one without secrets."""
        return self._values.get(job, {})

    def lost(self, job: str, names: Sequence[str]) -> str:
        """Why a job with these secrets can never start (again); empty if it can."""
        if not names or job in self._values:
            return ""
        options = " ".join(f"--secret {name}" for name in names)
        return (
            "its secrets were in the memory of an agent that has ended;"
            f" `cockpit requeue {job} {options}` gives them again"
        )

    def forget(self, job: str) -> None:
        """The job is over."""
        self._values.pop(job, None)
