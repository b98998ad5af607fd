"""The services that azure-ai-ml uses, as far as the plugin ftkit-azureml needs them.

operations.py   long-running operations
assets.py       models, environments, code and data by name and version
endpoints.py    online endpoints: traffic, keys
deployments.py  their deployments
scoring.py      their servers: processes of azureml-inference-server-http, and the hosts that requests are sent to
monitor.py      the metrics of their requests
jobs.py         pipeline jobs with sweeps
history.py      run history and MLflow's interface
schemas.py      Microsoft's schemas for request bodies
"""
