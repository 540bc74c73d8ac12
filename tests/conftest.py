"""Fixtures that every part of the tests may use."""

pytest_plugins = ["standin.fixtures", "standin.nvml_box", "standin.plain_nvml"]
