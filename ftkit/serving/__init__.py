"""A bundle answering requests: the request format, a batcher, and an HTTP interface.

The local endpoint, a cloud's scoring script and `ftkit predict` all serve through this package.

    schema.py          the format of requests and answers
    limits.py          how much a server takes on, and the recipe options that say so
    batcher.py         merges requests that wait into calls of the model
    request_queue.py   the requests that wait, and whose turn it is
    handler.py         from the bytes of a request to those of its answer, for any server
    model_host.py      loads a bundle in the background and says how far it is
    engine_choice.py   the fastest of a bundle's engines on this machine, measured in a process of its own
    monitoring.py      passes the requests of a deployment to its watchers
    http_api.py        the HTTP interface, described once for every server
    openapi.py         that interface as an OpenAPI document
    asgi.py            the interface over a model host: what a deployment's server runs
    server.py          that server as a program: its command and its environment
    server_process.py  starts such a server beside this process, sends it requests, measures it and ends it
"""
