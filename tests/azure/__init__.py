"""A loopback Azure, which tests reach with the real, unmodified SDKs and by Azure's own host names.

A CONNECT proxy on 127.0.0.1 with a certificate authority of its own takes the place of the internet. A test sets the
proxy and the authority in the environment (HTTPS_PROXY, REQUESTS_CA_BUNDLE), as a company's network does; the product
has no code for it.

    messages.py      requests and answers
    certificates.py  the authority
    proxy.py         the proxy: bytes in, bytes out
    cloud.py         the cloud: services behind the proxy, all exchanges, complaints about unanswered requests
    faults.py        network faults and error answers that a test adds
    routes.py        services as classes whose methods answer addresses
    fixtures.py      the pytest fixture `azure`

    identity.py      sign-in: service principal, managed identity
    workspace.py     subscriptions, one workspace, its datastore and clusters
    storage.py       blob storage with shared access signatures
    preemption.py    a trial whose machines are taken away
    v1/              the services that azureml-core uses
    v2/              the services that azure-ai-ml uses

## A service of your own

A service is an object with `hosts`, the host names it claims (`*` stands for any characters), and `handle(request)`,
which returns a Response, or None for a request to another service. The cloud tries services in the order they were
added; several may claim one host. A subclass of `Routed` is a service:

    class Greetings(Routed):
        hosts = ("*.greetings.example",)

        @route("GET", "/hello/{name}")
        def hello(self, request: Request, name: str) -> Response:
            return answer({"hello": name})

    azure.add(Greetings())

A request without an answer gets status 404 on a claimed host and 502 on any other, and fails the test at its end, as
does an exception in a service.
"""
