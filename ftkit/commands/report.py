"""`ftkit report`: a run as a page to look at."""

from __future__ import annotations

from pathlib import Path

import click

from ftkit.commands import as_json, completer, print_json, run_names
from ftkit.display import terminal


@click.command(short_help="Write a run's report, a page to look at.")
@click.argument("name", metavar="[RUN]", required=False, shell_complete=completer(run_names))
@click.option("--out", metavar="PATH", type=click.Path(path_type=Path), help="Write to this file, or into this folder.")
@click.option("--open", "open_", is_flag=True, help="Open it in the browser, too.")
@as_json
def report(name: str | None, out: Path | None, open_: bool, json_: bool) -> None:
    """Write the report of RUN, by default the latest: one HTML file with everything in it, made of the journal alone.

    Every run writes one into its folder when it ends. The page shows failed and interrupted runs as far as they came. It
    holds texts of the test rows: share it as you would share them.
    """
    from ftkit import report as reports
    from ftkit.errors import UsageError
    from ftkit.runs import ledger

    if name is not None:
        found = ledger.find(name)
    elif latest := ledger.runs()[:1]:
        found = latest[0]
    else:
        raise UsageError("no run has been made yet", hint="`ftkit run RECIPE` makes one.")
    if out is not None:
        out = out.expanduser().absolute()
        out = out / f"{found.run}.html" if out.is_dir() else out
    path = reports.write(found, out)
    if json_:
        from ftkit.report.facts import gather

        print_json(reports.summary(gather(found)) | {"report": str(path), "bytes": path.stat().st_size})
    else:
        terminal.write(str(path))
    if open_:
        import webbrowser

        webbrowser.open(path.as_uri())
