use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hfd_proto::{Connection, Place, StoreId};
use tempfile::TempDir;

use crate::bus::Bus;
use crate::canary::{self, Leak, Search, Token};
use crate::command::{Outcome, Run};
use crate::events::Events;
use crate::hub::{Account, Certificate, Hub};
use crate::keyring::Keyring;
use crate::processes::{self, Process};
use crate::tools;
use crate::user_manager::{self, UserManager};
use crate::windows::{self, Windows};

/// A person's session in miniature; see the [crate].
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
    mark: u32,
    environment: BTreeMap<OsString, OsString>,
    hub: Hub,
    bus: Option<Bus>,
    /// Where the programs under test are those for Windows.
    windows: Option<Windows>,
    /// Children of ours that are no commands: keyrings, dead or alive.
    children: Mutex<Vec<Child>>,
    user_manager: Mutex<Option<user_manager::Running>>,
    tokens: Mutex<Vec<Token>>,
    captured: Mutex<Vec<(String, Vec<u8>)>>,
    /// The directories where `token` and `stored_tokens` may hold tokens.
    mirrors: Mutex<Vec<PathBuf>>,
}

/// What keychain a sandbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keychain {
    Unlocked,
    NoDefaultCollection,
    NoProvider,
    NoBus,
}

/// A sandbox with something missing.
#[derive(Debug)]
pub struct Builder {
    keychain: Keychain,
    certificate: Option<Certificate>,
    in_memory: bool,
}

impl Builder {
    /// No session bus.
    #[must_use]
    pub fn no_bus(mut self) -> Self {
        self.keychain = Keychain::NoBus;
        self
    }

    /// A session bus, and nothing on it.
    #[must_use]
    pub fn no_provider(mut self) -> Self {
        self.keychain = Keychain::NoProvider;
        self
    }

    /// A keyring daemon that has no keyring.
    #[must_use]
    pub fn no_default_collection(mut self) -> Self {
        self.keychain = Keychain::NoDefaultCollection;
        self
    }

