//! `hfd watch`

use hfd_proto::{Error, Event, Kind, Watch, escape};
use serde::Serialize;

use super::quoted;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, session};

/// Prints events until the daemon, the reader or the person ends it.
pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let mut connection = session::connect(&context.env)?;
    connection.request(Watch {})?;
    while let Some(event) = connection.event()? {
        context.output.answer(&Happened(&event))?;
    }
    Err(Error::new(Kind::DaemonUnreachable, "the daemon has left").into())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Happened<'a>(&'a Event);

impl Answer for Happened<'_> {
    fn human(&self, page: &mut Page) {
        let mut line = escape(&self.0.event);
        if let Some(name) = &self.0.name {
            line.push_str(&format!(" {}", quoted(name.as_str())));
        }
        if let Some(dir) = &self.0.dir {
            line.push_str(&format!(" ({})", escape(&dir.to_string_lossy())));
        }
        if let Some(why) = &self.0.why {
            line.push_str(&format!(": {}", escape(why)));
        }
        page.line(&line);
    }
}
