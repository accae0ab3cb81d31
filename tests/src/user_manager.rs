use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::sandbox::Sandbox;
use crate::{eventually, processes};

const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// Where systemd's own units are.
const UNITS: &str = "/usr/lib/systemd/user";

/// What a manager needs to start and to end; of what else the machine has, a socket of its session
/// bus would take the place of the sandbox's.
const NEEDED: [&str; 8] = [
    "app.slice",
    "basic.target",
    "default.target",
    "exit.target",
    "shutdown.target",
    "sockets.target",
    "systemd-exit.service",
    "timers.target",
];

/// The real systemd of a sandbox's session.
#[derive(Debug)]
pub struct UserManager<'s> {
    sandbox: &'s Sandbox,
}

/// One that runs.
#[derive(Debug)]
pub(crate) struct Running {
    systemd: Child,
    /// Its control groups, one in each hierarchy that the machine has.
    groups: Vec<PathBuf>,
}

impl<'s> UserManager<'s> {
    pub(crate) fn new(sandbox: &'s Sandbox) -> Self {
        Self { sandbox }
    }

    /// Starts it, as a login does: with the session's environment, but what a shell sets for itself.
    ///
    /// # Panics
    /// Where nothing is prepared for one: `tests/run` as root does so, in `HFD_TEST_CGROUPS`.
    pub fn start(&self) {
        let prepared = std::env::var_os("HFD_TEST_CGROUPS").expect(
            "HFD_TEST_CGROUPS names no control groups for a user manager: run the tests by \
             `tests/run` as root, which makes them",
        );
        // Named as pam_systemd and systemd name them: the journal tells units by this path.
        let uid = rustix::process::getuid().as_raw();
        let name = format!("hfd-{}.slice/user@{uid}.service", self.sandbox.mark());
        let groups: Vec<PathBuf> = std::env::split_paths(&prepared)
            .map(|group| group.join(&name))
            .collect();
        for group in &groups {
            fs::create_dir_all(group).expect("a control group can be made");
        }
        let script = "for group; do echo $$ >\"$group/cgroup.procs\"; done; exec \"$0\" --user";
        let systemd = self
            .sandbox
            .marked_command("sh".as_ref())
            .args(["-c", script, SYSTEMD])
            .args(&groups)
            .env_clear()
            .envs(self.sandbox.environment())
            .env_remove("HF_ENDPOINT")
            .env("SYSTEMD_UNIT_PATH", self.unit_path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("systemd starts");
        self.sandbox.keep_manager(Running { systemd, groups });
        eventually("systemd has started the session", || {
            self.systemctl(["is-active", "default.target"]).end().status == 0
        });
        self.open_inaccessible();
    }

    /// Makes readable what systemd mounts over what a unit must not read, and no unit here has any:
    /// the search for tokens looks into everything.
    fn open_inaccessible(&self) {
        let inaccessible = self.sandbox.runtime_dir().join("systemd/inaccessible");
        for name in ["dir", "reg"] {
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(inaccessible.join(name), mode).expect("it is ours");
        }
    }

    /// Ends it as a logout does, with everything that it runs.
    pub fn stop(&self) {
        self.sandbox.end_manager();
    }

    /// The process that hfd's unit runs, if it runs one.
    pub fn main_pid(&self) -> Option<u32> {
        let shown = self.systemctl(["show", "--value", "--property=MainPID", "hfd.service"]);
        let pid = shown.ok().stdout.trim_end().parse().expect("a number");
        (pid != 0).then_some(pid)
    }

    /// `active`, `inactive`, `failed`: how hfd's unit is.
    pub fn state(&self) -> String {
        let shown = self.systemctl(["show", "--value", "--property=ActiveState", "hfd.service"]);
        shown.ok().stdout.trim_end().to_owned()
    }

    /// systemctl(1), speaking to this one.
    pub fn systemctl<const N: usize>(&self, args: [&str; N]) -> crate::Run<'s> {
        let args = ["--user", "--no-pager"].into_iter().chain(args);
        self.sandbox.program("systemctl", args)
    }

    fn unit_path(&self) -> std::ffi::OsString {
        let units = self.sandbox.root().join("units");
        fs::create_dir_all(&units).expect("a directory");
        for unit in NEEDED {
            let (here, there) = (units.join(unit), Path::new(UNITS).join(unit));
            if !here.is_symlink() {
                symlink(there, here).expect("a link");
            }
        }
        let own = self.sandbox.home().join(".config/systemd/user");
        std::env::join_paths([own, units]).expect("no colon in a path")
    }
}

impl Running {
    pub(crate) fn end(mut self) {
        processes::signal(self.systemd.id(), rustix::process::Signal::TERM);
        self.systemd.wait().expect("a child can be waited for");
        for group in &self.groups {
            eventually("the control groups are empty", || remove(group).is_ok());
            // The slice above it is the sandbox's alone.
            let slice = group.parent().expect("a group is below another");
            fs::remove_dir(slice).expect("it is empty");
        }
    }
}

/// Removes a control group and those below it: directories that only `rmdir` empties.
fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
