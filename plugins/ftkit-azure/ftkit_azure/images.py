"""The image that the environments of steps and deployments are built upon."""

from __future__ import annotations

IMAGE = "mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04:20260901.v1"
"""Any image with conda will do, since Python and all packages come from the pins; CUDA comes with the packages of torch.

A dated tag never changes. Source: the release notes in Azure/AzureML-Containers; Microsoft's own environments in
Azure/azureml-assets are built upon this tag (digest sha256:30aba99cdf1b0aedd1615880da33da68a9df90369a36b5084c7287b21d3988fe).
"""
