"""What `cockpit doctor` says of a machine that is not as it should be."""

import os
import time
from pathlib import Path

import pytest

from cockpit.cli.checks import driver, machine


def levels(checks) -> dict[str, str]:
    return {check.name: check.level for check in checks}


def a_probe(**changes: object) -> dict:
    gpu = {"persistence": {"value": 1}, "mig": {"value": [0, 0]}}
    probe = {
        "init": {"value": None},
        "driver": {"value": "580.65.06"},
        "count": {"value": 2},
        "gpus": [gpu, gpu],
    }
    return {**probe, **changes}


def test_a_driver_that_answers_is_fine() -> None:
    assert set(levels(driver.driver_checks(a_probe())).values()) == {"ok"}


@pytest.mark.parametrize(
    ("number", "advice"), [(18, "restart the machine"), (9, "modprobe"), (4, "permissions")]
)
def test_nvmls_own_error_becomes_advice(number: int, advice: str) -> None:
    (check,) = driver.driver_checks({"init": {"error": "it says", "number": number}})
    assert check.level == "problem" and check.text == "it says" and advice in check.advice


def test_a_driver_that_hangs_is_a_problem_and_not_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(driver, "PROBE_TIMEOUT_S", 0.2)
    (check,) = driver.driver_checks(driver.run_probe())
    assert check.level == "problem" and "did not answer" in check.text


def test_a_driver_that_crashes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PROBE", "import os; os.abort()")
    (check,) = driver.driver_checks(driver.run_probe())
    assert check.level == "problem" and "could not be asked" in check.text


def test_the_probe_asks_the_real_library_or_says_that_there_is_none() -> None:
    probe = driver.run_probe()
    assert "value" in probe["init"] or probe["init"]["number"] in driver.INIT_ADVICE


def test_a_gpu_that_cannot_be_reached_is_named() -> None:
    lost = {"handle": {"error": "GPU is lost", "number": 15}}
    gpu = a_probe()["gpus"][0]
    checks = list(driver.driver_checks(a_probe(gpus=[gpu, lost])))
    assert levels(checks)["GPU 1"] == "problem"
    assert levels(checks)["MIG"] == "ok"


def test_persistence_mode_that_is_off_has_a_remedy() -> None:
    gpu = {"persistence": {"value": 0}, "mig": {"error": "Not Supported", "number": 3}}
    checks = {check.name: check for check in driver.driver_checks(a_probe(gpus=[gpu, gpu]))}
    assert checks["Persistence mode"].level == "warning"
    assert "nvidia-smi -pm 1" in checks["Persistence mode"].advice
    assert checks["MIG"].text == "0 of 2 GPUs can, 0 have it on"


def test_cards_are_counted_on_the_bus(tmp_path: Path) -> None:
    for name, vendor, kind in (
        ("a", "0x10de", "0x030200"),
        ("b", "0x10de", "0x040300"),
        ("c", "0x8086", "0x030000"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    assert driver.nvidia_cards(tmp_path) == 1


def test_device_files_must_be_there_unless_the_driver_answers_without(tmp_path: Path) -> None:
    assert driver.device_files(tmp_path, needed=True).level == "problem"
    assert driver.device_files(tmp_path, needed=False).level == "ok"
    (tmp_path / "nvidiactl").touch()
    (tmp_path / "nvidia0").touch()
    check = driver.device_files(tmp_path, needed=True)
    assert check.level == "ok" and check.text.startswith("2 in")


def test_a_directory_open_to_others_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert machine.directory("x", tmp_path).level == "warning"
    tmp_path.chmod(0o700)
    assert machine.directory("x", tmp_path).level == "ok"


def test_a_file_in_the_way_of_a_directory_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert machine.directory("x", tmp_path / "file").level == "problem"


def test_a_directory_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    assert machine.directory("x", tmp_path / "a" / "b").level == "ok"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_someone_else_is_a_problem(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    check = machine.directory("x", tmp_path)
    assert check.level == "problem" and "12345" in check.text


def test_a_socket_whose_path_is_too_long_is_told_before_it_fails() -> None:
    assert list(machine.socket_length(Path("/run/user/1000/cockpit/agent-local.sock"))) == []
    (check,) = machine.socket_length(Path("/run") / ("x" * 100) / "agent-local.sock")
    assert check.level == "problem" and "XDG_RUNTIME_DIR" in check.advice


def test_a_clock_before_the_installation_is_a_problem() -> None:
    assert machine.clock(time.time() + 60).level == "ok"
    assert machine.clock(0.0).level == "problem"


def test_a_container_and_wsl_are_recognised(tmp_path: Path) -> None:
    assert levels(machine.surroundings(tmp_path)) == {}
    (tmp_path / ".dockerenv").touch()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "version").write_text("Linux version 5.15 (Microsoft@WSL2)")
    assert levels(machine.surroundings(tmp_path)) == {"WSL": "warning", "Container": "warning"}


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"NO_COLOR": "1", "TERM": "xterm"}, "none, as NO_COLOR asks"),
        ({"COLORTERM": "truecolor"}, "16 million"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "vt100"}, "16 at most (TERM is vt100)"),
    ],
)
def test_colour_is_told_as_the_environment_has_it(variables: dict[str, str], text: str) -> None:
    assert machine.colour(variables).text == text
