//! How `hfd` is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The C library before libgcc_s, which rustc names first: each of its functions is looked for in the
    // libraries one after the other, at every start.
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu")
        && std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux")
    {
        println!("cargo::rustc-link-lib=c");
    }
}
