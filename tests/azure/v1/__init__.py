"""The services that azureml-core and its pipelines talk to, with steps that really run.

regional.py    what they have in common; discovery, datastore, clusters
snapshots.py   the code of steps: uploaded to blobs, unpacked for a run
history.py     run history: experiments, runs, their children, files and metrics
pipelines.py   modules, graphs, pipeline runs, published pipelines
execution.py   carries out a pipeline that was submitted: processes for steps, and HyperDrive for the search
proposals.py   HyperDrive's sampling and policies, as far as a test needs them
datasets.py    registered Datasets
"""