    /// A Hub over HTTPS.
    #[must_use]
    pub fn https(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// All of it on a tmpfs, as a runtime directory is.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// Starts it.
    pub fn start(self) -> Sandbox {
        Sandbox::with(self)
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A session with an unlocked keyring.
    pub fn new() -> Self {
        Self::builder().start()
    }

    /// A session to be described.
    pub fn builder() -> Builder {
        Builder {
            keychain: Keychain::Unlocked,
            certificate: None,
            in_memory: false,
        }
    }

    fn with(builder: Builder) -> Self {
        tools::assert_unprivileged();
        // Short, because the path of a socket has at most 107 bytes.
        let place = match builder.in_memory {
            true => PathBuf::from("/dev/shm"),
            false => std::env::temp_dir(),
        };
        let root = tempfile::Builder::new()
            .prefix("hfd-")
            .tempdir_in(place)
            .expect("a directory");
        let hub = match &builder.certificate {
            None => Hub::start(),
            Some(certificate) => Hub::start_tls(certificate),
        };
        let hub = hub.expect("the mock Hub starts");
        let mark = unused_mark();
        let windows = Windows::start(root.path());
        let environment = environment(root.path(), &hub, windows.as_ref());
        for directory in [
            Path::new(&environment[OsStr::new("HOME")]),
            &root.path().join("run"),
        ] {
            private_directory(directory);
        }
        let has_bus = windows.is_none() && builder.keychain != Keychain::NoBus;
        let bus = has_bus.then(|| {
            let mut command = marked(mark, "dbus-daemon".as_ref());
            command.env_clear().envs(&environment);
            Bus::start(
                command,
                root.path(),
                builder.keychain != Keychain::NoProvider,
            )
        });
        let sandbox = Self {
            mirrors: Mutex::default(),
            root,
            mark,
            environment,
            hub,
            bus,
            windows,
            children: Mutex::default(),
            user_manager: Mutex::default(),
            tokens: Mutex::default(),
            captured: Mutex::default(),
        };
        sandbox.allow_mirror(&sandbox.hf_home());
        if let Some(windows) = &sandbox.windows {
            windows.boot(|program| sandbox.marked_command(program));
        }
        match builder.keychain {
            // Windows has one, and no way to be without it.
            _ if sandbox.windows.is_some() => {}
            Keychain::Unlocked => sandbox.keyring().start(),
            Keychain::NoDefaultCollection => sandbox.keyring().start_locked(),
            Keychain::NoProvider | Keychain::NoBus => {}
        }
        sandbox
    }
}

/// The places of the session.
impl Sandbox {
    /// Everything of it lies below this directory.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// `HOME`.
    pub fn home(&self) -> PathBuf {
        match &self.windows {
            Some(windows) => windows.home().to_owned(),
            None => self.root().join("home"),
        }
    }

    /// `XDG_RUNTIME_DIR`.
    pub fn runtime_dir(&self) -> PathBuf {
        self.root().join("run")
    }

    /// Where hfd keeps its index.
    pub fn state_dir(&self) -> PathBuf {
        match &self.windows {
            Some(windows) => windows.state_dir(),
            None => self.home().join(".local/state/hfd"),
        }
    }

    /// Where Hugging Face tools look by default.
    pub fn hf_home(&self) -> PathBuf {
        self.home().join(".cache/huggingface")
    }

    /// The bare `token` file's content, if there is one.
    pub fn token_file(&self) -> Option<String> {
        fs::read_to_string(self.hf_home().join("token")).ok()
    }

    /// The content of `stored_tokens`, if there is one.
    pub fn stored_tokens(&self) -> Option<String> {
        fs::read_to_string(self.hf_home().join("stored_tokens")).ok()
    }

    /// Writes hfd's configuration.
    pub fn configure(&self, config: &str) {
        let directory = match &self.windows {
            Some(windows) => windows.config_dir(),
            None => self.home().join(".config/hfd"),
        };
        private_directory(&directory);
        write_private(&directory.join("config.toml"), config.as_bytes());
    }

    /// Writes into the Hugging Face home, as another tool does: the directory 0700, the file 0600.
    pub fn write_hf_file(&self, name: &str, content: impl AsRef<[u8]>) {
        private_directory(&self.hf_home());
        write_private(&self.hf_home().join(name), content.as_ref());
    }

    /// A directory whose `token` and `stored_tokens` are a mirror's, so tokens may stand there.
    pub fn allow_mirror(&self, directory: &Path) {
        lock(&self.mirrors).push(directory.to_owned());
    }

    /// An absolute path as hfd has it on its system; anything else as it is.
    pub fn shown(&self, path: impl AsRef<OsStr>) -> OsString {
        match &self.windows {
            Some(windows) => windows.translated(path.as_ref()),
            None => path.as_ref().to_owned(),
        }
    }

    /// Where hfd keeps what, on Linux.
    pub fn place(&self) -> Place {
        let variable = |name: &str| self.environment.get(OsStr::new(name)).cloned();
        Place::new(variable).expect("the sandbox has a home")
    }

    /// The environment of its commands.
    pub fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }
}

/// What runs in it.
impl Sandbox {
    /// Its Hub, which `HF_ENDPOINT` names.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// How it is on Windows.
    pub fn is_windows(&self) -> bool {
        self.windows.is_some()
    }

    /// The keychain, by hfd's name for it.
    pub fn store(&self) -> &'static str {
        let store = match &self.windows {
            Some(_) => StoreId::WindowsCredentialManager,
            None => StoreId::SecretService,
        };
        store.as_str()
    }

    /// Its session bus.
    ///
    /// # Panics
    /// When it was built without.
    pub fn bus(&self) -> &Bus {
        self.bus.as_ref().expect("this sandbox has a bus")
    }

    /// Starts another session bus in the place of one that was stopped.
    pub fn restart_bus(&self) {
        let mut command = self.marked_command("dbus-daemon".as_ref());
        command.env_clear().envs(&self.environment);
        self.bus().start_again(command);
    }

