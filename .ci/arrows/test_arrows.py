"""Tests of the checks: `python3 -m unittest discover .ci/arrows`."""

import tempfile
import unittest
from pathlib import Path

import crates
import modules
import sizes
from source import code, functions, production


def tree(files):
    """A temporary `src` directory with these files."""
    root = tempfile.TemporaryDirectory()
    for name, text in files.items():
        file = Path(root.name) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def faults(files):
    with tree(files) as root:
        return list(modules.faults(root))


class Cycles(unittest.TestCase):
    def test_two_files_that_use_each_other_fail(self):
        found = faults({
            "lib.rs": "pub mod a; pub mod b;",
            "a.rs": "use crate::b::B; pub struct A(B);",
            "b.rs": "pub fn b() { crate::a::go() }",
        })
        self.assertEqual(len(found), 2, found)
        self.assertIn("cycle of files: crate::a -> crate::b, crate::b -> crate::a", found[0])
        self.assertIn("cycle of top-level modules", found[1])

    def test_a_child_that_uses_its_parents_items_fails_when_the_parent_mentions_it(self):
        found = faults({
            "lib.rs": "pub mod a;",
            "a.rs": "mod b; pub use b::B; pub struct A;",
            "a/b.rs": "use super::A; pub struct B(A);",
        })
        self.assertEqual(len(found), 1, found)
        self.assertIn("crate::a -> crate::a::b", found[0])

    def test_a_parent_that_only_re_exports_its_children_passes(self):
        found = faults({
            "lib.rs": "pub mod a;",
            "a.rs": "mod b; mod c; pub use b::B; pub use c::{C, D as E};",
            "a/b.rs": "use super::{C, E}; pub struct B(C, E);",
            "a/c.rs": "pub struct C; pub struct D;",
        })
        self.assertEqual(found, [])

    def test_a_cycle_through_a_re_export_is_seen(self):
        found = faults({
            "lib.rs": "pub mod a;",
            "a.rs": "mod b; mod c; pub use b::B; pub use c::C;",
            "a/b.rs": "use super::C; pub struct B(C);",
            "a/c.rs": "use crate::a::{self, B}; pub struct C(a::B);",
        })
        self.assertEqual(len(found), 1, found)
        self.assertIn("crate::a::b -> crate::a::c", found[0])

    def test_top_level_modules_are_merged_with_their_children(self):
        found = faults({
            "lib.rs": "pub mod a; pub mod b;",
            "a.rs": "pub mod x; pub mod y;",
            "a/x.rs": "use crate::b::B;",
            "a/y.rs": "pub struct Y;",
            "b.rs": "use crate::a::y::Y; pub struct B(Y);",
        })
        self.assertEqual(len(found), 1, found)
        self.assertIn("cycle of top-level modules: crate::a -> crate::b, crate::b -> crate::a", found[0])

    def test_a_module_in_a_file_of_another_name_is_found(self):
        found = faults({
            "lib.rs": "pub mod a;",
            "a.rs": '#[cfg(unix)]\n#[path = "a/unix.rs"]\nmod platform; mod b; pub use b::B;',
            "a/b.rs": "use super::platform::{self, P}; pub struct B(P);",
            "a/unix.rs": "pub struct P;",
        })
        self.assertEqual(found, [])

    def test_a_visibility_is_no_mention(self):
        found = faults({
            "lib.rs": "pub mod a;",
            "a.rs": "mod b; pub use b::B; pub struct A;",
            "a/b.rs": "pub(in crate::a) struct B;",
        })
        self.assertEqual(found, [])

    def test_tests_comments_and_texts_do_not_count(self):
        found = faults({
            "lib.rs": "pub mod a; pub mod b;",
            "a.rs": "use crate::b::B; pub struct A;",
            "b.rs": '//! See [`crate::a::A`].\n#[cfg(test)]\nmod tests { use crate::a::A; }\n'
            '#[cfg(test)]\nuse crate::a::{A};\nconst T: &str = "crate::a::A"; const R: &str = r#"" crate::a::A"#;\n'
            "pub struct B;",
            "b/tests.rs": "use crate::a::A;",
        })
        self.assertEqual(found, [])


class Sizes(unittest.TestCase):
    def test_long_files_and_functions_fail_and_their_tests_do_not_count(self):
        body = "    let _ = 1;\n"
        files = {
            "short.rs": "fn f() {\n" + body * 78 + "}\n",
            "long_function.rs": "fn f() {\n" + body * 79 + "}\n",
            "long_file.rs": "const A: u8 = 1;\n" * 501,
            "long_tests.rs": "fn f() {}\n#[cfg(test)]\nmod tests {\n" + body * 600 + "}\n",
            "module/tests.rs": body * 600,
        }
        with tree(files) as root:
            found = [fault.removeprefix(root + "/") for fault in sizes.faults(root)]
        self.assertEqual(
            found,
            [
                "long_file.rs: 501 lines outside of tests, at most 500",
                "long_function.rs:1: fn f has 81 lines, at most 80",
            ],
        )

    def test_a_declaration_without_a_body_has_no_length(self):
        text, _ = production("trait T { fn a(&self) -> [u8; 2]; fn b(&self) {\n} }")
        self.assertEqual(list(functions(text)), [("b", 1, 2)])


class Source(unittest.TestCase):
    def test_literals_and_comments_are_blanked_and_lifetimes_are_not(self):
        cases = {
            "'{' x": "    x",
            "b'\\'' x": "      x",
            "'\\u{7b}' x": "         x",
            "fn f<'a>(x: &'a str)": "fn f<'a>(x: &'a str)",
            '"a\\"{" x': "       x",
            'r#"a"{"# x': "         x",
            "/* { \n */ x": "     \n    x",
            "x // {": "x     ",
        }
        for text, expected in cases.items():
            self.assertEqual(code(text), expected, text)


class Edges(unittest.TestCase):
    def package(self, kind):
        dependency = {"name": "mesh-hbone", "kind": kind, "path": "mesh-hbone"}
        return {"name": "mesh-core", "dependencies": [dependency]}

    def test_a_forbidden_dependency_fails_and_a_development_dependency_does_not(self):
        self.assertEqual(
            list(crates.edge_faults([self.package(None)])), ["mesh-core must not depend on mesh-hbone"]
        )
        self.assertEqual(list(crates.edge_faults([self.package("dev")])), [])

    def test_an_unwanted_crate_in_the_tree_is_named(self):
        original, crates.cargo = crates.cargo, lambda *_: "mesh-core v0.1.0 (path)\ntokio v1.0.0\n"
        try:
            found = list(crates.tree_faults(["-p", "mesh-core"], {"tokio"}))
        finally:
            crates.cargo = original
        self.assertEqual(found, ["`cargo tree -p mesh-core` has tokio"])


if __name__ == "__main__":
    unittest.main()
