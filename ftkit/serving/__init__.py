"""A bundle answering requests: the request format, an engine that batches, and an HTTP interface.

The local endpoint, a cloud's scoring script and `ftkit predict` all serve through this package.

    request.py    the format of requests and answers
    engine.py     merges requests that wait into calls of the model
    turns.py      the requests that wait, and whose turn it is
    answering.py  from the bytes of a request to those of its answer, whatever server they come through
    host.py       loads a bundle in the background and says how far it is
    choice.py     the fastest of a bundle's engines here, measured in a process of its own
    watch.py      tells those who watch a deployment what becomes of its requests
    interface.py  the HTTP interface, described once for every server
    app.py        the interface over a host: what a deployment's server runs
    server.py     that server as a process: the program, its command and its environment
    process.py    starts one beside this process, asks it, measures it and ends it
"""