    /// Its keyring.
    pub fn keyring(&self) -> Keyring<'_> {
        Keyring::new(self)
    }

    /// Its systemd, which does not run unless it is started.
    pub fn user_manager(&self) -> UserManager<'_> {
        UserManager::new(self)
    }

    /// A token that the Hub knows under this name, of the user `alice`.
    pub fn token(&self, name: &str) -> Token {
        self.token_of(Account::new(name, "alice"))
    }

    /// A token that the Hub knows as this account's.
    pub fn token_of(&self, account: Account) -> Token {
        let token = self.unknown_token(account.name.as_deref().unwrap_or("oauth"));
        self.hub.add(&token.value, account);
        token
    }

    /// A token that the Hub does not know.
    pub fn unknown_token(&self, name: &str) -> Token {
        let token = Token::mint(name);
        lock(&self.tokens).push(token.clone());
        token
    }

    /// A token of 8 KiB that the Hub knows under this name, of the user `alice`.
    pub fn long_token(&self, name: &str) -> Token {
        let token = Token::long(name);
        lock(&self.tokens).push(token.clone());
        self.hub.add(&token.value, Account::new(name, "alice"));
        token
    }

    /// A token of `alice` that she has logged in with, and which is now the active one.
    pub fn logged_in(&self, name: &str) -> Token {
        let token = self.token(name);
        self.hfd(["login", "--with-token"]).stdin(&token).ok();
        token
    }

    /// Every living process of the session.
    pub fn processes(&self) -> Vec<Process> {
        processes::marked(self.mark)
    }

    /// Every living `hfdd` of the session.
    pub fn daemons(&self) -> Vec<u32> {
        let daemons = self
            .processes()
            .into_iter()
            .filter(|process| process.program() == "hfdd");
        daemons.map(|process| process.pid).collect()
    }

    /// The daemon.
    ///
    /// # Panics
    /// Unless there is exactly one.
    #[track_caller]
    pub fn daemon_pid(&self) -> u32 {
        match self.daemons()[..] {
            [daemon] => daemon,
            ref daemons => panic!("not one daemon but {daemons:?}: {:?}", self.processes()),
        }
    }
}

/// Its daemon, without `hfd` in between.
impl Sandbox {
    /// The socket of the daemon, which must run. On Windows, one that leads to its pipe.
    #[track_caller]
    pub fn socket(&self) -> PathBuf {
        let Some(windows) = &self.windows else {
            let lock = self.place().lock_file();
            return lock.expect("a daemon has run here").socket;
        };
        let socket = self.root().join("relay.sock");
        let pipe = windows.lock_file().socket;
        let (program, mark) = (self.probe(), self.mark);
        let environment = self.environment.clone();
        windows::relay(&socket, move || {
            let mut relay = marked(mark, &program);
            relay.arg("relay").arg(&pipe);
            relay.env_clear().envs(&environment);
            relay
        });
        socket
    }

    /// The daemon's process id as it knows it itself: Windows has numbers of its own.
    #[track_caller]
    pub fn daemon_id(&self) -> u32 {
        let pid = self.daemon_pid();
        match &self.windows {
            Some(windows) => windows.lock_file().pid,
            None => pid,
        }
    }

    /// A connection to the daemon, which must run.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        let connection = Connection::open(&self.socket()).expect("the daemon greets");
        connection.expect("the daemon listens")
    }

    /// What happens from now on.
    #[track_caller]
    pub fn watch(&self) -> Events {
        Events::of(self.connect())
    }
}

