"""What the plugins for Azure Machine Learning share, whichever of its two SDKs they use.

A module imports only from modules above it in this list; none imports an SDK of Azure Machine Learning.

    states      how a run of the service stands
    images      the image that environments are built upon
    rules       what Azure refuses, by codes and sentences, with what happened and how to repair it
    refusals    exceptions of either SDK as errors, by those rules
    sign_in     which credential signs in, and its tokens
    workspace   which workspace is meant: options, config.json, the variables of a job
    options     the options of a platform that carries out a recipe as a pipeline
    clusters    the clusters of a workspace: found, or created
    sampling    `[search]` of a recipe in the words of the service
    runs        runs of the service as trials
    companions  the processes that train one trial together
    step        what runs inside the steps of a pipeline
    snapshot    the folder of files that the steps run with
    pipeline    what a pipeline is called, and what the client says about it
    outline     the pipeline as `ftkit plan` shows it
    monitor     what a pipeline does, as events
    follow      looking at a pipeline until it has ended
"""
