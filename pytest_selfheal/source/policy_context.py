"""What the static policy's checks know beside the tree they look at."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pytest_selfheal.source.names import module_bindings, stored_names
from pytest_selfheal.source.parsing import once_per_tree
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
    user_class_variables: frozenset[str] = frozenset()
    """What the user's classes bind by assignment, as `Class.name`."""
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
    users = [_of_user(user_tree) for user_tree in user_trees]
    return Context(
        names=Names.of(tree, *user_trees),
        user=frozenset().union(*(user.used for user in users)),
        user_attributes=frozenset().union(*(user.attributes for user in users)),
        user_kinds={name: kind for user in users for name, kind in user.kinds.items()},
        user_class_variables=frozenset().union(*(user.class_variables for user in users)),
        targets=targets,
        may_exit=may_exit,
        is_checks=is_checks,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _User:
    used: frozenset[str]
    attributes: frozenset[str]
    class_variables: frozenset[str]
    kinds: Mapping[str, str]


@once_per_tree
def _of_user(tree: ast.Module) -> _User:
    """Look once at a user's module for all replies that are meant for it."""
    names = Names.of(tree)
    used = {dotted for _, dotted in names.uses(tree)} | names.modules
    return _User(
        used=frozenset(used - {"pytest_selfheal"}),  # for the marker, not for the rest
        attributes=frozenset(
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
        ),
        class_variables=frozenset(
            f"{node.name}.{name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            for statement in node.body
            if isinstance(statement, (ast.Assign, ast.AnnAssign))
            for name in stored_names(statement)
        ),
        kinds={name: bindings[-1].kind for name, bindings in module_bindings(tree).items()},
    )
