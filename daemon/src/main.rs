//! `hfdd`, the daemon.

fn main() -> std::process::ExitCode {
    hfd_daemon::main()
}
