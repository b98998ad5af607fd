"""The service that azure-ai-ml talks to, as far as the plugin ftkit-azureml needs it.

operations.py   long-running operations
assets.py       models, environments, code and data by name and version
endpoints.py    online endpoints: traffic, keys
deployments.py  their deployments
scoring.py      deployments for real: processes of azureml-inference-server-http, and the hosts that requests are sent to
schemas.py      Microsoft's schemas for request bodies
"""
