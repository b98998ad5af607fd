"""How good a model is: metrics, comparisons, calibration, and the promotion tests of the core."""
