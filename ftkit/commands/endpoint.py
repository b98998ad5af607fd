"""`ftkit endpoint`: what is live, calling it, its logs, and taking it down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ftkit.commands import as_json, completer, endpoint_names, print_json
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.contracts import Deployer, Endpoint
    from ftkit.errors import FtkitError

name_argument = click.argument("name", metavar="[NAME]", required=False, shell_complete=completer(endpoint_names))


@click.group(short_help="Look at, call and stop endpoints.")
def endpoint() -> None:
    """Look at, call and stop the endpoints that were rolled out from this machine."""


@endpoint.command(short_help="Show endpoints as they stand.")
@name_argument
@click.option("--all", "all_", is_flag=True, help="Show every endpoint; so does leaving NAME out.")
@as_json
def status(name: str | None, all_: bool, json_: bool) -> None:
    """Show each endpoint: address, deployments, traffic, and a curl line that calls it."""
    found, troubles = _described(name, all_)
    if json_:
        print_json([{**terminal.machine(each), "curl": _curl(each)} for each in found])
    elif not found and not troubles:
        terminal.write("No endpoint is up: `ftkit run RECIPE` with a [deploy] section makes one.")
    for index, each in enumerate(() if json_ else found):
        terminal.write(("\n" if index else "") + f"{each.name} at {each.url or 'no address yet'}")
        rows = [(one.name, f"{one.traffic} %", one.state, one.bundle_hash[:12], one.engine) for one in each.deployments]
        if rows:
            terminal.table(("deployment", "traffic", "state", "bundle", "engine"), rows)
        else:
            terminal.write("nothing is deployed")
        if line := _curl(each):
            terminal.write(line)
    _complain(troubles)


@endpoint.command(short_help="Send texts to an endpoint.")
@click.argument("words_", metavar="[NAME] [TEXT...]", nargs=-1, shell_complete=completer(endpoint_names))
@click.option("--all", "all_", is_flag=True, help="Send to every endpoint.")
@click.option("--deployment", metavar="DEPLOYMENT", help="One deployment, whatever the traffic shares are.")
@click.option("--scores", is_flag=True, help="Ask for the scores of all classes.")
def invoke(words_: Sequence[str], all_: bool, deployment: str | None, scores: bool) -> None:
    """Send each TEXT to an endpoint and print its answer as JSON.

    NAME is only needed when there are several. Without a TEXT, a sample is sent; - reads the lines of standard input.
    """
    from ftkit.display.summary import SAMPLE
    from ftkit.stages import known_endpoints

    name = words_[0] if words_ and words_[0] in known_endpoints.known() else None
    texts: list[str] = []
    for text in words_[name is not None :] or (SAMPLE,):
        texts += [line.rstrip("\r\n") for line in sys.stdin] if text == "-" else [text]
    request: dict[str, Any] = {"data": [{"text": text} for text in texts]}
    if scores:
        request["scores"] = True
    chosen = _chosen(name, all_)
    answered, troubles = _each(chosen, lambda deployer: deployer.invoke(request, deployment))
    for deployer, answer in answered:
        print_json({"endpoint": deployer.endpoint, "answer": answer} if all_ else answer)
    _complain(troubles)


@endpoint.command(short_help="Show the logs of deployments.")
@name_argument
@click.option("--all", "all_", is_flag=True, help="Of every endpoint.")
@click.option("--deployment", metavar="DEPLOYMENT", help="Of one deployment only.")
@click.option("--lines", default=100, show_default=True, type=click.IntRange(1), help="The last so many lines of each.")
def logs(name: str | None, all_: bool, deployment: str | None, lines: int) -> None:
    """Show the last lines of the logs of an endpoint's deployments."""
    from ftkit.errors import UsageError

    for deployer in _chosen(name, all_):
        described = deployer.describe()
        names = [deployment] if deployment else [each.name for each in described.deployments] if described else []
        if not names:
            raise UsageError(
                f"the endpoint {deployer.endpoint!r} has no deployment", hint="`ftkit run RECIPE` makes one."
            )
        for each in names:
            if len(names) > 1 or all_:
                terminal.write(f"==> {deployer.endpoint} {each} <==")
            terminal.write(deployer.logs(each, lines).rstrip("\n"))


@endpoint.command(short_help="Take endpoints down.")
@name_argument
@click.option("--all", "all_", is_flag=True, help="Take every endpoint down.")
def stop(name: str | None, all_: bool) -> None:
    """Take an endpoint down with all its deployments. Its models stay in the registry and with their runs."""
    from ftkit.stages import known_endpoints

    chosen = _chosen(name, all_)
    if not chosen:
        terminal.write("No endpoint is up.")
    stopped, troubles = _each(chosen, lambda deployer: deployer.stop())
    for deployer, _ in stopped:
        known_endpoints.forget(deployer.endpoint)
        terminal.write(f"{deployer.endpoint} is down")
    _complain(troubles)


def _chosen(name: str | None, all_: bool) -> list[Deployer]:
    """The endpoints a command is about. Raises: UsageError when it is not clear which."""
    from ftkit.errors import UsageError
    from ftkit.stages import known_endpoints

    if all_ and name is not None:
        raise UsageError("both a name and --all were given", hint="Give one of them.")
    return list(known_endpoints.known().values()) if all_ else [known_endpoints.find(name)]


def _described(name: str | None, all_: bool) -> tuple[list[Endpoint], list[FtkitError]]:
    """Endpoints as they stand, and what kept others from being seen."""
    chosen = _chosen(name, all_ or name is None)
    found, troubles = _each(chosen, lambda deployer: deployer.describe())
    return [described for _, described in found if described is not None], troubles


def _each(
    deployers: Sequence[Deployer], verb: Callable[[Deployer], Any]
) -> tuple[list[tuple[Deployer, Any]], list[FtkitError]]:
    """Do something with each; one out of reach does not keep the others from their turn."""
    from ftkit.errors import FtkitError

    done, troubles = [], []
    for deployer in deployers:
        try:
            done.append((deployer, verb(deployer)))
        except FtkitError as error:
            troubles.append(error)
    return done, troubles


def _complain(troubles: Sequence[FtkitError]) -> None:
    """Show all errors but the last, and raise that one for the exit code."""
    from ftkit.display import failures

    for trouble in troubles[:-1]:
        failures.show(trouble, sys.stderr)
    if troubles:
        raise troubles[-1]


def _curl(each: Endpoint) -> str | None:
    from ftkit.display import summary

    return summary.curl(each, summary.SAMPLE) if each.url and each.traffic else None
