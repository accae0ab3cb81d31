//! Clients that do not behave.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use hfd_e2e::{Sandbox, eventually, fault};
use hfd_proto::{Connection, List};
use serde_json::Value;

/// A connection that has read the daemon's hello.
fn connect(sandbox: &Sandbox) -> UnixStream {
    let mut stream = UnixStream::connect(sandbox.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let hello = line(&mut stream);
    assert_eq!(hello["hfd"][0], 1, "{hello}");
    stream
}

fn line(stream: &mut UnixStream) -> Value {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    serde_json::from_slice(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"))
}

fn ask(stream: &mut UnixStream, line_: &[u8]) -> Value {
    stream.write_all(line_).unwrap();
    stream.write_all(b"\n").unwrap();
    line(stream)
}

fn is_closed(stream: &mut UnixStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_))
}

fn running() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.hfd(["service", "start"]).ok();
    sandbox
}

#[test]
fn a_line_of_two_mib() {
    let mut fault = fault!("a line of 2 MiB");
    let sandbox = running();
    let mut stream = connect(&sandbox);
    let long = vec![b'x'; 2 * 1024 * 1024];
    // The daemon closes as soon as it is too long, perhaps before it was sent.
    let sent = stream.write_all(&long);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let refused = String::from_utf8_lossy(&answer).contains(r#""err""#);
    assert!(refused || sent.is_err() || read.is_err(), "{answer:?}");
    fault.answers("list", sandbox.hfd(["list"]).end());
}

#[test]
fn half_a_line_and_the_end() {
    let mut fault = fault!("half a line");
    let sandbox = running();
    let mut stream = connect(&sandbox);
    stream.write_all(br#"{"kind":"li"#).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(is_closed(&mut stream), "half a line is answered by nothing");
    let mut stream = connect(&sandbox);
    stream.write_all(br#"{"kind":"li"#).unwrap();
    let answer = line(&mut stream);
    assert_eq!(
        answer["err"]["kind"], "timed-out",
        "the rest is not waited for: {answer}"
    );
    assert!(is_closed(&mut stream));
    fault.answers("list", sandbox.hfd(["list"]).end());
}

#[test]
fn bytes_that_are_no_utf8() {
    let mut fault = fault!("bytes that are no UTF-8");
    let sandbox = running();
    let mut stream = connect(&sandbox);
    let answer = ask(&mut stream, b"{\"kind\":\"\xff\xfe\"}");
    assert_eq!(answer["err"]["kind"], "usage", "{answer}");
    let answer = ask(&mut stream, br#"{"kind":"list"}"#);
    assert!(
        answer["ok"]["tokens"].is_array(),
        "the connection is still of use: {answer}"
    );
    fault.answers("list", sandbox.hfd(["list"]).end());
}

#[test]
fn an_unknown_request() {
    let mut fault = fault!("unknown request");
    let sandbox = running();
    let mut stream = connect(&sandbox);
    for unknown in [
        &br#"{"kind":"from-2030"}"#[..],
        b"{}",
        b"[]",
        b"7",
        b"",
        b"\0",
        b"{\"kind\":",
    ] {
        let answer = ask(&mut stream, unknown);
        assert_eq!(answer["err"]["kind"], "usage", "{answer}");
    }
    let answer = ask(&mut stream, br#"{"kind":"list","from-2030":true}"#);
    assert!(
        answer["ok"]["tokens"].is_array(),
        "unknown fields are ignored: {answer}"
    );
    fault.answers("list", sandbox.hfd(["list"]).end());
}

#[test]
fn a_newer_daemon_asks_it_to_retire() {
    let sandbox = running();
    let daemon = sandbox.daemon_id();
    let mut stream = connect(&sandbox);
    let leaving = ask(&mut stream, br#"{"kind":"retire"}"#);
    assert_eq!(leaving["ok"]["pid"], daemon, "{leaving}");
    drop(stream);
    eventually("it has left", || sandbox.daemons().is_empty());
}

#[test]
fn errors_never_quote_the_line() {
    let sandbox = running();
    let work = sandbox.token("work");
    let mut stream = connect(&sandbox);
    for line in [
        format!(r#"{{"kind":"login","token":"{} x"}}"#, work.value),
        format!(r#"{{"kind":"login","token":["{}"]}}"#, work.value),
        format!(r#"{{"kind":"{}"}}"#, work.value),
        format!(r#"{{"kind":"login","tok{}"#, work.value),
    ] {
        let answer = ask(&mut stream, line.as_bytes());
        assert!(answer["err"].is_object(), "{answer}");
        assert!(!answer.to_string().contains(&work.value), "{answer}");
    }
}

#[test]
fn a_client_that_says_nothing() {
    let mut fault = fault!("a client that says nothing");
    let sandbox = running();
    let mut silent: Vec<_> = (0..50).map(|_| connect(&sandbox)).collect();
    let list = sandbox.hfd(["list"]).end().within(Duration::from_secs(1));
    fault.answers("list", list);
    // Its place is not held for ever.
    let answer = line(&mut silent[0]);
    assert_eq!(answer["err"]["kind"], "timed-out", "{answer}");
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    let sandbox = running();
    let work = sandbox.logged_in("work");
    let mut stream = connect(&sandbox);
    let requests = "{\"kind\":\"token\",\"name\":\"work\"}\n{\"kind\":\"list\"}\n".repeat(500);
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || writing.write_all(requests.as_bytes()));
    let mut answers = std::io::BufReader::new(&mut stream);
    for number in 0..1000 {
        let mut answer = String::new();
        std::io::BufRead::read_line(&mut answers, &mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        if number % 2 == 0 {
            assert_eq!(
                answer["ok"]["token"],
                work.value.as_str(),
                "{number}: {answer}"
            );
        } else {
            assert_eq!(
                answer["ok"]["tokens"][0]["name"], "work",
                "{number}: {answer}"
            );
        }
    }
    writer.join().unwrap().unwrap();
}

#[test]
fn a_thousand_clients_at_once() {
    let mut fault = fault!("1000 clients at once");
    let sandbox = running();
    if sandbox.is_windows() {
        // Wine's server takes no thousand.
        sandbox.clients(200).ok().prints("200 answered");
        fault.answers("list", sandbox.hfd(["list"]).end());
        return;
    }
    raise_file_limit();
    let socket = Arc::new(sandbox.socket());
    let start = Arc::new(Barrier::new(1000));
    let clients: Vec<_> = (0..1000)
        .map(|_| {
            let (socket, start) = (socket.clone(), start.clone());
            let client = move || {
                start.wait();
                let begun = Instant::now();
                let mut connection = Connection::open(&socket).unwrap().expect("a daemon");
                // All are connected before one leaves.
                start.wait();
                connection.request(List::default()).unwrap();
                begun.elapsed()
            };
            thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn(client)
                .unwrap()
        })
        .collect();
    for client in clients {
        let took = client.join().unwrap();
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    fault.answers("list", sandbox.hfd(["list"]).end());
}

/// A thousand sockets are more than a process has by default.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
