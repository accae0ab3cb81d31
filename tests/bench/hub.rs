//! A mock Hub over TLS that knows one token, so that the daemon does all that it does to reach the
//! real one. Writes its certificate to the file of its first argument, says where it listens, and
//! serves until its process is ended.

use std::io::{self, Write};

use hfd_e2e::hub::{Account, Certificate, Hub};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(token)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("bench-hub CERTIFICATE-FILE TOKEN"));
    };
    let certificate = Certificate::self_signed();
    std::fs::write(file, certificate.pem())?;
    let hub = Hub::start_tls(&certificate)?;
    hub.add(&token, Account::new("bench", "bench"));
    let mut out = io::stdout();
    writeln!(out, "{}", hub.endpoint())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}
