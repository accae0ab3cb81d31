use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::http::{self, Answer, Seen};
use super::server::Hub;

/// A proxy that records what it is asked for and connects to a Hub, whatever host it was asked for:
/// names that only the proxy can resolve are what proxies are for.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    hub: SocketAddr,
    seen: Mutex<Vec<Seen>>,
    closing: Mutex<bool>,
}

impl Proxy {
    /// A proxy on a loopback port, until it is dropped.
    pub fn start(hub: &Hub) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            hub: hub.address(),
            seen: Mutex::default(),
            closing: Mutex::new(false),
        });
        let of_thread = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *lock(&of_thread.closing) {
                    return;
                }
                let shared = of_thread.clone();
                // A client that goes away in the middle is its own business.
                thread::spawn(move || shared.relay(stream));
            }
        });
        Ok(Self { address, shared })
    }

    /// What `HTTPS_PROXY` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked for, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *lock(&self.shared.closing) = true;
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn relay(&self, mut client: TcpStream) -> io::Result<()> {
        let Some((request, _)) = http::read_request(&mut client)? else {
            return Ok(());
        };
        lock(&self.seen).push(request.clone());
        if request.method != "CONNECT" {
            return Answer::new(403, "").write(&mut client);
        }
        let server = TcpStream::connect(self.hub)?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        join(client, server)
    }
}

/// Copies both ways until both have ended.
fn join(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let upward = thread::spawn(move || {
        let copied = io::copy(&mut from_client, &mut to_server);
        // The other side may have closed first.
        to_server.shutdown(std::net::Shutdown::Write).ok();
        copied
    });
    let (mut from_server, mut to_client) = (server, client);
    io::copy(&mut from_server, &mut to_client)?;
    to_client.shutdown(std::net::Shutdown::Both).ok();
    // A panic there is a bug of the proxy and must be seen; an error is a closed connection.
    upward.join().expect("copying does not panic").map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
