"""GPU 3 lost, GPU 2 in thermal slowdown, an XID on GPU 5: named in every place."""

from __future__ import annotations

import json
import re

import pytest
from standin.fixtures import Standin
from whole_cockpit import Cockpit, screen_lines, shown, until


def troubles(cockpit: Cockpit, standin: Standin) -> None:
    assert cockpit.run("status")[0] == 0
    standin.lose(3)
    standin.overheat(2)
    standin.xid(5, 48)

    def all_told() -> bool:
        found = json.loads(cockpit.run("status", "--json")[1])["gpus"]
        return {gpu["index"] for gpu in found if gpu["state"] != "ok"} == {2, 3, 5}

    until(all_told)


def test_status_and_events_name_each(cockpit: Cockpit, standin: Standin) -> None:
    troubles(cockpit, standin)

    code, page = cockpit.run("status")
    assert code == 1
    rows = {line.split()[0]: line for line in page.splitlines()[2:12]}
    assert list(rows) == [str(index) for index in range(10)]
    assert rows["3"].endswith("lost") and "hw thermal" in rows["2"]
    code, out = cockpit.run("status", "--json")
    assert code == 1
    gpus = json.loads(out)["gpus"]
    assert (gpus[2]["state"], gpus[3]["state"]) == ("critical", "lost")
    assert "hw_thermal" in gpus[2]["throttle_reasons"]
    assert "heat" in " ".join(gpus[2]["reasons"]) and "GPU 3" in gpus[3]["reasons"][0]
    assert "XID 48" in " ".join(gpus[5]["reasons"])
    assert gpus[3]["power_w"] is None and gpus[3]["errors"]["power_w"]

    events = cockpit.run("events")[1]
    for trouble in (r"GPU 3 .*no longer answers", r"GPU 2 .*heat", r"GPU 5 .*XID 48"):
        assert re.search(trouble, events), events


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=["80x24", "200x60"])
async def test_the_wall_and_the_events_screen_name_each(
    cockpit: Cockpit, standin: Standin, size: tuple[int, int]
) -> None:
    troubles(cockpit, standin)
    app = cockpit.app()
    async with app.run_test(size=size) as pilot:
        text = await shown(pilot, lambda text: {"LOST", "HOT", "XID"} <= set(text.split()))
        if size == (80, 24):
            assert re.search(r"^. 3\W.*LOST", text, re.MULTILINE)
            assert re.search(r"^. 2\W.*HOT", text, re.MULTILINE)
            assert re.search(r"^. 5\W.*XID", text, re.MULTILINE)
        await pilot.press("e")
        text = await shown(pilot, lambda text: "GPU 5" in text and "GPU 2 is" in text)
        for trouble in (r"lost .*GPU 3 no longer answers", r"GPU 2 .*heat", r"xid .*GPU 5 had"):
            assert re.search(trouble, text), text
        # The oldest is the XID; where its line is too short for the number, its detail has it.
        await pilot.press("G")
        await shown(pilot, lambda text: "XID 48" in text)


async def test_ten_gpus_fit_80_by_24_with_every_column(cockpit: Cockpit, standin: Standin) -> None:
    for index in range(10):
        standin.set(index, load=7 + 9 * index)
    standin.run_clock()
    app = cockpit.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda text: re.search(r"^. 9\W( *\S+){6} +\d+G ", text, re.MULTILINE))
        lines = screen_lines(app)
        assert app.live.snapshot is not None
        gpus = app.live.snapshot.gpus
        assert len(lines) == 24 and all(len(line) <= 80 for line in lines)
        head = next(line for line in lines if "°C" in line and "state" in line)
        for title in ("#", "power", "W", "°C", "SM", "TC", "HBM", "mem", "MHz", "state", "work"):
            assert title in head
        for gpu in gpus:
            row = next(line for line in lines if re.match(rf"^. {gpu.index}\W", line))
            figures = [
                f"{value:.0f}"
                for value in (
                    gpu.power_w,
                    gpu.temperature_c,
                    gpu.sm_active_percent,
                    gpu.tensor_active_percent,
                    gpu.dram_active_percent,
                )
                if value is not None
            ]
            assert len(figures) == 5 and gpu.memory_used_bytes is not None
            figures += [f"{gpu.memory_used_bytes / 2**30:.0f}G", str(gpu.sm_clock_mhz)]
            assert re.search(r" +".join(rf"\b{re.escape(each)}" for each in figures), row), row
