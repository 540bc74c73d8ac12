"""Fixtures that every part of the tests may use."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["standin.fixtures", "standin.nvml_box", "standin.plain_nvml"]

# A busy machine draws slowly, which says nothing about the code.
settings.register_profile("cockpit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cockpit")
