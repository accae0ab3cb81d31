//! How `hfd` and `hfdd` are linked.

use std::path::Path;
use std::{env, fs, process};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| env::var(variable).as_deref() == Ok(value);
    if !is("CARGO_CFG_TARGET_ENV", "gnu") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    // The C library before libgcc_s, which rustc names first: each of its functions is looked for in the
    // libraries one after the other, at every start.
    println!("cargo::rustc-link-lib=c");
    // And the unwinder, which a panic alone needs, in the program itself, where the compiler has it: to load a
    // library takes a tenth of the time in which `hfd token` is done.
    let own = env::var("HOST") == env::var("TARGET");
    let directory = env::var("OUT_DIR").expect("cargo sets it");
    if let Some(archive) = own.then(unwinder).flatten() {
        let script = format!("INPUT({archive})\n");
        fs::write(Path::new(&directory).join("libgcc_s.so"), script).expect("it can be written");
        println!("cargo::rustc-link-arg-bins=-L{directory}");
    }
}

/// The path of the compiler's unwinder as an archive.
fn unwinder() -> Option<String> {
    let mut asked = process::Command::new("cc");
    let told = asked.arg("-print-file-name=libgcc_eh.a").output().ok()?;
    let path = String::from_utf8(told.stdout).ok()?.trim().to_owned();
    // Where there is none, its name comes back.
    Path::new(&path).is_absolute().then_some(path)
}
