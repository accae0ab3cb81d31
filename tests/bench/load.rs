//! Asks a daemon for the same thing very often, and tells how long it took, as a JSON document.
//!
//! ```text
//! bench-load latency COUNT (SOCKET REQUEST)...   one after the other, in turn where there are several
//! bench-load calm COUNT SOCKET REQUEST           one after the other, each when the daemon has come to rest
//! bench-load pipeline COUNT SOCKET REQUEST       many on their way at a time on one connection
//! bench-load clients COUNT SOCKET REQUEST        as many clients, all at once
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Requests on their way on the connection that pipelines: enough that neither side ever waits, few
/// enough that they fit into the buffers of a socket (208 KiB).
const WINDOW: usize = 512;

/// Requests that are not measured: they fill caches.
const WARM_UP: usize = 200;

/// Several times what the daemon takes for a lookup, also below valgrind.
const REST: Duration = Duration::from_millis(3);

/// A thread of a client needs no more, and a thousand of them are small that way.
const STACK: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let count = || words[1].parse().map_err(io::Error::other);
    let document = match words[..] {
        ["latency", _, ref targets @ ..] if !targets.is_empty() && targets.len() % 2 == 0 => {
            latency(count()?, targets)?
        }
        ["calm", _, socket, request] => calm(count()?, socket, request)?,
        ["pipeline", _, socket, request] => pipeline(count()?, socket, request)?,
        ["clients", _, socket, request] => clients(count()?, socket, request)?,
        _ => {
            return Err(io::Error::other(
                "latency, calm, pipeline or clients; see the source",
            ));
        }
    };
    writeln!(io::stdout(), "{document}")
}

/// An open connection whose hello was read.
struct Connection {
    stream: BufReader<UnixStream>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Connection {
    fn open(socket: &str, request: &str) -> io::Result<Self> {
        let stream = BufReader::new(UnixStream::connect(socket)?);
        let request = format!("{request}\n").into_bytes();
        let mut connection = Self {
            stream,
            request,
            reply: Vec::new(),
        };
        connection.line()?;
        Ok(connection)
    }

    fn line(&mut self) -> io::Result<&[u8]> {
        self.reply.clear();
        match self.stream.read_until(b'\n', &mut self.reply)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(&self.reply),
        }
    }

    fn ask(&mut self) -> io::Result<()> {
        self.stream.get_mut().write_all(&self.request)?;
        good(self.line()?)
    }
}

/// Whatever is measured, an error would be quicker than an answer.
fn good(reply: &[u8]) -> io::Result<()> {
    if reply.starts_with(br#"{"ok":"#) {
        return Ok(());
    }
    Err(io::Error::other(
        String::from_utf8_lossy(reply).into_owned(),
    ))
}

fn latency(count: usize, targets: &[&str]) -> io::Result<Value> {
    let mut connections = Vec::new();
    for target in targets.chunks(2) {
        let connection = Connection::open(target[0], target[1])?;
        connections.push((connection, Vec::with_capacity(count)));
    }
    for round in 0..WARM_UP + count {
        for (connection, times) in &mut connections {
            let start = Instant::now();
            connection.ask()?;
            if round >= WARM_UP {
                times.push(start.elapsed());
            }
        }
    }
    Ok(connections
        .into_iter()
        .map(|(_, times)| spread(times))
        .collect())
}

/// Every lookup takes the same way: the daemon never finds the next one while it ends with the last.
fn calm(count: usize, socket: &str, request: &str) -> io::Result<Value> {
    let mut connection = Connection::open(socket, request)?;
    for _ in 0..count {
        thread::sleep(REST);
        connection.ask()?;
    }
    Ok(json!({ "answered": count }))
}

fn pipeline(count: usize, socket: &str, request: &str) -> io::Result<Value> {
    let mut connection = Connection::open(socket, request)?;
    connection.ask()?;
    let (batch, reply) = (connection.request.repeat(WINDOW / 2), connection.reply);
    let mut stream = connection.stream.into_inner();
    let (mut sent, mut answered, mut received) = (0, 0, 0);
    let mut chunk = vec![0; 256 * 1024];
    let start = Instant::now();
    while answered < count {
        while sent < count && sent - answered <= WINDOW / 2 {
            stream.write_all(&batch)?;
            sent += WINDOW / 2;
        }
        let length = match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => length,
        };
        answered += chunk[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        received += length;
    }
    let seconds = start.elapsed().as_secs_f64();
    if received != answered * reply.len() {
        return Err(io::Error::other(
            "not every reply was the first one's equal",
        ));
    }
    Ok(json!({ "answered": answered, "per_second": answered as f64 / seconds }))
}

fn clients(count: usize, socket: &str, request: &str) -> io::Result<Value> {
    let barrier = Arc::new(Barrier::new(count));
    let mut threads = Vec::with_capacity(count);
    for _ in 0..count {
        let (barrier, socket, request) = (barrier.clone(), socket.to_owned(), request.to_owned());
        let client = move || {
            barrier.wait();
            let start = Instant::now();
            Connection::open(&socket, &request)?.ask()?;
            Ok(start.elapsed())
        };
        threads.push(thread::Builder::new().stack_size(STACK).spawn(client)?);
    }
    let mut times = Vec::with_capacity(count);
    for thread in threads {
        let time: io::Result<Duration> = thread
            .join()
            .map_err(|_| io::Error::other("a client panicked"))?;
        times.push(time?);
    }
    Ok(spread(times))
}

/// Median, 99th percentile and the rest, in microseconds.
fn spread(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times[place.min(times.len() - 1)].as_secs_f64() * 1e6
    };
    json!({ "count": times.len(), "median_us": at(0.5), "p99_us": at(0.99), "max_us": at(1.0) })
}
