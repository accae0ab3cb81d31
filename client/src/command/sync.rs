//! `hfd sync`

use hfd_proto::{Change, MirrorState, MirrorStatus, Sync, SyncReply, escape};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{quoted, status};
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, session, time};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let reply = session::request(&context.env, Sync { home })?;
    context.output.answer(&Synced {
        reply: &reply,
        zone: TimeZone::system(),
    })?;
    let state = status::ask(context)?;
    if let Some(elsewhere) = state.and_then(|state| status::elsewhere(&state, context)) {
        context.output.note(&elsewhere);
    }
    // A directory that is not there shows nothing. Each of the others was named.
    match apart(&reply).all(|mirror| mirror.state == MirrorState::Absent) {
        true => Ok(()),
        false => Err(Failure::Ended(1)),
    }
}

fn apart(reply: &SyncReply) -> impl Iterator<Item = &MirrorStatus> {
    let mirrors = reply.mirrors.iter();
    mirrors.filter(|mirror| mirror.state != MirrorState::InSync)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Synced<'a> {
    reply: &'a SyncReply,
    #[serde(skip)]
    zone: TimeZone,
}

/// What was done to a token, and why: `` `work`: imported, another tool added it at 14:02 ``.
pub(super) fn change_line(change: &Change, zone: &TimeZone) -> String {
    let (name, what) = (quoted(change.name.as_str()), escape(&change.what));
    let mut line = format!("{name}: {what}");
    if !change.why.is_empty() {
        let at = time::clock(change.at, zone);
        line.push_str(&format!(", {} at {at}", escape(&change.why)));
    }
    line
}

impl Answer for Synced<'_> {
    fn human(&self, page: &mut Page) {
        for change in &self.reply.changes {
            let dir = escape(&change.dir.to_string_lossy());
            let line = change_line(change, &self.zone);
            page.line(&format!("{line} ({dir})"));
        }
        let mut together = true;
        for mirror in apart(self.reply) {
            together = false;
            let dir = escape(&mirror.dir.to_string_lossy());
            let detail = mirror.detail.as_deref().unwrap_or("not in sync");
            page.line(&page.warn(&format!("{dir}: {}", escape(detail))));
        }
        if together {
            page.line("Keychain and files agree.");
        }
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::{Mode, TokenName};

    use super::*;
    use crate::output::shown;

    #[test]
    fn a_sync_tells_what_it_did_and_what_it_could_not() {
        let reply = SyncReply {
            changes: vec![Change {
                name: TokenName::parse("a").unwrap(),
                dir: "/h".into(),
                what: "imported".to_owned(),
                why: "another tool added it".to_owned(),
                at: 1_798_044_463,
            }],
            mirrors: vec![MirrorStatus {
                dir: "/g".into(),
                mode: Mode::Files.into(),
                active: None,
                state: MirrorState::Unreadable.into(),
                detail: Some("stored_tokens does not parse".to_owned()),
                recent: Vec::new(),
            }],
        };
        let shown = |reply| {
            let zone = TimeZone::UTC;
            shown(&Synced { reply, zone })
        };
        assert_eq!(
            shown(&reply),
            "`a`: imported, another tool added it at 16:47 (/h)\n\
             /g: stored_tokens does not parse\n"
        );
        let quiet = SyncReply {
            changes: Vec::new(),
            mirrors: Vec::new(),
        };
        assert_eq!(shown(&quiet), "Keychain and files agree.\n");
    }
}
