"""`ftkit endpoint`: show endpoints, call them, read their logs, remove deployments, and stop them."""

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


ALIKE = 0.8
"""How much a word must be like the name of an endpoint to be taken for one that is misspelt: `difflib.SequenceMatcher.ratio`."""


@click.group()
def endpoint() -> None:
    """Show, call and stop the endpoints that were rolled out from this machine."""


@endpoint.command(short_help="Show the state of endpoints.")
@name_argument
@click.option("--all", "all_", is_flag=True, help="Show every endpoint, as without NAME.")
@as_json
def status(name: str | None, all_: bool, json_: bool) -> None:
    """Show each endpoint: address, deployments, traffic, and a curl command that calls it."""
    endpoints, errors = _described(name, all_)
    if json_:
        print_json([{**terminal.machine(each), "curl": _curl(each)} for each in endpoints])
    elif not endpoints and not errors:
        terminal.write("No endpoint is running: `ftkit run RECIPE` with a [deploy] section makes one.")
    for index, each in enumerate(() if json_ else endpoints):
        terminal.write(("\n" if index else "") + f"{each.name} at {each.url or 'no address yet'}")
        rows = [(one.name, f"{one.traffic} %", one.state, one.bundle_hash[:12], one.engine) for one in each.deployments]
        if rows:
            terminal.table(("deployment", "traffic", "state", "bundle", "engine"), rows)
        else:
            terminal.write("nothing is deployed")
        if line := _curl(each):
            terminal.write(line)
    _raise(errors)


@endpoint.command(short_help="Send texts to an endpoint.")
@click.argument("words", metavar="[NAME] [TEXT...]", nargs=-1, shell_complete=completer(endpoint_names))
@click.option("--all", "all_", is_flag=True, help="Send to every endpoint.")
@click.option("--deployment", metavar="DEPLOYMENT", help="Send to this deployment, whatever its share of the traffic.")
@click.option("--scores", is_flag=True, help="Include the scores of all classes.")
@click.option(
    "--text", "fields", metavar="NAME", multiple=True, help="The name of a text in a row; twice for a model of pairs."
)
def invoke(words: Sequence[str], all_: bool, deployment: str | None, scores: bool, fields: tuple[str, ...]) -> None:
    """Send each TEXT to an endpoint and print its answer as JSON.

    NAME is only needed when there are several endpoints. Without TEXT a sample is sent; the TEXT - stands for the lines
    of standard input. For a model of pairs, --text names both texts, and two TEXTs after another are a pair.
    """
    import difflib

    from ftkit import pairs
    from ftkit.contracts import Deployer
    from ftkit.display.summary import SAMPLE
    from ftkit.errors import UsageError
    from ftkit.plugins.calls import call
    from ftkit.stages import known_endpoints

    known = known_endpoints.known()
    name = words[0] if words and words[0] in known else None
    if words and name is None and not all_ and (near := difflib.get_close_matches(words[0], known, 1, ALIKE)):
        hint = f"Did you mean {near[0]!r}? Before a text that is spelt like that, give the name: ftkit endpoint invoke {near[0]} TEXT."
        raise UsageError(f"there is no endpoint {words[0]!r}", hint=hint)
    texts: list[str] = []
    fields = fields or pairs.TEXT
    for text in words[name is not None :] or (SAMPLE,) * len(fields):
        texts += [line.rstrip("\r\n") for line in sys.stdin] if text == "-" else [text]
    if len(texts) % len(fields):
        raise UsageError(
            f"{len(texts)} texts are no rows of {' and '.join(fields)}", hint="Give all texts of each row."
        )
    rows = [texts[start : start + len(fields)] for start in range(0, len(texts), len(fields))]
    request: dict[str, Any] = {"data": [dict(zip(fields, row, strict=True)) for row in rows]}
    if scores:
        request["scores"] = True
    chosen = _chosen(name, all_)
    answers, errors = _for_each(chosen, lambda deployer: call(Deployer.invoke, deployer, request, deployment))
    for deployer, answer in answers:
        print_json({"endpoint": deployer.endpoint, "answer": answer} if all_ else answer)
    _raise(errors)


