"""A loopback Azure: what the real SDKs talk to in tests, unmodified and by Azure's own host names.

A CONNECT proxy on 127.0.0.1 with a certificate authority of its own stands for the whole internet. A test sets the proxy and the
authority in the environment (HTTPS_PROXY, REQUESTS_CA_BUNDLE), as a company's network does, and nothing in the product knows of it.

    messages.py      requests and answers
    certificates.py  the authority
    proxy.py         the proxy: bytes in, bytes out
    cloud.py         the cloud: services behind the proxy, every exchange kept, complaints about what nobody answered
    faults.py        what goes wrong on the wire when a test says so
    routes.py        services as classes whose methods answer addresses
    fixtures.py      the pytest fixture `azure`

    identity.py      sign-in: service principal, managed identity
    workspace.py     subscriptions, one workspace, its datastore and clusters
    storage.py       blob storage with shared access signatures
    v2/              the service that azure-ai-ml talks to

## A service of your own

A service is an object with `hosts`, the host names it claims (`*` stands for any characters), and `handle(request)`, which
returns a Response, or None for what is another service's business. Services are asked in the order they were added; several may
claim one host. `Routed` makes one of a class:

    class Greetings(Routed):
        hosts = ("*.greetings.example",)

        @route("GET", "/hello/{name}")
        def hello(self, request: Request, name: str) -> Response:
            return answer({"hello": name})

    azure.add(Greetings())

What nobody answers gets status 404 on a claimed host and 502 on any other, and fails the test at its end, as does an exception in a service.
"""
