"""Conformance kits for plugin authors: a test suite to inherit for each kind of component.

from ftkit.testing.backbones import BackboneSuite

class TestModernBert(BackboneSuite):
    @pytest.fixture
    def component(self):
        return ModernBert(checkpoint="tests/tiny")
"""
