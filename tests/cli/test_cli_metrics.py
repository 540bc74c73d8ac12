"""`cockpit metrics`: dcgm-exporter's names and units, and a server that nobody can hold up."""

import asyncio
import re

import pytest
from cli_boxes import FakeBox, a_box, a_gpu, a_lost_gpu, a_snapshot, uuid

from cockpit.cli import metrics
from cockpit.cli.exposition import exposition
from cockpit.cli.listening import parse_address
from cockpit.cli.metrics import DEFAULT_ADDRESS, Exporter
from cockpit.errors import BoxError, UsageError

SAMPLE = re.compile(r'(\w+)\{((?:\w+="(?:[^"\\\n]|\\.)*",?)+)\} (-?[0-9.e+-]+)')


def samples(page: str) -> dict[tuple[str, str], float]:
    """(family, gpu) → value; fails on a line that is no sample."""
    found = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2]))
            found[match[1], labels.get("gpu", labels.get("state", ""))] = float(match[3])
    return found


def test_units_are_those_of_dcgm_exporter() -> None:
    found = samples(exposition(a_box(1), a_snapshot(a_gpu(0))))
    assert found["DCGM_FI_DEV_POWER_USAGE", "0"] == 312.4
    assert found["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "0"] == 1_234_500
    assert found["DCGM_FI_DEV_FB_USED", "0"] == 40 * 1024
    assert found["DCGM_FI_DEV_FB_FREE", "0"] == 40 * 1024
    assert found["DCGM_FI_PROF_SM_ACTIVE", "0"] == 0.91
    assert found["DCGM_FI_PROF_PCIE_RX_BYTES", "0"] == 1e9
    assert found["DCGM_FI_DEV_XID_ERRORS", "0"] == 0


def test_what_could_not_be_read_is_left_out() -> None:
    found = samples(exposition(a_box(), a_snapshot(a_gpu(0), a_lost_gpu(1))))
    assert {name for name, gpu in found if gpu == "1"} == set()
    assert found["cockpit_gpus", "lost"] == 1


def test_a_counter_and_a_gauge_are_typed_once() -> None:
    page = exposition(a_box(), a_snapshot(a_gpu(0), a_gpu(1)))
    assert page.count("# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n") == 1
    assert page.count("# TYPE DCGM_FI_DEV_GPU_TEMP gauge\n") == 1
    assert page.endswith("\n")


def test_labels_are_those_that_dashboards_ask_for() -> None:
    page = exposition(a_box(1), a_snapshot(a_gpu(0)))
    labels = f'gpu="0",UUID="{uuid(0)}",pci_bus_id="0000:00:00.0",device="nvidia0"'
    rest = 'modelName="NVIDIA H100 PCIe",Hostname="tower",DCGM_FI_DRIVER_VERSION="580.65.06"'
    assert f"DCGM_FI_DEV_GPU_TEMP{{{labels},{rest}}} 61\n" in page
    assert "simulated" not in page


def test_simulated_figures_carry_it_on_every_line() -> None:
    page = exposition(a_box(1, source="simulated"), a_snapshot(a_gpu(0)))
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert lines and all('simulated="true"' in line for line in lines)


def test_a_label_cannot_break_the_page() -> None:
    page = exposition(a_box(1, hostname='a"b\\c\nd'), a_snapshot(a_gpu(0)))
    assert 'Hostname="a\\"b\\\\c\\nd"' in page
    samples(page)


def test_a_box_without_gpus_has_a_page() -> None:
    found = samples(exposition(a_box(0, problem="no driver"), a_snapshot()))
    assert found["cockpit_gpus", "ok"] == 0


def listening_at(text: str, allow_remote: bool) -> tuple[str, int]:
    return parse_address(text, allow_remote, DEFAULT_ADDRESS, "read along")


@pytest.mark.parametrize("text", ["0.0.0.0:9400", "192.168.1.5:9400", "[::]:9400"])
def test_listening_beyond_this_machine_must_be_meant(text: str) -> None:
    with pytest.raises(UsageError, match="other machines"):
        listening_at(text, allow_remote=False)
    assert listening_at(text, allow_remote=True)[1] == 9400


@pytest.mark.parametrize("text", ["localhost", "127.0.0.1:", "127.0.0.1:99999", "box:80", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--listen"):
        listening_at(text, allow_remote=True)


def test_addresses_of_this_machine() -> None:
    assert listening_at("localhost:1", allow_remote=False) == ("127.0.0.1", 1)
    assert listening_at(":9400", allow_remote=False) == ("127.0.0.1", 9400)
    assert listening_at("9400", allow_remote=False) == ("127.0.0.1", 9400)
    assert listening_at("[::1]:9400", allow_remote=False) == ("::1", 9400)


class Served:
    """An exporter on a free port of 127.0.0.1."""

    def __init__(self, box: FakeBox) -> None:
        self.exporter = Exporter(box)  # type: ignore[arg-type]

    async def __aenter__(self) -> "Served":
        self.server = await asyncio.start_server(
            self.exporter.answer, "127.0.0.1", 0, limit=metrics.MAX_REQUEST_BYTES
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.exporter.close()

    async def open(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def ask(self, data: bytes) -> bytes:
        reader, writer = await self.open(data)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    async def get(self, path: str) -> bytes:
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def a_fake_box() -> FakeBox:
    return FakeBox(a_box(1), a_snapshot(a_gpu(0)))


async def test_a_scrape_gets_the_page() -> None:
    async with Served(a_fake_box()) as served:
        head, _, body = (await served.get("/metrics")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"text/plain; version=0.0.4" in head
        assert f"Content-Length: {len(body)}\r\n".encode() in head
        assert body.decode() == exposition(a_box(1), a_snapshot(a_gpu(0)))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /secret HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"\x00\xff garbage\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000, b"431"),
    ],
)
async def test_nonsense_is_answered_and_does_no_harm(data: bytes, status: bytes) -> None:
    async with Served(a_fake_box()) as served:
        assert (await served.ask(data)).startswith(b"HTTP/1.1 " + status)
        assert (await served.get("/metrics")).startswith(b"HTTP/1.1 200")


async def test_a_client_that_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "REQUEST_TIMEOUT_S", 0.05)
    async with Served(a_fake_box()) as served:
        assert (await served.ask(b"GET /met")).startswith(b"HTTP/1.1 408")


async def test_stalled_clients_do_not_keep_others_waiting() -> None:
    async with Served(a_fake_box()) as served:
        stalled = [await served.open(b"GET /met") for _ in range(metrics.MAX_CLIENTS - 1)]
        assert (await served.get("/metrics")).startswith(b"HTTP/1.1 200")
        for _, writer in stalled:
            writer.close()


async def test_more_clients_than_allowed_are_told() -> None:
    async with Served(a_fake_box()) as served:
        stalled = [await served.open(b"GET /met") for _ in range(metrics.MAX_CLIENTS)]
        assert (await served.get("/metrics")).startswith(b"HTTP/1.1 503")
        for _, writer in stalled:
            writer.close()


async def test_an_agent_that_is_away_is_a_503_in_words() -> None:
    box = a_fake_box()
    async with Served(box) as served:
        box.fails = BoxError("the agent is away", "start it")
        answer = await served.get("/metrics")
        assert answer.startswith(b"HTTP/1.1 503") and b"the agent is away" in answer
        box.fails = None
        assert (await served.get("/metrics")).startswith(b"HTTP/1.1 200")