/// What can be run in it.
impl Sandbox {
    /// `hfd`. What it prints is searched for tokens, except where telling one is its purpose.
    pub fn hfd<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run<'_> {
        let args: Vec<OsString> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let telling = ["token", "exec", "env", "credential"];
        let tells = args
            .iter()
            .any(|arg| telling.iter().any(|word| arg == word));
        let run = Run::new(self, tools::binaries().join("hfd"), args).translated();
        if tells { run.tells() } else { run }
    }

    /// `hfdd` in the foreground.
    pub fn hfdd(&self) -> Run<'_> {
        Run::new(self, tools::binaries().join("hfdd"), [""; 0]).translated()
    }

    /// What the keychain holds of hfd, as another program shows it: secrets and all.
    pub fn items(&self) -> Outcome {
        let run = match &self.windows {
            Some(_) => Run::new(self, self.probe(), ["credentials"]).tells(),
            None => self.secret_tool(["search", "--all", "service", "hfd"]),
        };
        run.end()
    }

    /// The words that run a program which prints these environment variables in one line.
    pub fn prints(&self, variables: &[&str]) -> Vec<String> {
        match &self.windows {
            Some(_) => self.probing("print", variables),
            None => {
                let values: Vec<_> = variables.iter().map(|name| format!("${name}")).collect();
                self.shell(&format!("echo \"{}\"", values.join(" ")))
            }
        }
    }

    /// The words that run a program which prints the file that this environment variable names.
    pub fn prints_file(&self, variable: &str) -> Vec<String> {
        match &self.windows {
            Some(_) => self.probing("cat", &[variable]),
            None => self.shell(&format!("cat \"${variable}\" && echo")),
        }
    }

    /// The words that run a program which says its process id, and then what is in the file that this
    /// environment variable names whenever that has changed; `gone` where there is none.
    pub fn watches_file(&self, variable: &str) -> Vec<String> {
        match &self.windows {
            Some(_) => self.probing("watch", &[variable]),
            None => self.shell(&WATCHER.replace("VARIABLE", variable)),
        }
    }

    /// The words that run a program which ends with this status.
    pub fn ends_with(&self, status: u8) -> Vec<String> {
        match &self.windows {
            Some(_) => self.probing("exit", &[&status.to_string()]),
            None => self.shell(&format!("exit {status}")),
        }
    }

    /// The words that run `hfd whoami` with another `HF_ENDPOINT`.
    pub fn whoami_at(&self, endpoint: &str) -> Vec<String> {
        match &self.windows {
            Some(_) => {
                let set = format!("HF_ENDPOINT={endpoint}");
                self.probing("with", &[&set, &self.program_hfd(), "whoami"])
            }
            None => self.shell(&format!("HF_ENDPOINT={endpoint} hfd whoami")),
        }
    }

    /// `hfd` as a word in a command that `hfd exec` runs.
    pub fn program_hfd(&self) -> String {
        let Some(windows) = &self.windows else {
            return "hfd".to_owned();
        };
        let path = windows.shown(&tools::binaries().join("hfd.exe"));
        path.into_string().expect("a path in UTF-8")
    }

    fn shell(&self, script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).into()
    }

    /// See `tests/windows/probe.c`.
    fn probing(&self, verb: &str, words: &[&str]) -> Vec<String> {
        let program = self.probe().with_extension("exe").into_os_string();
        let program = program.into_string().expect("a path in UTF-8");
        let words = [program.as_str(), verb]
            .into_iter()
            .chain(words.iter().copied());
        words.map(str::to_owned).collect()
    }

    /// So many clients at once, on Windows: each connects, and asks once all have.
    ///
    /// # Panics
    /// Where it is not Windows.
    pub fn clients(&self, count: usize) -> Run<'_> {
        let windows = self.windows.as_ref().expect("this sandbox is a Windows");
        let pipe = windows.lock_file().socket.into_os_string();
        let words = ["clients".into(), count.to_string().into(), pipe];
        Run::new(self, self.probe(), words)
    }

    fn probe(&self) -> PathBuf {
        tools::binaries().join("probe")
    }

    /// The real `hf`.
    pub fn hf<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run<'_> {
        Run::new(self, tools::venv().join("bin/hf"), args)
    }

    /// A piece of Python, with the real huggingface_hub at hand.
    pub fn python(&self, code: &str) -> Run<'_> {
        Run::new(self, tools::venv().join("bin/python"), ["-c", code]).tells()
    }

    /// The keychain's own command.
    pub fn secret_tool<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run<'_> {
        Run::new(self, "secret-tool".into(), args).tells()
    }

    /// The real git, which asks no person anything.
    pub fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run<'_> {
        let mut run = Run::new(self, "git".into(), args).env("GIT_TERMINAL_PROMPT", "0");
        for who in ["AUTHOR", "COMMITTER"] {
            run = run.env(&format!("GIT_{who}_NAME"), "Alice");
            run = run.env(&format!("GIT_{who}_EMAIL"), "alice@example.com");
        }
        run.env("GIT_CONFIG_NOSYSTEM", "1")
    }

    /// A piece of shell.
    pub fn sh(&self, script: &str) -> Run<'_> {
        Run::new(self, "sh".into(), ["-c", script]).tells()
    }

    /// A program by its path or name.
    pub fn program<A: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Run<'_> {
        Run::new(self, program.into(), args).tells()
    }

    /// A command whose process, and everything that it starts, is found as the sandbox's.
    pub(crate) fn marked_command(&self, program: &Path) -> Command {
        marked(self.mark, program)
    }

    /// The number by which its processes are known.
    pub(crate) fn mark(&self) -> u32 {
        self.mark
    }

    /// Takes over the user manager.
    pub(crate) fn keep_manager(&self, running: user_manager::Running) {
        let before = lock(&self.user_manager).replace(running);
        assert!(before.is_none(), "one user manager at a time");
    }

    /// Ends the user manager, if there is one.
    pub(crate) fn end_manager(&self) {
        let running = lock(&self.user_manager).take();
        if let Some(running) = running {
            running.end();
        }
    }

    /// Takes over a child, to be waited for at the end.
    pub(crate) fn keep(&self, child: Child) {
        lock(&self.children).push(child);
    }

    /// Remembers what a program wrote, to be searched.
    pub(crate) fn capture(&self, what: &str, bytes: &[u8]) {
        lock(&self.captured).push((what.to_owned(), bytes.to_owned()));
    }
}

