//! `hfd sync`

use hfd_proto::{MirrorState, Sync, SyncReply, escape};
use serde::Serialize;

use super::quoted;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, session};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let reply = session::request(&context.env, Sync { home })?;
    context.output.answer(&Synced(&reply))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Synced<'a>(&'a SyncReply);

impl Answer for Synced<'_> {
    fn human(&self, page: &mut Page) {
        for change in &self.0.changes {
            let dir = escape(&change.dir.to_string_lossy());
            let (name, what) = (quoted(change.name.as_str()), escape(&change.what));
            page.line(&format!("{what} {name} ({dir})"));
        }
        let mirrors = self.0.mirrors.iter();
        let apart = mirrors.filter(|mirror| mirror.state != MirrorState::InSync);
        let mut together = true;
        for mirror in apart {
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
    use hfd_proto::{Change, MirrorStatus, Mode, TokenName};

    use super::*;
    use crate::output::shown;

    #[test]
    fn a_sync_tells_what_it_did_and_what_it_could_not() {
        let reply = SyncReply {
            changes: vec![Change {
                name: TokenName::parse("a").unwrap(),
                dir: "/h".into(),
                what: "imported".to_owned(),
            }],
            mirrors: vec![MirrorStatus {
                dir: "/g".into(),
                mode: Mode::Files.into(),
                active: None,
                state: MirrorState::Unreadable.into(),
                detail: Some("stored_tokens does not parse".to_owned()),
            }],
        };
        assert_eq!(
            shown(&Synced(&reply)),
            "imported `a` (/h)\n/g: stored_tokens does not parse\n"
        );
        let quiet = SyncReply {
            changes: Vec::new(),
            mirrors: Vec::new(),
        };
        assert_eq!(shown(&Synced(&quiet)), "Keychain and files agree.\n");
    }
}