@endpoint.command(short_help="Show the logs of deployments.")
@name_argument
@click.option("--all", "all_", is_flag=True, help="Show the logs of every endpoint.")
@click.option("--deployment", metavar="DEPLOYMENT", help="Of one deployment only.")
@click.option("--lines", default=100, show_default=True, type=click.IntRange(1), help="The last so many lines of each.")
def logs(name: str | None, all_: bool, deployment: str | None, lines: int) -> None:
    """Show the last lines of the logs of an endpoint's deployments."""
    from ftkit.contracts import Deployer
    from ftkit.errors import UsageError
    from ftkit.plugins.calls import call

    for deployer in _chosen(name, all_):
        described = call(Deployer.describe, deployer)
        names = [deployment] if deployment else [each.name for each in described.deployments] if described else []
        if not names:
            raise UsageError(
                f"the endpoint {deployer.endpoint!r} has no deployment", hint="`ftkit run RECIPE` makes one."
            )
        for each in names:
            if len(names) > 1 or all_:
                terminal.write(f"==> {deployer.endpoint} {each} <==")
            terminal.write(call(Deployer.logs, deployer, each, lines).rstrip("\n"))


@endpoint.command(short_help="Remove a deployment.")
@name_argument
@click.option("--deployment", metavar="DEPLOYMENT", required=True, help="The deployment to remove.")
def delete(name: str | None, deployment: str) -> None:
    """Remove a deployment, such as one that a failed rollout has left behind. What traffic it has goes to the others."""
    from ftkit.contracts import Deployer
    from ftkit.errors import UsageError
    from ftkit.formatting import traffic
    from ftkit.plugins.calls import call
    from ftkit.stages.shares import scaled

    (deployer,) = _chosen(name, all_=False)
    described = call(Deployer.describe, deployer)
    shares = {each.name: each.traffic for each in described.deployments} if described else {}
    if deployment not in shares:
        raise UsageError(
            f"the endpoint {deployer.endpoint!r} has no deployment {deployment!r}",
            hint=f"It has {', '.join(shares) or 'none'}.",
        )
    if shares[deployment]:
        others = scaled({name: share for name, share in shares.items() if name != deployment}, 100)
        if not others:
            raise UsageError(
                f"{deployment} gets {shares[deployment]} % of the traffic",
                where=deployer.endpoint,
                hint="Deploy another model in its place, or take the whole endpoint down: `ftkit endpoint stop`.",
            )
        call(Deployer.set_traffic, deployer, others)  # as after a rollout that was held where it was
        terminal.write(f"traffic of {deployer.endpoint}: {traffic(others)}")
    call(Deployer.delete, deployer, deployment)
    terminal.write(f"{deployer.endpoint}/{deployment} is removed")


@endpoint.command(short_help="Show what a new deployment answers otherwise.")
@name_argument
@as_json
def flips(name: str | None, json_: bool) -> None:
    """Show the latest copied texts that a new deployment answers otherwise than the old one.

    They are texts of callers, so they are kept in the endpoint's memory alone, and shown nowhere else.
    """
    from ftkit.contracts import Comparing, capable
    from ftkit.errors import UsageError
    from ftkit.formatting import beginning
    from ftkit.plugins.calls import call

    (deployer,) = _chosen(name, all_=False)
    compared = call(Comparing.compared, deployer) if capable(deployer, Comparing) else None
    if compared is None:
        raise UsageError(
            f"no deployment of {deployer.endpoint!r} was sent copies of the traffic",
            hint="`mirror = 20` in [deploy] sends a new deployment copies of 20 % of the requests before it gets any.",
        )
    if json_:
        print_json([{"text": each.text, "old": each.old, "new": each.new} for each in compared.flips])
        return
    terminal.write(f"{compared.flipped:,} of {compared.texts:,} copied texts are answered otherwise")
    if compared.flips:
        rows = [(beginning(each.text, 80), _label(each.old), _label(each.new)) for each in compared.flips]
        terminal.table(("text", "old", "new"), rows)


