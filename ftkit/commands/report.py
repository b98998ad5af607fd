"""`ftkit report`: a run as an HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from ftkit.commands import PATH, as_json, completer, print_json, run_names
from ftkit.display import terminal


@click.command()
@click.argument("name", metavar="[RUN]", required=False, shell_complete=completer(run_names))
@click.option("--out", metavar="PATH", type=PATH, help="Write to this file, or into this folder.")
@click.option("--open", "open_", is_flag=True, help="Also open it in the browser.")
@as_json
def report(name: str | None, out: Path | None, open_: bool, json_: bool) -> None:
    """Write the report of RUN, by default the latest run, as one HTML file, and print its path.

    Every run writes its report into its folder when it ends. Of a failed or interrupted run the report shows what was
    finished. It contains texts of the test rows: share it as you would share those texts.
    """
    from ftkit import report as reports
    from ftkit.errors import UsageError
    from ftkit.runs import ledger

    if name is not None:
        run = ledger.find(name)
    elif latest := ledger.runs()[:1]:
        run = latest[0]
    else:
        raise UsageError("no run has been made yet", hint="`ftkit run RECIPE` makes one.")
    if out is not None:
        out = out.expanduser().absolute()
        out = out / f"{run.run}.html" if out.is_dir() else out
    path = reports.write(run, out)
    if json_:
        from ftkit.report.facts import read

        print_json(reports.summary(read(run)) | {"report": str(path), "bytes": path.stat().st_size})
    else:
        terminal.write(str(path))
    if open_:
        import webbrowser

        webbrowser.open(path.as_uri())
