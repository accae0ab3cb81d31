//! A mock Hub as a program: reads accounts from its standard input, one JSON object a line with a
//! `token` beside the keys of an account; says where it listens once it does; serves until its
//! process is ended.

use std::io::{self, BufRead, Write};

use hfd_e2e::hub::{Account, Hub};

#[derive(serde::Deserialize)]
struct Line {
    token: String,
    #[serde(flatten)]
    account: Account,
}

fn main() -> io::Result<()> {
    let hub = Hub::start()?;
    for line in io::stdin().lock().lines() {
        let Line { token, account } = serde_json::from_str(&line?)?;
        hub.add(&token, account);
    }
    let mut out = io::stdout();
    writeln!(out, "{}", hub.endpoint())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}
