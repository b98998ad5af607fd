"""`ftkit push`: a model to a repository of the Hugging Face hub."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from ftkit.commands import as_json, completer, print_json, run_names
from ftkit.display import terminal


@click.command()
@click.argument("source", metavar="MODEL", shell_complete=completer(run_names))
@click.argument("repository", metavar="REPOSITORY")
@click.option("--public", is_flag=True, help="Let everybody see the repository; without it, it is private.")
@click.option(
    "--override",
    metavar="WHY",
    help="Push a model whose tests failed. Your name and this reason are in the promotion record that is pushed.",
)
@click.option(
    "--licence", metavar="NAME", help="The licence on the card; by default that of the pretrained weights, if known."
)
@as_json
def push(source: str, repository: str, public: bool, override: str | None, licence: str | None, json_: bool) -> None:
    """Push MODEL with its card to REPOSITORY on the Hugging Face hub.

    MODEL is a run, the folder of a bundle, or a registered model: NAME or NAME:VERSION. REPOSITORY is OWNER/NAME, or NAME for the
    account of the token, which comes from HF_TOKEN or `hf auth login`. The root of the repository is what transformers loads, with
    the label names; the folder ftkit/ is the bundle. The recipe and the sample texts are part of it.
    """
    from ftkit.commands import sources
    from ftkit.hub import push as pushing

    bundle = sources.bundle(source)

    def tell(line: str) -> None:
        terminal.write(f"{line} …", sys.stderr)

    pushed, loadable = pushing.push(bundle, repository, pushing.Options(public, override, licence), tell)
    if json_:
        print_json({**asdict(pushed), "transformers": loadable, "bundle": bundle.hash})
        return
    seen = "private" if pushed.private else "public"
    if pushed.changed:
        terminal.write(f"Pushed to {pushed.url} ({seen}), commit {pushed.commit[:12]}.")
    else:
        terminal.write(f"{pushed.url} ({seen}) has this model already: nothing was pushed.")
    if loadable:
        terminal.write(f'transformers.pipeline("text-classification", "{pushed.repository}") loads it.')
    else:
        use = bundle.manifest["backbone"]["use"]
        terminal.write(
            f"transformers cannot load the backbone {use}: the repository holds the bundle alone, in ftkit/."
        )