/// How it ends.
impl Sandbox {
    /// Ends everything and checks what is left: no process, no token where none belongs. Dropping
    /// a sandbox does the same.
    pub fn finish(self) {}

    /// Tokens outside keychain and mirrors: in files, outputs and command lines.
    pub fn leaks(&self) -> Vec<Leak> {
        let mut tokens = lock(&self.tokens).clone();
        tokens.extend(self.hub.issued());
        let search = Search::new(&tokens);
        let mirrors = lock(&self.mirrors).clone();
        let mut leaks = search
            .tree(self.root(), &|path| canary::belongs(path, &mirrors))
            .expect("every file of the sandbox can be searched");
        for (what, bytes) in lock(&self.captured).iter() {
            leaks.extend(search.bytes(what, bytes));
        }
        for process in self.processes() {
            let place = format!("the command line of process {}", process.pid);
            leaks.extend(search.bytes(&place, process.command.as_bytes()));
        }
        leaks
    }

    /// Ends the daemons as their service manager would, then keychain and bus.
    fn end_politely(&self) {
        self.end_manager();
        if let Some(windows) = &self.windows {
            self.hfd(["service", "stop"]).ok();
            windows.end();
        }
        for daemon in self.daemons() {
            processes::terminate(daemon);
        }
        for child in lock(&self.children).iter_mut() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
        }
        if let Some(bus) = &self.bus {
            bus.stop();
        }
    }

    /// What the bus started on somebody's behalf ends with it, but not at once.
    fn wait_for_services(&self) -> Vec<Process> {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(3);
        loop {
            let left = self.processes();
            let services = left.iter().all(is_bus_service);
            if left.is_empty() || !services || std::time::Instant::now() > deadline {
                return left;
            }
            std::thread::yield_now();
        }
    }

    /// What helps to understand why a test failed.
    fn tell(&self) {
        let log = match &self.windows {
            Some(windows) => windows.state_dir().join("hfdd.log"),
            None => self.place().log(),
        };
        let log = fs::read_to_string(log).unwrap_or_default();
        let mut story = String::new();
        for (what, bytes) in lock(&self.captured)
            .iter()
            .filter(|(_, bytes)| !bytes.is_empty())
        {
            story.push_str(&format!("--- {what}\n{}", String::from_utf8_lossy(bytes)));
        }
        #[allow(clippy::print_stderr)] // for whoever reads the failure
        {
            eprintln!(
                "{story}--- hfdd.log\n{log}--- processes\n{:#?}",
                self.processes()
            );
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
            for process in self.processes() {
                // It may have ended by itself, and a second panic would hide the first.
                let pid = rustix::process::Pid::from_raw(process.pid as i32);
                pid.map(|pid| {
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok()
                });
            }
            if let Some(windows) = &self.windows {
                windows.end();
            }
            return;
        }
        let leaks = self.leaks();
        self.end_politely();
        let left = self.wait_for_services();
        for process in &left {
            processes::kill9(process.pid);
        }
        let more_leaks = self.leaks();
        assert_eq!(leaks, [], "tokens where none belong");
        assert_eq!(more_leaks, [], "tokens where none belong, after the end");
        let left: Vec<_> = left
            .iter()
            .filter(|process| !is_bus_service(process))
            .collect();
        assert!(left.is_empty(), "processes are left: {left:?}");
    }
}

