//! One name: what was agreed, what the store holds, what the file holds, and what comes of it.
//!
//! `A+R@9` says more than `A`, which is also what huggingface_hub up to 1.19 leaves of it. The
//! plan is what the store takes over; the last column is what store and file then both hold.

use hfd_core::model::Base;
use hfd_proto::Mode;

use super::world::{World, name, print, section};

const TABLE: &str = "\
agreed store  file   plan                      in the end
-      -      -      -
-      -      A      import n=A                n=A
-      -      A+R@9  import n=A+R@9            n=A+R@9
-      -      B      import n=B                n=B
-      -      C      import n=C                n=C
-      A      -      write                     n=A
-      A      A      -                         n=A
-      A      A+R@9  update n=A+R@9            n=A+R@9
-      A      B      import n-2=B, write       n=A n-2=B
-      A      C      import n-2=C, write       n=A n-2=C
-      A+R@9  -      write                     n=A+R@9
-      A+R@9  A      write                     n=A+R@9
-      A+R@9  A+R@9  -                         n=A+R@9
-      A+R@9  B      import n-2=B, write       n=A+R@9 n-2=B
-      A+R@9  C      import n-2=C, write       n=A+R@9 n-2=C
-      B      -      write                     n=B
-      B      A      import n-2=A, write       n=B n-2=A
-      B      A+R@9  import n-2=A+R@9, write   n=B n-2=A+R@9
-      B      B      -                         n=B
-      B      C      import n-2=C, write       n=B n-2=C
A      -      -      -
A      -      A      write
A      -      A+R@9  write
A      -      B      import n=B                n=B
A      -      C      import n=C                n=C
A      A      -      remove n
A      A      A      -                         n=A
A      A      A+R@9  update n=A+R@9            n=A+R@9
A      A      B      update n=B                n=B
A      A      C      update n=C                n=C
A      A+R@9  -      write                     n=A+R@9
A      A+R@9  A      write                     n=A+R@9
A      A+R@9  A+R@9  -                         n=A+R@9
A      A+R@9  B      import n-2=B, write       n=A+R@9 n-2=B
A      A+R@9  C      import n-2=C, write       n=A+R@9 n-2=C
A      B      -      write                     n=B
A      B      A      write                     n=B
A      B      A+R@9  import n-2=A+R@9, write   n=B n-2=A+R@9
A      B      B      -                         n=B
A      B      C      import n-2=C, write       n=B n-2=C
A+R@9  -      -      -
A+R@9  -      A      write
A+R@9  -      A+R@9  write
A+R@9  -      B      import n=B                n=B
A+R@9  -      C      import n=C                n=C
A+R@9  A      -      write                     n=A
A+R@9  A      A      -                         n=A
A+R@9  A      A+R@9  write                     n=A
A+R@9  A      B      import n-2=B, write       n=A n-2=B
A+R@9  A      C      import n-2=C, write       n=A n-2=C
A+R@9  A+R@9  -      remove n
A+R@9  A+R@9  A      write                     n=A+R@9
A+R@9  A+R@9  A+R@9  -                         n=A+R@9
A+R@9  A+R@9  B      update n=B                n=B
A+R@9  A+R@9  C      update n=C                n=C
A+R@9  B      -      write                     n=B
A+R@9  B      A      write                     n=B
A+R@9  B      A+R@9  write                     n=B
A+R@9  B      B      -                         n=B
A+R@9  B      C      import n-2=C, write       n=B n-2=C
";

#[test]
fn every_past_present_and_file_of_one_name() {
    let mut cases = Vec::new();
    for base in ["-", "A", "A+R@9"] {
        for store in ["-", "A", "A+R@9", "B"] {
            for file in ["-", "A", "A+R@9", "B", "C"] {
                cases.push(row(base, store, file));
            }
        }
    }
    let table: Vec<String> = TABLE.lines().skip(1).map(str::to_owned).collect();
    for (row, expected) in cases.iter().zip(&table) {
        assert_eq!(row, expected);
    }
    assert_eq!(cases.len(), table.len(), "{}", cases.join("\n"));
}

fn row(base: &str, store: &str, file: &str) -> String {
    let mut world = World::new(Mode::Files);
    world.learn("A+R@9");
    if store != "-" {
        world.login("n", store);
    }
    let mut agreed = Base::default();
    if base != "-" {
        agreed.sections.insert(name("n"), print(base));
    }
    world.agree(agreed);
    world.stored = Some(match file {
        "-" => String::new(),
        text => section("n", text),
    });
    let outcome = world.sync();
    assert_eq!(world.file_as_base(), world.view());
    let plan = match (world.words(&outcome.first), outcome.wrote) {
        (words, false) if words.is_empty() => "-".to_owned(),
        (words, true) if words.is_empty() => "write".to_owned(),
        (words, true) => words + ", write",
        (words, false) => words,
    };
    let row = format!(
        "{base:<6} {store:<6} {file:<6} {plan:<25} {}",
        world.tokens()
    );
    row.trim_end().to_owned()
}
