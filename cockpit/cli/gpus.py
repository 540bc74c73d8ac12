"""Which GPU a person means."""

from __future__ import annotations

from cockpit.errors import UsageError
from cockpit.model import BoxInfo, GpuInfo


def find_gpu(info: BoxInfo, text: str) -> GpuInfo:
    """The GPU of this index, UUID or unambiguous beginning of a UUID (with or without `GPU-`).

    Raises UsageError that lists what there is.
    """
    if not info.gpus:
        raise UsageError(
            f"there is no GPU {text}: {info.problem or 'this box has none'}", info.advice or ""
        )
    if text.isdecimal() and len(text) < 4:
        found = [gpu for gpu in info.gpus if gpu.index == int(text)]
    else:
        wanted = text.lower().removeprefix("gpu-")
        uuids = {gpu.uuid: gpu.uuid.lower().removeprefix("gpu-") for gpu in info.gpus}
        found = [gpu for gpu in info.gpus if wanted and uuids[gpu.uuid].startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(gpu.uuid for gpu in found)
        raise UsageError(f"{text!r} begins more than one GPU's UUID: {listed}", "Write more of it.")
    indices = ", ".join(str(gpu.index) for gpu in info.gpus)
    raise UsageError(f"there is no GPU {text!r}", f"There are {indices}; a UUID works too.")
