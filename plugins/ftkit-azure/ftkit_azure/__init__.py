"""What the plugins for Azure Machine Learning share, whichever of its two SDKs they use."""