@endpoint.command(short_help="Look after an old deployment that is kept.")
@name_argument
def watch(name: str | None) -> None:
    """Look after the old deployment that a rollout has kept, until its time is over, and then retire it.

    When an alarm says no or the new deployment turns bad, the old one gets the traffic back.
    """
    from ftkit.display import printer
    from ftkit.errors import DeployError
    from ftkit.stages import keeping

    (deployer,) = _chosen(name, all_=False)
    if not keeping.watch(deployer, printer(True)):
        raise DeployError(
            "the new deployment was not healthy, and the old one has the traffic again", deployer.endpoint
        )


@endpoint.command(short_help="Put the old deployment back.")
@name_argument
@click.option("--reason", default="by hand", show_default=True, help="Why, for the run's journal.")
def rollback(name: str | None, reason: str) -> None:
    """Give the traffic back to the old deployment that a rollout has kept; its version is the champion again."""
    from ftkit.display import printer
    from ftkit.stages import keeping

    (deployer,) = _chosen(name, all_=False)
    keeping.put_back(deployer, printer(True), reason)


@endpoint.command(short_help="Stop endpoints.")
@name_argument
@click.option("--all", "all_", is_flag=True, help="Stop every endpoint.")
def stop(name: str | None, all_: bool) -> None:
    """Stop an endpoint with all its deployments. Its models stay in the registry and in the folders of their runs."""
    from ftkit.contracts import Deployer
    from ftkit.plugins.calls import call
    from ftkit.stages import known_endpoints

    chosen = _chosen(name, all_)
    if not chosen:
        terminal.write("No endpoint is running.")
    stopped, errors = _for_each(chosen, lambda deployer: call(Deployer.stop, deployer))
    for deployer, _ in stopped:
        known_endpoints.forget(deployer.endpoint)
        terminal.write(f"{deployer.endpoint} is stopped")
    _raise(errors)


def _label(answer: object) -> str:
    """An answer in a table."""
    from ftkit.contracts.deciding import UNSURE

    return UNSURE if answer is None else str(answer)


def _chosen(name: str | None, all_: bool) -> list[Deployer]:
    """The endpoints that the arguments name. Raises: UsageError when it is not clear which."""
    from ftkit.errors import UsageError
    from ftkit.stages import known_endpoints

    if all_ and name is not None:
        raise UsageError("NAME and --all exclude each other", hint="Give one of them.")
    return list(known_endpoints.known().values()) if all_ else [known_endpoints.find(name)]


def _described(name: str | None, all_: bool) -> tuple[list[Endpoint], list[FtkitError]]:
    """The state of the endpoints, and the errors of those that could not be reached."""
    from ftkit.contracts import Deployer
    from ftkit.plugins.calls import call

    chosen = _chosen(name, all_ or name is None)
    results, errors = _for_each(chosen, lambda deployer: call(Deployer.describe, deployer))
    return [described for _, described in results if described is not None], errors


def _for_each(
    deployers: Sequence[Deployer], call: Callable[[Deployer], Any]
) -> tuple[list[tuple[Deployer, Any]], list[FtkitError]]:
    """Call each deployer; an error of one does not stop the others."""
    from ftkit.errors import FtkitError

    results, errors = [], []
    for deployer in deployers:
        try:
            results.append((deployer, call(deployer)))
        except FtkitError as error:
            errors.append(error)
    return results, errors


def _raise(errors: Sequence[FtkitError]) -> None:
    """Show all errors but the last, and raise the last one for the exit code."""
    from ftkit.display import failures

    for error in errors[:-1]:
        failures.show(error, sys.stderr)
    if errors:
        raise errors[-1]


def _curl(each: Endpoint) -> str | None:
    from ftkit.display import summary

    return summary.curl(each, summary.SAMPLE) if each.url and each.traffic else None
