//! The other user of the end-to-end tests; see `Stranger`. Its argument is the directory where it
//! listens.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("usage: stranger DIRECTORY"))?;
    hfd_e2e::serve_stranger(&directory)
}
