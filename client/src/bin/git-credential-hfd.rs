//! hfd under the name by which git finds it: `credential.helper = hfd` runs `git-credential-hfd`.

fn main() -> std::process::ExitCode {
    hfd::main()
}
