//! The command line of hfd.

fn main() -> std::process::ExitCode {
    hfd::main()
}
