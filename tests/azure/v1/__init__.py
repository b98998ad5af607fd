"""The services that azureml-core and its pipelines use; steps run as real processes.

regional.py    what the services have in common; discovery, datastore, clusters
snapshots.py   the code of steps: uploaded to blobs, unpacked for a run
history.py     run history: experiments, runs, their children, files and metrics
pipelines.py   modules, graphs, pipeline runs, published pipelines
execution.py   carries out submitted pipelines: processes for steps, and HyperDrive for the search
proposals.py   HyperDrive's sampling and policies, as far as a test needs them
datasets.py    registered Datasets
sources.py     folders of the datastore that steps have mounted
"""
