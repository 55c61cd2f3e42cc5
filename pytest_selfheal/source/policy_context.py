"""What the static policy's checks know beside the tree they look at."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pytest_selfheal.source.names import module_bindings
from pytest_selfheal.source.policy_names import Names

Violation = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the checks know beside the tree."""

    names: Names
    """What the names of the reply stand for."""
    user: frozenset[str] = frozenset()
    """Dotted names that the user's modules import or use themselves."""
    user_attributes: frozenset[str] = frozenset()
    """The attributes that the user's modules name themselves."""
    user_kinds: Mapping[str, str] = field(default_factory=dict)
    """What the user's modules bind: name to `import`, `function`, `class`, `variable`."""
    targets: frozenset[str] = frozenset()
    """Qualified names of the definitions that were asked for."""
    may_exit: bool = False
    """The stub or its module speaks of exiting, so that `sys.exit` is honest in it."""
    is_checks: bool = False
    """The tree is the model's own asserts: `pytest.raises` and top-level calls are fine."""


Check = Callable[[ast.Module, Context], Iterator[Violation]]


def make_context(
    tree: ast.Module,
    user_trees: tuple[ast.Module, ...] = (),
    *,
    targets: frozenset[str] = frozenset(),
    may_exit: bool = False,
    is_checks: bool = False,
) -> Context:
    """Gather what the checks need to know.

    Args:
        tree: The reply, or its checks.
        user_trees: The modules of the targets as they are.
        targets: The targets' qualified names.
        may_exit: Whether functions may end the program.
        is_checks: Whether `tree` is the reply's checks.
    """
    kinds: dict[str, str] = {}
    used: set[str] = set()
    for user_tree in user_trees:
        names = Names.of(user_tree)
        used |= {dotted for _, dotted in names.uses(user_tree)} | names.modules
        used -= {"pytest_selfheal"}  # for the marker, not for the rest
        for name, bindings in module_bindings(user_tree).items():
            kinds[name] = bindings[-1].kind
    return Context(
        names=Names.of(tree, *user_trees),
        user=frozenset(used),
        user_attributes=frozenset(
            node.attr
            for user_tree in user_trees
            for node in ast.walk(user_tree)
            if isinstance(node, ast.Attribute)
        ),
        user_kinds=kinds,
        targets=targets,
        may_exit=may_exit,
        is_checks=is_checks,
    )
