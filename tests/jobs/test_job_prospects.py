"""What would become of a request is told before it is submitted, and nothing comes of the asking."""

from __future__ import annotations

from typing import Any

from job_bench import Bench, box, snapshot, uuid

from cockpit.model import Prospect


async def ask(bench: Bench, **changes: Any) -> Prospect:
    request = {"name": "maybe", "command": ["true"], **changes}
    answer: Prospect = await bench.service.methods["job.prospect"](request)
    return answer


async def test_what_would_start_names_its_gpus_and_why_and_the_job_then_gets_them(
    bench: Bench,
) -> None:
    told = await ask(bench, gpus=2)
    assert told.fate == "starts" and len(told.gpus) == 2 and "GPU" in told.text
    assert (await bench.call("job.list"))["jobs"] == [] and not bench.service.busy()
    job = await bench.submit("sleep", "600", gpus=2)
    assert (await bench.show(job)).gpus == told.gpus


async def test_what_would_wait_says_for_what_and_a_higher_priority_passes_the_queue(
    bench: Bench,
) -> None:
    count = len(box().gpus)
    holder = await bench.submit("sleep", "600", gpus=count)
    waiting = await bench.submit("true", gpus=1)
    told = await ask(bench, gpus=1)
    assert told.fate == "waits" and waiting.id in told.text
    assert "behind" not in (await ask(bench, gpus=1, priority=5)).text
    after = await ask(bench, gpus=0, after=[holder.id])
    assert (after.fate, after.text) == ("waits", f"waiting for job {holder.id}")
    assert (await ask(bench, gpus=0)).fate == "starts"


async def test_what_can_never_run_says_what_could(bench: Bench) -> None:
    bench.service.observe(box(), snapshot())
    told = await ask(bench, gpus=len(box().gpus) + 1)
    assert told.fate == "never" and f"at most {len(box().gpus)}" in told.text
    assert "no job 99" in (await ask(bench, after=["99"])).text
    assert "priority" in (await ask(bench, priority=5000)).text
    assert (await ask(bench, gpus=[uuid(0)])).fate == "starts"


async def test_an_environment_that_is_still_to_be_built_is_told(bench: Bench) -> None:
    assert (await ask(bench, requires=["no-such-thing-at-all==1.0"])).builds
    assert not (await ask(bench, requires=["pytest"])).builds
