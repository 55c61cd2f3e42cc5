"""From a model's reply to a candidate: what goes into the files, stub by stub."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.errors import Refused, Unusable
from pytest_selfheal.records import Candidate, Piece, Reply, Stub
from pytest_selfheal.source.elided import left_out
from pytest_selfheal.source.kinds import FunctionNode
from pytest_selfheal.source.names import (
    Binding,
    module_bindings,
    names_bound_by,
    names_needed,
    names_needed_by_body,
)
from pytest_selfheal.source.outline import Outlined, definitions
from pytest_selfheal.source.parsing import is_trivial_body
from pytest_selfheal.source.policy import first_violation, make_context
from pytest_selfheal.source.reply_code import (
    Code,
    parse_code,
    quote_as_given,
    quote_statement,
)
from pytest_selfheal.source.signature import signature_change, signature_text
from pytest_selfheal.source.targets import match_targets, without_restated
from pytest_selfheal.source.user_module import UserModule, speaks_of_exit, user_module


def read_candidate(reply: Reply, stubs: Sequence[Stub], sources: Mapping[str, bytes]) -> Candidate:
    """Take from a reply what the stubs need, and vet it.

    Args:
        reply: The model's reply, taken apart.
        stubs: The stubs that were asked for.
        sources: The bytes of the stubs' files, by path; of others, nothing is read.

    Returns:
        One piece for each stub, in the order of `stubs`.

    Raises:
        Unusable: There is no candidate in it; one line tells the model why.
        Refused: The static policy does not let it into a sandbox; one line tells why.
        EditConflict: A target's file does not parse any more.
    """
    if not any(block.strip() for block in reply.blocks):
        if reply.gave_up:
            raise Unusable(f"the reply gives up: {reply.gave_up}")
        raise Unusable("the reply holds no ```python block: put the complete definitions into one")
    code = parse_code(reply.blocks)
    _refuse_stars(code)
    paths = dict.fromkeys(stub.path for stub in stubs)  # of many files with stubs, these alone
    users = {path: user_module(path, sources[path]) for path in paths}
    checks = _read_checks(reply.checks)
    _vet(code, checks, stubs, users)
    found = match_targets(code, stubs, users)
    wrappers = {node for given in found for node in (given.node, *given.classes)}
    bindings = module_bindings(code.tree)
    pieces = tuple(
        _Gatherer(code, bindings, users[stub.path], stub, given, wrappers).piece()
        for stub, given in zip(stubs, found, strict=True)
    )
    return Candidate(pieces=pieces, checks=checks.text if checks else "")


def _refuse_stars(code: Code) -> None:
    for binding in module_bindings(code.tree).get("*", ()):
        raise Unusable(
            f"line {binding.node.lineno} of the reply's code, "
            f"{code.quote(binding.node.lineno)!r}, does not say what it imports: "
            "name each import"
        )


# --- vetting ---------------------------------------------------------------------------


def _read_checks(blocks: Sequence[str]) -> Code | None:
    blocks = [block for block in blocks if block.strip()]
    return parse_code(blocks, "the ```python checks block") if blocks else None


def _vet(
    code: Code, checks: Code | None, stubs: Sequence[Stub], users: Mapping[str, UserModule]
) -> None:
    trees = tuple(user.tree for user in users.values())
    targets = frozenset(stub.qualname for stub in stubs)
    may_exit = any(_speaks_of_exit(stub, users) for stub in stubs)
    for each, where in ((code, "the reply's code"), (checks, "the checks")):
        if each is None:
            continue
        tree = without_restated(each.tree, trees)
        context = make_context(
            tree, trees, targets=targets, may_exit=may_exit, is_checks=each is checks
        )
        try:
            violation = first_violation(tree, context)
        except RecursionError as error:
            raise Unusable(f"{where} is nested too deeply: use shorter expressions") from error
        if violation:
            line, reason = violation
            raise Refused(f"line {line} of {where}, {each.quote(line)!r}: {reason}")


def _speaks_of_exit(stub: Stub, users: Mapping[str, UserModule]) -> bool:
    user = users[stub.path]
    found = user.functions.get((stub.qualname, stub.index))
    words = [stub.qualname, stub.options.hint or ""]
    if found is not None and not isinstance(found.node, ast.ClassDef):
        words.append(ast.get_docstring(found.node) or "")
    return user.may_exit or any(speaks_of_exit(each) for each in words)


# --- one stub's piece ------------------------------------------------------------------


_ASSIGNMENTS = (ast.Assign, ast.AnnAssign)


@dataclass(slots=True)
class _Gatherer:
    """Follows the names that one definition needs through the reply."""

    code: Code
    bindings: Mapping[str, tuple[Binding, ...]]
    """What the reply binds at module level."""
    user: UserModule
    stub: Stub
    given: Outlined
    wrappers: Collection[ast.stmt]
    """The reply's definitions and classes that hold a target: none of them is a helper."""
    imports: dict[str, None] = field(default_factory=dict)
    helpers: dict[int, ast.stmt] = field(default_factory=dict)
    members: dict[int, ast.stmt] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def piece(self) -> Piece:
        node = self.given.node
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        self._check(node)
        self._follow(names_needed_by_body(node))
        self._follow_attributes(node)
        self._follow_texts(node)
        self._follow_registered()
        return Piece(
            stub=self.stub,
            definition=quote_statement(self.code, node, decorators=False),
            as_given=quote_as_given(self.code, node),
            imports=tuple(sorted(self.imports)),
            helpers=self._quoted(self.helpers),
            members=self._quoted(self.members),
        )

    def _quoted(self, nodes: Mapping[int, ast.stmt]) -> tuple[str, ...]:
        ordered = sorted(nodes.values(), key=lambda node: (node.lineno, node.col_offset))
        for node in ordered:
            self._check_complete(node)
        return tuple(quote_statement(self.code, node, decorators=True) for node in ordered)

    def _check(self, node: FunctionNode) -> None:
        """Hold the definition against the stub."""
        name = self.stub.qualname
        stub = self.user.functions.get((name, self.stub.index))
        if stub is None or isinstance(stub.node, ast.ClassDef):
            raise Unusable(f"{name!r} is not in {self.user.path} any more: run again")
        change = signature_change(stub.node, node)
        if change:
            raise Unusable(f"the signature of {name!r} is changed: {change}")
        if is_trivial_body(node.body):
            raise Unusable(
                f"the body of {name!r} is left out: give the complete definition, "
                "no stub and no placeholder"
            )
        self._check_complete(node)

    def _check_complete(self, node: ast.stmt) -> None:
        dots = left_out(self.code, node)
        if dots:
            raise Unusable(
                f"line {node.lineno} of the reply's code begins a definition in which "
                f"{dots!r} stands for code left out: give it complete"
            )

    # -- names of the module --

    def _follow(self, names: set[str]) -> None:
        pending = sorted(names)
        while pending:
            name = pending.pop()
            if name not in self.seen:
                self.seen.add(name)
                pending += sorted(self._add(name))

    def _add(self, name: str) -> set[str]:
        """Take what the reply binds to a name; give the names that this needs in turn."""
        needed: set[str] = set()
        for binding in self.bindings.get(name, ()):
            if binding.node in self.wrappers or self._is_there(binding):
                continue
            if binding.imported is not None:
                self._add_import(binding)
            else:
                self.helpers[id(binding.node)] = binding.node
                needed |= names_needed(binding.node)
                self._follow_attributes(binding.node)
        return needed

    def _add_import(self, binding: Binding) -> None:
        imported = binding.imported
        assert imported is not None
        if imported.module != "__future__":
            self.imports[imported.text] = None

    def _is_there(self, binding: Binding) -> bool:
        """Whether the user's module has the same thing; another of that name is an error."""
        name, users = binding.name, self.user.bindings.get(binding.name, ())
        users = tuple(each for each in users if not each.for_typing_only)
        if not users:
            return False
        if any(self._is_same(binding, each) for each in users):
            return not self._is_other_submodule(binding, users)
        raise Unusable(
            f"{name!r} of the reply is already defined in {self.user.path}, "
            f"as a {users[-1].kind} on line {users[-1].node.lineno}: use another name"
        )

    def _is_same(self, given: Binding, there: Binding) -> bool:
        if given.imported is not None and there.imported is not None:
            return given.imported.is_same_thing(there.imported, self.user.path)
        if given.kind != there.kind:
            return False
        if isinstance(given.node, (ast.FunctionDef, ast.AsyncFunctionDef)) and isinstance(
            there.node, (ast.FunctionDef, ast.AsyncFunctionDef)
        ):
            return signature_text(given.node) == signature_text(there.node)
        if given.kind == "variable":
            return _value(given.node) == _value(there.node)
        return True  # a class restated, however shortened: the user's stays

    def _is_other_submodule(self, given: Binding, users: Sequence[Binding]) -> bool:
        """`import os` is there and `import os.path` is not: the same name, yet needed."""
        imported = given.imported
        if imported is None or imported.name or imported.asname or "." not in imported.module:
            return False
        return all(each.imported and each.imported.module != imported.module for each in users)

    def _follow_texts(self, node: ast.stmt) -> None:
        """Take what code names by a text: `globals()["RATE"]`, `sys.modules[__name__]`."""
        known = -1
        while known < len(self.seen):
            known = len(self.seen)
            code = [node, *self.helpers.values(), *self.members.values()]
            parts = [part for each in code for part in ast.walk(each)]
            if any(map(_looks_names_up, parts)):
                texts = {part.value for part in parts if isinstance(part, ast.Constant)}
                named = {text for text in texts if isinstance(text, str)}
                self._follow(named & self.bindings.keys())

    def _follow_registered(self) -> None:
        """Take what enters itself where it is looked up: by a decorator, or as a subclass."""
        found = True
        while found:
            found = False
            helpers = {binding.name: binding.node for binding in self._taken()}
            registers = {name for name, node in helpers.items() if _keeps_subclasses(node, helpers)}
            keepers = helpers.keys() | {
                name
                for name, bindings in self.bindings.items()
                if bindings[-1].kind == "function" and self._keeps(bindings[-1].node, helpers)
            }
            for node in self.code.tree.body:
                if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    continue
                bases = node.bases if isinstance(node, ast.ClassDef) else []
                by = _roots(node.decorator_list) & keepers | _roots(bases) & registers
                if by and node.name not in self.seen and node not in self.wrappers:
                    self._follow({node.name})
                    found = True

    def _keeps(self, node: ast.stmt, helpers: Mapping[str, ast.stmt]) -> bool:
        """Whether a function, as a decorator, puts something into a variable that was taken."""
        variables = {name for name, each in helpers.items() if isinstance(each, _ASSIGNMENTS)}
        return node not in self.wrappers and bool(variables & names_needed(node))

    def _taken(self) -> list[Binding]:
        every = (each for bindings in self.bindings.values() for each in bindings)
        return [each for each in every if id(each.node) in self.helpers]

    # -- members of the class --

    def _follow_attributes(self, node: ast.stmt) -> None:
        """Take the methods that the reply adds to the stub's class and this code uses."""
        used = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
        for member in self._new_members():
            names = names_bound_by([member])
            if names & used and id(member) not in self.members:
                self.members[id(member)] = member
                self._follow(names_needed(member))
                self._follow_attributes(member)

    def _new_members(self) -> list[ast.stmt]:
        """Give what the reply puts beside the target and the user's class does not have."""
        owner = self.user.functions[self.stub.qualname, self.stub.index].classes
        if not owner:
            return []
        known = names_bound_by(owner[-1].body)
        wrappers = self.given.classes
        beside = self._wrapper_bodies() if wrappers else self._bare_methods()
        return [member for member in beside if _is_new_member(member, known)]

    def _wrapper_bodies(self) -> list[ast.stmt]:
        """A reply may open the class more than once, in several blocks."""
        qualname = self.given.qualname.rpartition(".")[0]
        bodies: list[ast.stmt] = []
        for found in definitions(self.code.tree):
            if isinstance(found.node, ast.ClassDef) and found.qualname == qualname:
                bodies += found.node.body
        return bodies

    def _bare_methods(self) -> list[ast.stmt]:
        """Beside a bare method, functions that begin with `self` or `cls` are methods."""
        return [
            node
            for node in self.code.tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node is not self.given.node
            and (node.args.posonlyargs + node.args.args)[:1]
            and (node.args.posonlyargs + node.args.args)[0].arg in ("self", "cls")
        ]


