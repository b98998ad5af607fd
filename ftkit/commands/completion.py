"""`ftkit completion`: the script with which a shell completes commands, options and names."""

from __future__ import annotations

import click

from ftkit.display import terminal


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(ftkit completion bash)"      in ~/.bashrc
    zsh:   eval "$(ftkit completion zsh)"       in ~/.zshrc
    fish:  ftkit completion fish | source       in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None
    terminal.write(completion_class(context.find_root().command, {}, "ftkit", "_FTKIT_COMPLETE").source())
