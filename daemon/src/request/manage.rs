//! A directory becomes a mirror, or another one.

use hfd_proto::{Error, Kind, Manage, ManageReply, Mode};

use crate::daemon::Daemon;
use crate::mirror::runtime;

/// Files in memory are there only while something keeps them there.
pub(super) async fn answer(daemon: &Daemon, request: Manage) -> Result<ManageReply, Error> {
    if request.mode == Mode::Runtime {
        let refused = |why: String, hint: &str| {
            Error::new(Kind::Refused, format!("no mirror is kept in memory: {why}")).hint(hint)
        };
        runtime::memory().map_err(|why| {
            refused(
                why,
                "`--mode active-only` shows the active token alone, `--mode off` none",
            )
        })?;
        if daemon.service.is_none() {
            let why = "nobody would fill it after a restart of the machine".to_owned();
            return Err(refused(
                why,
                "`hfd service install` has hfd run with your session",
            ));
        }
    }
    daemon.engine.manage(request).await
}