/// A program that the session bus starts when somebody asks for its name; it is the bus's, not
/// hfd's, to end it.
fn is_bus_service(process: &Process) -> bool {
    ["gnome-keyring-daemon", "gcr-prompter"].contains(&process.program())
}

fn environment(root: &Path, hub: &Hub, windows: Option<&Windows>) -> BTreeMap<OsString, OsString> {
    let home = windows.map_or_else(|| root.join("home"), |windows| windows.home().to_owned());
    let binaries = tools::binaries();
    let path = std::env::join_paths([
        binaries.as_path(),
        &tools::venv().join("bin"),
        "/usr/local/bin".as_ref(),
        "/usr/bin".as_ref(),
        "/bin".as_ref(),
    ]);
    let variables: [(&str, OsString); 11] = [
        ("HOME", home.clone().into()),
        ("XDG_RUNTIME_DIR", root.join("run").into()),
        ("XDG_CONFIG_HOME", home.join(".config").into()),
        ("XDG_DATA_HOME", home.join(".local/share").into()),
        ("XDG_STATE_HOME", home.join(".local/state").into()),
        ("XDG_CACHE_HOME", home.join(".cache").into()),
        ("DBUS_SESSION_BUS_ADDRESS", Bus::address(root).into()),
        ("HF_ENDPOINT", hub.endpoint().into()),
        ("PATH", path.expect("no colon in a path")),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "dumb".into()),
    ];
    let mut variables: BTreeMap<OsString, OsString> =
        variables.map(|(name, value)| (name.into(), value)).into();
    if let Some(windows) = windows {
        // Nobody has these there.
        variables.retain(|name, _| !name.as_encoded_bytes().starts_with(b"XDG_"));
        let own = windows.environment();
        variables.extend(own.map(|(name, value)| (name.into(), value)));
    }
    variables
}

/// What a shell runs for [`Sandbox::watches_file`].
const WATCHER: &str = r#"
echo $$
last=
while :; do
  now=$(cat "$VARIABLE" 2>/dev/null) || now=gone
  [ "$now" = "$last" ] || echo "$now"
  last=$now
  sleep 0.01
done"#;

/// A number that no process carries as its mark yet. Below the kernel's default of 819,200, since
/// an ordinary user may only lower a limit.
fn unused_mark() -> u32 {
    loop {
        let mark = 1000 + getrandom::u32().expect("the system has randomness") % 800_000;
        if processes::marked(mark).is_empty() {
            return mark;
        }
    }
}

/// What starts a program with a mark, and as a session of its own does: no terminal, and no signal
/// ignored, whatever is true of the tests themselves (`tests/run &`). Each of these programs becomes the
/// next, so that the process id is the program's.
fn marked(mark: u32, program: &Path) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command
        .args(["--default-signal", "/usr/bin/setsid", "/usr/bin/prlimit"])
        .arg(format!("--msgqueue={mark}:{mark}"))
        .arg("--")
        .arg(program);
    command
}

fn private_directory(path: &Path) {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .expect("a directory");
}

fn write_private(path: &Path, content: &[u8]) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(content))
        .expect("a file can be written");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
