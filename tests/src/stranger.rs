use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Longer than any daemon takes to turn a stranger away.
const PATIENCE: Duration = Duration::from_secs(5);

/// Another user of the machine, who does what tests ask: a process that `tests/run` starts under a
/// uid of its own and that listens on a socket.
#[derive(Debug)]
pub struct Stranger {
    socket: PathBuf,
}

impl Stranger {
    /// The one that `HFD_TEST_STRANGER` names.
    ///
    /// # Panics
    /// When there is none.
    pub fn find() -> Self {
        let socket = std::env::var_os("HFD_TEST_STRANGER").expect(
            "HFD_TEST_STRANGER names no second user: run the tests by `tests/run` as root, \
             which has one",
        );
        Self {
            socket: socket.into(),
        }
    }

    /// Connects to a socket, asks this if it is greeted, and says what came: `heard …`, or
    /// `error …`.
    pub fn calls(&self, socket: &Path, line: &str) -> String {
        self.ask(&format!("call {}\t{line}", socket.display()))
    }

    /// Listens on a socket that everybody can reach, greeting as `hfdd` does, and returns its path.
    pub fn listens(&self) -> PathBuf {
        self.ask("listen").into()
    }

    /// What was sent to the socket where it listens, once its client has left.
    pub fn was_sent(&self) -> String {
        self.ask("sent")
    }

    /// Makes a directory of its own in a place where it may.
    pub fn makes_directory(&self, path: &Path) {
        assert_eq!(self.ask(&format!("mkdir {}", path.display())), "made");
    }

    /// Removes a directory that it made.
    pub fn removes_directory(&self, path: &Path) {
        assert_eq!(self.ask(&format!("rmdir {}", path.display())), "removed");
    }

    fn ask(&self, what: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("the stranger listens");
        writeln!(stream, "{what}").expect("the stranger reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the stranger answers");
        answer.trim_end().to_owned()
    }
}

/// Serves as the other user, listening at `stranger.sock` in a directory.
///
/// # Errors
/// When it cannot listen.
pub fn serve(directory: &Path) -> io::Result<()> {
    let listener = open_socket(&directory.join("stranger.sock"))?;
    let mut sent: Option<Receiver<String>> = None;
    for (number, stream) in listener.incoming().enumerate() {
        let mut stream = stream?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        let (verb, rest) = line
            .trim_end_matches('\n')
            .split_once(' ')
            .unwrap_or((line.trim_end(), ""));
        let answer = match verb {
            "call" => rest
                .split_once('\t')
                .map_or_else(String::new, |(socket, line)| {
                    call(Path::new(socket), line).unwrap_or_else(|error| format!("error {error}"))
                }),
            "listen" => {
                let path = directory.join(format!("{number}.sock"));
                sent = Some(greet(open_socket(&path)?));
                path.display().to_string()
            }
            "sent" => sent.take().map_or_else(String::new, |sent| {
                sent.recv_timeout(PATIENCE)
                    .unwrap_or_else(|_| "(nobody came)".to_owned())
            }),
            "mkdir" => done(fs::create_dir(rest), "made"),
            "rmdir" => done(fs::remove_dir(rest), "removed"),
            _ => "unknown".to_owned(),
        };
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}

fn done(result: io::Result<()>, word: &str) -> String {
    result.map_or_else(|error| format!("error {error}"), |()| word.to_owned())
}

fn open_socket(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// The daemon speaks first; if that is a greeting, it is asked, and what it answers is told too.
fn call(socket: &Path, line: &str) -> io::Result<String> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(&stream);
    let mut heard = String::new();
    lines.read_line(&mut heard)?;
    if heard.contains("\"hfd\"") {
        writeln!(&stream, "{line}")?;
        lines.read_line(&mut heard)?;
    }
    Ok(format!("heard {}", heard.trim_end()))
}

/// Greets one client as a daemon does, and tells what it sends until it leaves.
fn greet(listener: UnixListener) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        // Who checks first leaves without listening.
        stream
            .write_all(b"{\"hfd\":[1],\"daemon\":\"0.1.0\",\"pid\":1}\n")
            .ok();
        let mut heard = String::new();
        // A client that leaves without having read the greeting resets the connection: the end too.
        match stream.read_to_string(&mut heard) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error),
            _ => {}
        }
        // The test that asked may have failed meanwhile.
        sender.send(heard).ok();
        Ok(())
    });
    receiver
}
