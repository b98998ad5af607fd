"""The stages of a run: training one trial, the promotion gate, the release, the rollout."""
