//! `hfd service install` and `uninstall`: the unit file, and what systemd is told of it.

use std::path::{Path, PathBuf};

use hfd_proto::{Error, HandBack, Hello, Kind, Pending, Place, escape};
use serde::Serialize;

use super::end;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::stop::Ended;
use crate::systemd::{Manager, UNIT};
use crate::{Context, session, spawn, unit};

/// Not `hfd service logs`, which knows of a journal only while there is a service.
const TELLS_MORE: &str = "`journalctl --user-unit=hfd.service` tells more, \
                          `hfdd` in the foreground shows it as it happens";

pub(super) fn install(context: &Context) -> Result<(), Failure> {
    let (place, manager) = (context.env.place()?, Manager::of(&context.env));
    let theirs = manager.environment().map_err(no_manager)?;
    if let Some(variable) = unit::differing(&context.env, &theirs) {
        return Err(elsewhere(variable).into());
    }
    let path = unit_path(context)?;
    let content = unit::render(&program()?)?;
    let before = unit::read(&path)?;
    let was_enabled = manager.state()?.file == "enabled";
    let changed = before.as_ref() != Some(&content);
    let running = put(
        context,
        &manager,
        &place,
        &path,
        changed.then_some(&content),
    );
    let hello = running.inspect_err(|_| {
        if changed {
            undo(&manager, &path, before.as_deref(), was_enabled);
        }
    })?;
    context.output.answer(&Installed {
        unit: &path,
        changed,
        hello: &hello,
    })
}

/// Makes the service what it should be, and running.
fn put(
    context: &Context,
    manager: &Manager,
    place: &Place,
    path: &Path,
    content: Option<&String>,
) -> Result<Hello, Error> {
    if let Some(content) = content {
        unit::write(path, content)?;
    }
    manager.reload()?;
    manager.enable()?;
    if content.is_some() || manager.state()?.active != "active" {
        end(context, place)?;
        manager.forget_failures();
        manager.start().map_err(|error| error.hint(TELLS_MORE))?;
    }
    let daemon = session::find(place)?;
    let hello = daemon.map(|connection| connection.hello().clone());
    hello
        .filter(|hello| {
            manager
                .state()
                .is_ok_and(|state| state.pid == Some(hello.pid))
        })
        .ok_or_else(|| {
            spawn::unreachable(
                "the service runs, and its daemon is not the one that answers".into(),
            )
            .hint(TELLS_MORE)
        })
}

/// Puts back what was there. The error that led here is the one to be told.
fn undo(manager: &Manager, path: &Path, before: Option<&str>, was_enabled: bool) {
    let _ = manager.stop();
    if !was_enabled {
        let _ = manager.disable();
    }
    let _ = match before {
        Some(before) => unit::write(path, before),
        None => unit::remove(path),
    };
    let _ = manager.reload();
    manager.forget_failures();
    if before.is_some() {
        let _ = manager.start();
    }
}

pub(super) fn uninstall(context: &Context, force: bool) -> Result<(), Failure> {
    let path = unit_path(context)?;
    if unit::read(&path)?.is_none() {
        return context.output.answer(&Uninstalled {
            unit: None,
            ended: Ended::NoneRan,
        });
    }
    let (place, manager) = (context.env.place()?, Manager::of(&context.env));
    manager.environment().map_err(no_manager)?;
    match hand_back(context) {
        Err(Failure::Error { error, .. }) if force => {
            let note = format!("refresh tokens stay in the keychain: {}", error.message);
            context.output.note(&note);
        }
        outcome => outcome?,
    }
    let ended = end(context, &place)?;
    manager.disable()?;
    unit::remove(&path)?;
    manager.reload()?;
    manager.forget_failures();
    let unit = Some(path.as_path());
    context.output.answer(&Uninstalled { unit, ended })
}

/// Has the daemon write the refresh tokens into the files: nobody renews for them from now on.
fn hand_back(context: &Context) -> Result<(), Failure> {
    let reply = session::request(&context.env, HandBack {})?;
    let Some(Pending { dir, detail }) = reply.pending.into_iter().next() else {
        return Ok(());
    };
    let dir = escape(&dir.to_string_lossy());
    let message = format!("the refresh tokens are not back in {dir}: {detail}");
    let hint = "mend that; --force leaves them in the keychain, where only hfd can use them";
    Err(Error::new(Kind::Other, message).hint(hint).into())
}

fn unit_path(context: &Context) -> Result<PathBuf, Error> {
    unit::path(&context.env).ok_or_else(|| {
        Error::new(
            Kind::Other,
            "neither HOME nor XDG_CONFIG_HOME is an absolute path",
        )
        .hint("set HOME to your home directory")
    })
}

fn program() -> Result<PathBuf, Error> {
    spawn::neighbour().ok_or_else(|| {
        Error::new(Kind::Other, "there is no hfdd beside this hfd")
            .hint("a service runs the one that is installed with it")
    })
}

fn no_manager(error: Error) -> Error {
    let message = format!("systemd's user manager does not answer: {}", error.message);
    Error::new(Kind::Other, message).hint(
        "nothing was changed; without a service hfd starts its daemon on demand, \
         and `loginctl enable-linger` lets a server have a user manager",
    )
}

fn elsewhere(variable: &str) -> Error {
    let message = format!(
        "{variable} is another one here than in systemd's user manager, \
         so the service would not be found from here"
    );
    Error::new(Kind::Refused, message).hint(format!(
        "unset {variable}, or set it for the whole session in ~/.config/environment.d \
         (environment.d(5)) and log in again"
    ))
}

/// A service that is installed, and its daemon.
struct Installed<'a> {
    unit: &'a Path,
    changed: bool,
    hello: &'a Hello,
}

impl Serialize for Installed<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            unit: &'a Path,
            changed: bool,
            pid: u32,
            version: &'a str,
        }
        let Self { unit, changed, .. } = *self;
        let (pid, version) = (self.hello.pid, self.hello.daemon.as_str());
        Document {
            unit,
            changed,
            pid,
            version,
        }
        .serialize(serializer)
    }
}

impl Answer for Installed<'_> {
    fn human(&self, page: &mut Page) {
        let unit = escape(&self.unit.to_string_lossy());
        page.line(&match self.changed {
            true => format!("Wrote {unit} and enabled {UNIT}."),
            false => format!("{unit} is as it should be, and enabled."),
        });
        let (pid, version) = (self.hello.pid, escape(&self.hello.daemon));
        page.line(&format!(
            "hfdd {version} runs, pid {pid}, and will with every session of yours."
        ));
    }
}

/// A service that is not installed any more.
struct Uninstalled<'a> {
    /// What was removed; `None` where nothing was installed.
    unit: Option<&'a Path>,
    ended: Ended,
}

impl Serialize for Uninstalled<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            unit: Option<&'a Path>,
            pid: Option<u32>,
        }
        let (unit, pid) = (self.unit, self.ended.pid());
        Document { unit, pid }.serialize(serializer)
    }
}

impl Answer for Uninstalled<'_> {
    fn human(&self, page: &mut Page) {
        let Some(unit) = self.unit else {
            page.line("No service is installed.");
            return;
        };
        if let Some(pid) = self.ended.pid() {
            page.line(&format!("The daemon (pid {pid}) has ended."));
        }
        let unit = escape(&unit.to_string_lossy());
        page.line(&format!(
            "Removed {unit}. The next command that needs a daemon starts one."
        ));
    }
}
