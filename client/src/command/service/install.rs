//! `hfd service install` and `uninstall`: what defines the service, and what its manager is told of it.

use std::path::{Path, PathBuf};

use hfd_proto::{Error, HandBack, Hello, Kind, Pending, Place, escape};
use serde::Serialize;

use super::end;
use crate::autostart::Manager;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::stop::Ended;
use crate::{Context, session, spawn};

pub(super) fn install(context: &Context) -> Result<(), Failure> {
    let (place, manager) = (context.env.place()?, Manager::of(&context.env)?);
    manager.check_places(&context.env)?;
    let content = manager.render(&program()?)?;
    let before = manager.read()?;
    let was_enabled = manager.state()?.enabled;
    let changed = before.as_ref() != Some(&content);
    let running = put(context, &manager, &place, changed.then_some(&content));
    let hello = running.inspect_err(|_| {
        if changed {
            undo(&manager, before.as_deref(), was_enabled);
        }
    })?;
    context.output.answer(&Installed {
        unit: manager.path(),
        changed,
        hello: &hello,
    })
}

/// Makes the service what it should be, and running.
fn put(
    context: &Context,
    manager: &Manager,
    place: &Place,
    content: Option<&String>,
) -> Result<Hello, Error> {
    if let Some(content) = content {
        manager.write(content)?;
    }
    manager.reload()?;
    manager.enable()?;
    if content.is_some() || manager.state()?.active != "active" {
        end(context, place)?;
        manager.forget_failures();
        manager
            .start()
            .map_err(|error| error.hint(Manager::TELLS_MORE))?;
    }
    let hello =
        session::awaited(place, Manager::PATIENCE)?.map(|connection| connection.hello().clone());
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
            .hint(Manager::TELLS_MORE)
        })
}

/// Puts back what was there. The error that led here is the one to be told.
fn undo(manager: &Manager, before: Option<&str>, was_enabled: bool) {
    let _ = manager.stop();
    if !was_enabled {
        let _ = manager.disable();
    }
    let _ = match before {
        Some(before) => manager.write(before),
        None => manager.remove(),
    };
    let _ = manager.reload();
    manager.forget_failures();
    if before.is_some() {
        let _ = manager.start();
    }
}

pub(super) fn uninstall(context: &Context, force: bool) -> Result<(), Failure> {
    let (place, manager) = (context.env.place()?, Manager::of(&context.env)?);
    manager.read()?;
    let Some(manager) = Manager::where_installed(&context.env) else {
        return context.output.answer(&Uninstalled {
            unit: None,
            ended: Ended::NoneRan,
        });
    };
    manager.check()?;
    match hand_back(context) {
        Err(Failure::Error { error, .. }) if force => {
            let note = format!("refresh tokens stay in the keychain: {}", error.message);
            context.output.note(&note);
        }
        outcome => outcome?,
    }
    let ended = end(context, &place)?;
    manager.disable()?;
    manager.remove()?;
    manager.reload()?;
    manager.forget_failures();
    let unit = Some(manager.path());
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

fn program() -> Result<PathBuf, Error> {
    Manager::program().ok_or_else(|| {
        Error::new(Kind::Other, "there is no hfdd beside this hfd")
            .hint("a service runs the one that is installed with it")
    })
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
            true => format!("Wrote {unit} and enabled {}.", Manager::NAME),
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
