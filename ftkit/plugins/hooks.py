"""How hooks of a plugin are read: each by itself, so that a wrong one is set aside and the others still count."""

from __future__ import annotations

import difflib
import dis
import inspect
from typing import Any, NamedTuple, cast

import pluggy

from ftkit import hookspecs
from ftkit.errors import in_one_line

SUPPORTED = {name: value for name, value in vars(hookspecs).items() if hasattr(value, "ftkit_spec")}
"""The hooks of ftkit by name, with their parameters."""


class Fault(NamedTuple):
    """What is wrong with a plugin or with one of its hooks."""

    reason: str
    hint: str
    hook: str = ""
    """The hook that is set aside; empty if it is the whole plugin, or if ftkit has no such hook."""


class HookManager(pluggy.PluginManager):
    """The plugins and their hooks; hooks that cannot be called are left out."""

    def __init__(self) -> None:
        super().__init__("ftkit")
        self.add_hookspecs(hookspecs)
        self._faults: list[Fault] = []

    def adopt(self, plugin: object, owner: str) -> list[Fault]:
        """Register a plugin; returns what is wrong with it."""
        self._faults = []
        try:
            if plugin is None or self.register(plugin, owner) is None:
                return [Fault("its entry point is None", "Let it name a module with hooks.")]
        except Exception as error:
            return [
                Fault(
                    f"its hooks cannot be read: {in_one_line(error)}", "Let its entry point name a module with hooks."
                )
            ]
        self._faults += _unmarked(plugin)
        if not self._faults and not self.get_hookcallers(plugin):
            hint = f"Write a function named as one of the hooks ({', '.join(SUPPORTED)}), decorated with @hookimpl."
            self._faults.append(Fault("it offers nothing", hint))
        return self._faults

    def owners(self, package: str) -> list[str]:
        """The plugins that are modules or objects of a package."""
        return [name for name, plugin in self.list_name_plugin() if _module(plugin).partition(".")[0] == package]

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """The options of a function that is a hook; None for any other, and for a hook that cannot be called."""
        options = super().parse_hookimpl_opts(plugin, name)
        if options is None:
            return None
        hook = options.get("specname") or name
        fault = _fault(getattr(plugin, name), hook, cast("dict[str, Any]", options), isinstance(plugin, type))
        if fault is not None:
            self._faults.append(fault)
        return options if fault is None else None


def is_interruption(error: BaseException) -> bool:
    """Whether an exception is Ctrl-C, which comes from a signal, and not a `raise` in the code of a plugin."""
    trace = error.__traceback__
    if not isinstance(error, KeyboardInterrupt) or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] != "RAISE_VARARGS"


def _fault(function: Any, hook: str, options: dict[str, Any], is_class: bool) -> Fault | None:
    """Why a hook cannot be called; None if it can."""
    if hook not in SUPPORTED:
        near = difflib.get_close_matches(hook, SUPPORTED, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"The hooks of this ftkit are {', '.join(SUPPORTED)}."
        return Fault(f"it has a hook that this ftkit does not have: {hook}", hint, near[0] if near else "")
    if options.get("wrapper") or options.get("hookwrapper"):
        return Fault(
            f"its hook {hook} is a wrapper, which ftkit does not call", "Decorate it with @hookimpl alone.", hook
        )
    parameters = list(inspect.signature(SUPPORTED[hook]).parameters)
    wanted = f"Define it as `def {hook}({', '.join(parameters)})`."
    if is_class:
        return Fault(f"its hook {hook} is in a class", "Let the entry point name an instance, or a module.", hook)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return Fault(f"its hook {hook} is asynchronous: ftkit does not await it", wanted, hook)
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError:
        return Fault(f"its hook {hook} does not take the arguments ({', '.join(parameters)})", wanted, hook)
    return None


def _unmarked(plugin: object) -> list[Fault]:
    """Functions of a plugin that are named as hooks but lack the decorator."""
    functions = {name: inspect.getattr_static(plugin, name, None) for name in SUPPORTED}
    return [
        Fault(f"it offers nothing by its function {name}", f"Decorate {name} with @hookimpl, from ftkit.", name)
        for name, function in functions.items()
        if inspect.isfunction(function)
        and function.__module__ == _module(plugin)
        and not hasattr(function, "ftkit_impl")
    ]


def _module(plugin: object) -> str:
    """The module of a plugin, or the module it is."""
    if inspect.ismodule(plugin):
        return plugin.__name__
    return str(type(plugin).__module__)
