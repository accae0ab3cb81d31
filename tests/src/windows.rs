//! The programs for Windows, under Wine. `tests/windows/e2e` says where they are, and where a Windows
//! lies that was set up once; each sandbox gets one of its own, with its own Credential Manager, its own
//! named pipes and its own home. The real `hf`, Python and the mock Hub stay Linux's, and share the
//! files of that home.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::{env, thread};

use hfd_proto::LockFile;

/// Names the directory of the programs, and of scripts that run them by Wine.
const PROGRAMS: &str = "HFD_TEST_WINDOWS";

/// Names the Windows that was set up.
const TEMPLATE: &str = "HFD_TEST_WINDOWS_PREFIX";

/// The directory of the programs, where the tests are about those for Windows.
pub(crate) fn programs() -> Option<PathBuf> {
    env::var_os(PROGRAMS).map(PathBuf::from)
}

/// A Windows, and one person's session on it.
#[derive(Debug)]
pub(crate) struct Windows {
    prefix: PathBuf,
    home: PathBuf,
}

impl Windows {
    /// Sets one up below `root`, where the tests are about the programs for Windows.
    pub(crate) fn start(root: &Path) -> Option<Self> {
        programs()?;
        let template = env::var_os(TEMPLATE).expect("tests/windows/e2e names a Windows");
        let (template, prefix) = (PathBuf::from(template), root.join("prefix"));
        let drive = prefix.join("drive_c");
        fs::create_dir_all(prefix.join("dosdevices")).expect("a directory");
        fs::create_dir(&drive).expect("a directory");
        symlink("../drive_c", prefix.join("dosdevices/c:")).expect("a link");
        symlink("/", prefix.join("dosdevices/z:")).expect("a link");
        // What is the person's is copied; the system is the same for all, and nobody writes there.
        let mine = ["system.reg", "user.reg", "userdef.reg", ".update-timestamp"];
        for file in mine.map(|name| (template.join(name), prefix.join(name))) {
            fs::copy(file.0, file.1).expect("a file of the Windows that was set up");
        }
        copy(&template.join("drive_c/users"), &drive.join("users"));
        for system in ["windows", "Program Files", "ProgramData"] {
            symlink(template.join("drive_c").join(system), drive.join(system)).expect("a link");
        }
        let people = fs::read_dir(drive.join("users")).expect("there are users");
        let mut people = people.map(|entry| entry.expect("an entry").path());
        let home = people.find(|path| !path.ends_with("Public"));
        Some(Self {
            prefix,
            home: home.expect("somebody has set it up"),
        })
    }

    /// The person's home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Where hfd keeps its index.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.home.join("AppData/Local/hfd")
    }

    /// Where hfd's configuration is.
    pub(crate) fn config_dir(&self) -> PathBuf {
        self.home.join("AppData/Roaming/hfd")
    }

    /// What Wine has to know.
    pub(crate) fn environment(&self) -> [(&'static str, OsString); 4] {
        [
            ("WINEPREFIX", self.prefix.clone().into()),
            ("WINEDEBUG", "-all".into()),
            ("WINEDLLOVERRIDES", "mscoree,mshtml=".into()),
            ("WINEARCH", "win64".into()),
        ]
    }

    /// A path as programs for Windows have it.
    pub(crate) fn shown(&self, path: &Path) -> OsString {
        let (drive, rest) = match path.strip_prefix(self.prefix.join("drive_c")) {
            Ok(rest) => ("C:", rest),
            Err(_) => ("Z:", path.strip_prefix("/").unwrap_or(path)),
        };
        let mut text = OsString::from(drive);
        for part in rest.components() {
            text.push("\\");
            text.push(part);
        }
        text
    }

    /// The same value, in which an absolute path is one of Windows'.
    pub(crate) fn translated(&self, value: &OsStr) -> OsString {
        match value.as_bytes().starts_with(b"/") {
            true => self.shown(Path::new(value)),
            false => value.to_owned(),
        }
    }

    /// Starts it. What runs on it would otherwise be started by the first program, and hold that one's
    /// output open.
    pub(crate) fn boot(&self, command: impl Fn(&Path) -> Command) {
        let server = ["/usr/bin/wineserver", "-p"];
        let session = ["/usr/lib/wine/wine64", "wineboot"];
        for [program, word] in [server, session] {
            let mut boot = command(Path::new(program));
            boot.arg(word).env_clear().envs(self.environment());
            boot.env("HOME", &self.home).stdin(Stdio::null());
            let ended = boot.stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(ended.expect("Wine can be started").success(), "{program}");
        }
    }

    /// What the daemon says of itself in the file beside its lock.
    ///
    /// # Panics
    /// When none has run.
    pub(crate) fn lock_file(&self) -> LockFile {
        let text = fs::read(self.state_dir().join("hfdd.json")).expect("a daemon has run here");
        serde_json::from_slice(&text).expect("the file says who holds the lock")
    }

    /// Ends all that runs on it.
    pub(crate) fn end(&self) {
        let mut server = Command::new("/usr/bin/wineserver");
        server.arg("-k").env("WINEPREFIX", &self.prefix);
        server.status().expect("wineserver can be asked");
    }
}

/// A socket through which the daemon's pipe is reached from Linux: for each connection a program that
/// copies, which `relay` starts.
pub(crate) fn relay(socket: &Path, relay: impl Fn() -> Command + Send + 'static) {
    if socket.exists() {
        return;
    }
    let listener = UnixListener::bind(socket).expect("a socket for the relay");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let spawned = relay()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            if let Ok(child) = spawned {
                copy_between(stream, child);
            }
        }
    });
}

fn copy_between(stream: UnixStream, mut child: Child) {
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let (Some(mut input), Some(mut output)) = (input, output) else {
        return;
    };
    let stream = Arc::new(stream);
    let reading = Arc::clone(&stream);
    thread::spawn(move || {
        // Whatever ends it ends the program, too: it reads the end of its input.
        drop(copy_bytes(&mut &*reading, &mut input));
    });
    thread::spawn(move || {
        drop(copy_bytes(&mut output, &mut &*stream));
        drop(stream.shutdown(std::net::Shutdown::Both));
        drop(child.wait());
    });
}

/// `io::copy` would let the kernel move the bytes (splice(2)), which Wine's pipes do not notice.
fn copy_bytes(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match from.read(&mut bytes)? {
            0 => return Ok(()),
            length => to.write_all(&bytes[..length])?,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory of Windows") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            copy(&path, &to);
        } else if kind.is_file() {
            fs::copy(&path, &to).expect("a file of Windows");
        }
    }
}
