"""Whether a reply's definition takes what the stub takes."""

from __future__ import annotations

import ast
import copy

from pytest_selfheal.source.kinds import FunctionNode, decorator_name, kind_of

_KIND_WORDS = {
    "static": "@staticmethod",
    "class": "@classmethod",
    "property": "a property",
    "overload": "an @overload",
    "plain": "an undecorated definition",
}
_OUR_MARKER = "heal"


def signature_change(stub: FunctionNode, given: FunctionNode) -> str | None:
    """Say in one line how a reply's definition changes the stub's signature, or `None`.

    Names, order, kinds, defaults, async-ness and the kind of method count; annotations
    do not, since the stub's own stay. A reply may leave the stub's decorators out.
    """
    if _shape(stub) != _shape(given):
        return f"it has to stay `{header(stub)}`, and the reply has `{header(given)}`"
    was, now = kind_of(stub), kind_of(given)
    if given.decorator_list and was != now and now != "plain":
        return f"it is {_words(was)}, and the reply makes it {_words(now)}"
    return _added_decorator(stub, given)


def header(node: FunctionNode) -> str:
    """Show a definition's first line without its body."""
    bare = copy.copy(node)
    bare.decorator_list = []
    bare.body = [ast.Pass()]
    return ast.unparse(bare).strip().rsplit(":", 1)[0]


def signature_text(node: FunctionNode) -> str:
    """Give what callers rely on as text: equal texts take the same calls."""
    return repr(_shape(node))


def _shape(node: FunctionNode) -> tuple[object, ...]:
    arguments = node.args
    return (
        type(node),
        [argument.arg for argument in arguments.posonlyargs],
        [argument.arg for argument in arguments.args],
        arguments.vararg and arguments.vararg.arg,
        [argument.arg for argument in arguments.kwonlyargs],
        arguments.kwarg and arguments.kwarg.arg,
        [ast.dump(default) for default in arguments.defaults],
        [default and ast.dump(default) for default in arguments.kw_defaults],
    )


def _words(kind: str) -> str:
    return _KIND_WORDS.get(kind, f"a property's {kind}")


def _added_decorator(stub: FunctionNode, given: FunctionNode) -> str | None:
    own = {decorator_name(decorator) for decorator in stub.decorator_list}
    for decorator in given.decorator_list:
        name = decorator_name(decorator)
        if name not in own and name != _OUR_MARKER:
            return (
                f"the reply decorates it with `@{ast.unparse(decorator)}`, the stub does not, "
                "and its decorators stay as they are"
            )
    return None
