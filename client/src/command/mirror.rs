//! `hfd mirror`

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use hfd_proto::{
    Error, Home, Kind, Manage, MirrorStatus, Mode, Status, StatusReply, Unmanage, escape,
};
use serde::Serialize;

use super::status::mirror_line;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, session};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the directories that hfd keeps in step
    #[command(visible_alias = "ls")]
    List,
    /// Keep a directory in step, or change what it shows
    Add(Add),
    /// Leave a directory alone from now on; its files stay as they are
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(after_help = "\
What a directory shows:
  files        every token, and the active one
  active-only  the active token alone
  runtime      every token, in memory alone: the files are links into the runtime directory (Linux, with the service)
  off          nothing; what hfd wrote there is taken out")]
pub(crate) struct Add {
    /// The directory with `token` and `stored_tokens` [default: the Hugging Face home]
    dir: Option<PathBuf>,
    /// What it shows
    #[arg(long, default_value = "files", value_parser = mode_parser())]
    mode: Mode,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The directory
    dir: PathBuf,
}

fn mode_parser() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["files", "active-only", "runtime", "off"]).map(|word| {
        match word.as_str() {
            "active-only" => Mode::ActiveOnly,
            "runtime" => Mode::Runtime,
            "off" => Mode::Off,
            _ => Mode::Files,
        }
    })
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List => {
            let home = context.env.home_if_usable();
            let StatusReply { mirrors, .. } = session::ask(
                &context.env,
                Status {
                    home,
                    ..Status::default()
                },
            )?;
            context.output.answer(&Mirrors(&mirrors))
        }
        Command::Add(Add { dir, mode }) => {
            let home = home_in(dir.as_deref(), &context.env)?;
            let reply = session::request(&context.env, Manage { home, mode })?;
            context.output.answer(&Managed(&reply.mirror))
        }
        Command::Remove(Remove { dir }) => {
            let home = home_in(Some(&dir), &context.env)?;
            let reply = session::request(&context.env, Unmanage { home })?;
            context.output.answer(&Left(&reply.mirror))
        }
    }
}

/// The home in a directory as the shell names it.
fn home_in(dir: Option<&Path>, env: &Environment) -> Result<Home, Error> {
    let Some(dir) = dir else { return env.home() };
    let dir = std::path::absolute(dir).map_err(|error| {
        let dir = escape(&dir.to_string_lossy());
        Error::new(Kind::Usage, format!("{dir}: {error}"))
    })?;
    Ok(Home {
        token_path: dir.join("token"),
    })
}

#[derive(Serialize)]
#[serde(transparent)]
struct Mirrors<'a>(&'a [MirrorStatus]);

impl Answer for Mirrors<'_> {
    fn human(&self, page: &mut Page) {
        for mirror in self.0 {
            let line = mirror_line(mirror, page);
            page.line(&line);
        }
        if self.0.is_empty() {
            page.line("No directory is kept in step; `hfd mirror add` begins.");
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Managed<'a>(&'a MirrorStatus);

impl Answer for Managed<'_> {
    fn human(&self, page: &mut Page) {
        let line = mirror_line(self.0, page);
        page.line(&line);
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Left<'a>(&'a MirrorStatus);

impl Answer for Left<'_> {
    fn human(&self, page: &mut Page) {
        let dir = escape(&self.0.dir.to_string_lossy());
        page.line(&format!("{dir} is left alone from now on; its files stay."));
    }
}
