//! `hfd service`

mod install;
mod logs;

use std::path::PathBuf;

use clap::Subcommand;
use hfd_proto::{DaemonStatus, Error, Hello, Place, escape};
use serde::Serialize;

use super::status;
use crate::autostart::{Manager, State};
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::stop::{Ended, stop};
use crate::{Context, session, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have the system run the daemon, with every session of yours
    Install,
    /// Take the service out again; refresh tokens go back into the files first
    Uninstall {
        /// Also where refresh tokens cannot be handed back
        #[arg(long)]
        force: bool,
    },
    /// Start the daemon if it does not run
    Start,
    /// End the daemon
    Stop,
    /// End the daemon and start it again
    Restart,
    /// Show whether the daemon runs
    Status,
    /// Show the end of the daemon's log, or of its journal
    Logs {
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 100, value_name = "NUMBER")]
        lines: usize,
    },
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let place = context.env.place()?;
    match command {
        Command::Install => install::install(context),
        Command::Uninstall { force } => install::uninstall(context, force),
        Command::Start => start(context),
        Command::Stop => context.output.answer(&Stopped(end(context, &place)?)),
        Command::Restart => {
            end(context, &place)?;
            start(context)
        }
        Command::Status => {
            let reply = status::ask(context)?;
            let (daemon, service) = match &reply {
                Some(reply) => (Some(&reply.daemon), reply.service.as_deref()),
                None => (None, None),
            };
            let unit = Unit::installed(context);
            context.output.answer(&Running {
                daemon,
                service,
                unit,
            })
        }
        Command::Logs { lines } => logs::run(lines, context),
    }
}

fn start(context: &Context) -> Result<(), Failure> {
    if let Some(manager) = Manager::where_installed(&context.env) {
        // Whoever says so wants another try.
        manager.forget_failures();
    }
    let connection = session::connect(&context.env)?;
    context.output.answer(&Started(connection.hello()))
}

/// Ends the daemon: by its unit where that runs it, which would start it anew if it had to be killed.
fn end(context: &Context, place: &Place) -> Result<Ended, Error> {
    let by_unit = match Manager::where_installed(&context.env) {
        Some(manager) => stop_unit(&manager)?,
        None => Ended::NoneRan,
    };
    match stop(place)? {
        Ended::NoneRan => Ok(by_unit),
        ended => Ok(ended),
    }
}

fn stop_unit(manager: &Manager) -> Result<Ended, Error> {
    // A manager that does not answer is none of this session's, and runs no daemon here.
    let Some(before) = manager.state().ok().filter(State::is_up) else {
        return Ok(Ended::NoneRan);
    };
    manager.stop()?;
    Ok(before.pid.map_or(Ended::NoneRan, Ended::Left))
}

/// A daemon that runs now.
struct Started<'a>(&'a Hello);

impl Serialize for Started<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            pid: u32,
            version: &'a str,
        }
        let (pid, version) = (self.0.pid, self.0.daemon.as_str());
        Document { pid, version }.serialize(serializer)
    }
}

impl Answer for Started<'_> {
    fn human(&self, page: &mut Page) {
        let (pid, version) = (self.0.pid, escape(&self.0.daemon));
        page.line(&format!("hfdd {version} runs, pid {pid}."));
    }
}

/// A daemon that does not run any more.
struct Stopped(Ended);

impl Serialize for Stopped {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document {
            pid: Option<u32>,
            forced: bool,
        }
        let (pid, forced) = (self.0.pid(), matches!(self.0, Ended::Killed(_)));
        Document { pid, forced }.serialize(serializer)
    }
}

impl Answer for Stopped {
    fn human(&self, page: &mut Page) {
        match self.0 {
            Ended::NoneRan => page.line("No daemon runs."),
            Ended::Left(pid) => page.line(&format!("The daemon (pid {pid}) has ended.")),
            Ended::Killed(pid) => page.line(&format!(
                "The daemon (pid {pid}) did not answer and was killed; \
                 the next one finishes what it had begun."
            )),
        }
    }
}

/// How the service is installed.
#[derive(Serialize)]
struct Unit {
    path: PathBuf,
    /// What the manager says of it, null where it does not answer: `active`, `failed`, …
    state: Option<String>,
    /// Whether it starts with a session.
    enabled: Option<bool>,
}

impl Unit {
    fn installed(context: &Context) -> Option<Self> {
        let manager = Manager::where_installed(&context.env)?;
        let state = manager.state().ok();
        Some(Self {
            path: manager.path().to_owned(),
            enabled: state.as_ref().map(|state| state.enabled),
            state: state.map(|state| state.active),
        })
    }
}

#[derive(Serialize)]
struct Running<'a> {
    daemon: Option<&'a DaemonStatus>,
    service: Option<&'a str>,
    unit: Option<Unit>,
}

impl Answer for Running<'_> {
    fn human(&self, page: &mut Page) {
        match self.daemon {
            None => page.line("No daemon runs."),
            Some(daemon) => {
                let (version, up) = (escape(&daemon.version), time::span(daemon.uptime_s));
                let (pid, by) = (daemon.pid, status::run_by(self.service));
                page.line(&format!("hfdd {version} runs, pid {pid}, up {up}, {by}."));
            }
        }
        if let Some(unit) = &self.unit {
            page.line(&unit.line());
        }
    }
}

impl Unit {
    fn line(&self) -> String {
        let path = escape(&self.path.to_string_lossy());
        let state = match (&self.state, self.enabled) {
            (None, _) => format!("{} does not answer", Manager::TITLE),
            (Some(state), Some(true)) => format!("enabled, {}", escape(state)),
            (Some(state), _) => format!("not enabled, {}", escape(state)),
        };
        format!("{} is installed ({path}): {state}.", Manager::NAME)
    }
}
