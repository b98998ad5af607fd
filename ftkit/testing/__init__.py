"""Conformance kits for plugin authors: test suites to inherit, one per kind of component.

from ftkit.testing.backbones import BackboneSuite

class TestModernBert(BackboneSuite):
    @pytest.fixture
    def component(self):
        return ModernBert(checkpoint="tests/tiny")
"""