def _keeps_subclasses(node: ast.stmt, helpers: Mapping[str, ast.stmt]) -> bool:
    """Whether a class is told of its subclasses, or asked for them by some helper."""
    if not isinstance(node, ast.ClassDef):
        return False
    is_told = "__init_subclass__" in names_bound_by(node.body)
    return is_told or any(
        isinstance(each, ast.Attribute) and each.attr == "__subclasses__"
        for helper in helpers.values()
        for each in ast.walk(helper)
    )


def _roots(nodes: Sequence[ast.expr]) -> set[str]:
    """Give the names that expressions begin with: `register("x")`, `app.route`, `Base[int]`."""
    names: set[str] = set()
    for node in nodes:
        while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
            node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Name):
            names.add(node.id)
    return names


def _is_new_member(node: ast.stmt, known: set[str]) -> bool:
    names = names_bound_by([node])
    is_definition = isinstance(
        node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    )
    is_special = any(name.startswith("__") and name.endswith("__") for name in names)
    return is_definition and bool(names) and not names & known and not is_special


def _value(node: ast.stmt) -> str:
    value = getattr(node, "value", None)
    return ast.dump(value) if isinstance(value, ast.AST) else ""


def _looks_names_up(node: ast.AST) -> bool:
    """Whether it is where a module's names are found by texts."""
    if isinstance(node, ast.Name):
        return node.id in ("globals", "__name__")
    return isinstance(node, ast.Attribute) and node.attr in ("__globals__", "__module__")
