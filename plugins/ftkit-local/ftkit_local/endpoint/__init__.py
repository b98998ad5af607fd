"""An HTTP endpoint on this machine that outlives the run which made it.

    folder.py      what an endpoint keeps on disk, and how it is read and written
    launch.py      starts the front process and stops it
    client.py      sends requests to a running front
    front.py       the front process: the public interface and the admin interface in one event loop
    proxy.py       the public interface: checks the key, picks a deployment, passes the request on
    admin.py       the admin interface, on a socket that only the user can reach
    supervisor.py  keeps the deployments' servers alive, restarts them, drains them
    wire.py        the connections to a server process
    child.py       one server process, `ftkit.serving.server`, as the front sees it
    traffic.py     picks deployments so that the shares come out exactly

While the front lives, it alone writes which deployments the endpoint has; otherwise the process that starts it does.
"""
