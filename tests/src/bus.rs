use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::{eventually, processes};

/// A session bus of a sandbox's own.
#[derive(Debug)]
pub struct Bus {
    daemon: Mutex<Child>,
    socket: PathBuf,
    config: PathBuf,
}

impl Bus {
    /// Starts one. With `activation` it starts services that are asked for, as on a desktop:
    /// foremost a (locked) keyring when the one that ran is gone. Services inherit the environment
    /// and the mark of `command`, which runs `dbus-daemon`.
    pub(crate) fn start(command: Command, root: &Path, activation: bool) -> Self {
        let socket = root.join("run/bus");
        let config = root.join("bus.conf");
        fs::write(&config, configuration(&socket, activation)).expect("the bus is configured");
        let bus = Self {
            daemon: Mutex::new(launch(command, &config)),
            socket,
            config,
        };
        eventually("the session bus listens", || bus.socket.exists());
        bus
    }

    /// Starts another one in the place of one that was stopped.
    pub(crate) fn start_again(&self, command: Command) {
        // Its absence tells when the next one listens.
        drop(fs::remove_file(&self.socket));
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        *daemon = launch(command, &self.config);
        eventually("the session bus listens again", || self.socket.exists());
    }

    /// What `DBUS_SESSION_BUS_ADDRESS` is set to.
    pub fn address(root: &Path) -> String {
        format!("unix:path={}", root.join("run/bus").display())
    }

    /// The process that owns a name, if one does. Starts no service.
    pub fn owner(&self, name: &str) -> Option<u32> {
        let answer = self.call(&[
            "--dest=org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus.GetConnectionUnixProcessID",
            &format!("string:{name}"),
        ])?;
        answer.split_whitespace().last()?.parse().ok()
    }

    /// Calls a method and returns what it answers as `dbus-send` shows it; `None` for an error.
    pub fn call(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("dbus-send")
            .env_clear()
            .env(
                "DBUS_SESSION_BUS_ADDRESS",
                format!("unix:path={}", self.socket.display()),
            )
            .args(["--session", "--print-reply=literal"])
            .args(arguments)
            .output()
            .expect("dbus-send runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(answer)
    }

    /// Ends it: everything that was connected is cut off.
    pub fn stop(&self) {
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        if daemon
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
        {
            processes::signal(daemon.id(), rustix::process::Signal::TERM);
        }
        daemon.wait().expect("a child can be waited for");
    }
}

fn launch(mut command: Command, config: &Path) -> Child {
    command
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--nopidfile", "--nosyslog"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("dbus-daemon starts")
}

fn configuration(socket: &Path, activation: bool) -> String {
    let services = if activation {
        "<standard_session_servicedirs/>"
    } else {
        ""
    };
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  {services}
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        socket.display()
    )
}
