"""Fixtures that every part of the tests may use."""

pytest_plugins = ["standin.fixtures", "standin.nvml_box", "standin.plain_nvml"]

from hypothesis import HealthCheck, settings

# A busy machine draws slowly, which says nothing about the code.
settings.register_profile("cockpit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cockpit")
