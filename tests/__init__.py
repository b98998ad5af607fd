"""A package, so that tests of plugins can import what stands for Azure from `tests.azure`."""
