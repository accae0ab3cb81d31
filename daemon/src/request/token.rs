//! The value of a token: what everything else here is for.

use std::sync::Arc;
use std::time::Duration;

use hfd_proto::{Error, Home, Kind, Mode, Token, TokenName, TokenReply};
use tokio::time::{Instant, timeout_at};

use super::follow;
use crate::daemon::Daemon;
use crate::engine::{locked, not_logged_in, token_of};
use crate::mirror::{NotSeen, Seen, Waiting, observe};
use crate::snapshot::Snapshot;

/// How long a renewal is waited for. A client waits 10 s, and the Hub may take longer: then it is told,
/// so that nobody ends the daemon in the middle of it.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) async fn answer(daemon: &Arc<Daemon>, request: Token) -> Result<TokenReply, Error> {
    let latest = Instant::now() + PATIENCE;
    let snapshot = daemon.snapshot();
    if snapshot.index.locked {
        return Err(locked());
    }
    let reply = look_up(daemon, &snapshot, &request).await?;
    let Some(end) = reply.expires_at else {
        return Ok(reply);
    };
    let least = request
        .min_ttl
        .map_or(0, |least| i64::try_from(least).unwrap_or(i64::MAX));
    let left = end - daemon.clock.now();
    if left >= least.max(1) {
        return Ok(reply);
    }
    let wants = request.min_ttl.is_some();
    let ending = ending(daemon, request, reply.clone(), left, least);
    match timeout_at(latest, ending).await {
        Ok(outcome) => outcome,
        Err(_) if !wants => Ok(reply),
        Err(_) => {
            let message = format!(
                "the token ends in {} s, and is still being renewed",
                left.max(0)
            );
            Err(Error::new(Kind::TimedOut, message)
                .hint("the renewal goes on: repeat it in a moment"))
        }
    }
}

/// One that ends too soon, or has: renewed where that is possible.
async fn ending(
    daemon: &Arc<Daemon>,
    request: Token,
    reply: TokenReply,
    left: i64,
    least: i64,
) -> Result<TokenReply, Error> {
    let snapshot = daemon.snapshot();
    let name = reply.name.as_ref();
    let record = name.and_then(|name| snapshot.index.tokens.get_key_value(name));
    let record = record.filter(|(_, record)| record.refresh.is_some());
    let mut why = None;
    if let Some((name, record)) = record {
        match request.min_ttl {
            Some(_) => why = daemon.renew_when_allowed(name, record).await.err(),
            None => daemon.renew_ended(name, record).await,
        }
        let reply = look_up(daemon, &daemon.snapshot(), &request).await?;
        let left = reply.expires_at.map(|end| end - daemon.clock.now());
        if request.min_ttl.is_none() || left.is_none_or(|left| left >= least) {
            return Ok(reply);
        }
    }
    match request.min_ttl {
        None => Ok(reply),
        Some(_) if left >= least => Ok(reply),
        Some(_) => Err(why.unwrap_or_else(|| {
            let left = left.max(0);
            let message = format!("the token ends in {left} s, sooner than {least} s");
            Error::new(Kind::Refused, message).hint("log in again for a new one")
        })),
    }
}

async fn look_up(
    daemon: &Arc<Daemon>,
    snapshot: &Snapshot,
    request: &Token,
) -> Result<TokenReply, Error> {
    match &request.name {
        Some(name) if snapshot.index.tokens.contains_key(name) => {
            named(daemon, snapshot, name).await
        }
        Some(name) => {
            // Another tool may just have added it.
            follow(daemon, request.home.as_ref()).await;
            named(daemon, &daemon.snapshot(), name).await
        }
        None => active(daemon, snapshot, request.home.clone()).await,
    }
}

/// The answer to a client. Where its programs send a token to an alias of the token's Hub, that is what
/// it is told of; any other difference is for the client to see and to refuse.
pub(super) async fn addressed(
    daemon: &Arc<Daemon>,
    mut request: Token,
) -> Result<TokenReply, Error> {
    let asked = request.endpoint.take();
    let mut reply = answer(daemon, request).await?;
    if let Some(asked) = asked
        && daemon.config.same_endpoint(&reply.endpoint, &asked)
    {
        reply.endpoint = asked;
    }
    Ok(reply)
}

/// A stored token by its name.
async fn named(
    daemon: &Daemon,
    snapshot: &Snapshot,
    name: &TokenName,
) -> Result<TokenReply, Error> {
    let record = snapshot.token(name)?;
    Ok(TokenReply {
        token: daemon.value(name, record).await?,
        name: Some(name.clone()),
        endpoint: record.endpoint.clone(),
        expires_at: record.expires_at,
    })
}

/// What Hugging Face tools would use in `home`. While its files are as they were when they and the
/// store agreed, that is the active token; otherwise the file itself is asked, so that an edit is
/// followed at once, whatever the store does.
async fn active(
    daemon: &Arc<Daemon>,
    snapshot: &Snapshot,
    home: Option<Home>,
) -> Result<TokenReply, Error> {
    let home = home.ok_or_else(|| Error::new(Kind::Usage, "no Hugging Face home was given"))?;
    if !home.token_path.is_absolute() {
        return Err(Error::new(
            Kind::Refused,
            "the path of the Hugging Face home is relative",
        )
        .hint("set HF_HOME to an absolute path"));
    }
    if let Some((mirror, now)) = snapshot.mirror(&home) {
        if mirror.mode == Mode::Off || now.unchanged(&home).await {
            let name = mirror.active.as_ref().ok_or_else(not_logged_in)?;
            return named(daemon, snapshot, name).await;
        }
        daemon.engine.notice(None);
        return from_file(daemon, snapshot, now.disk.run(None, observe).await);
    }
    if !snapshot.index.had_mirror {
        // The first home of all becomes a mirror; what lies in it is taken up without waiting.
        daemon.engine.notice(Some(home.clone()));
    }
    let seen = daemon.guests.look(home).await;
    from_file(daemon, snapshot, seen)
}

fn from_file(
    daemon: &Daemon,
    snapshot: &Snapshot,
    seen: Result<Result<Seen, NotSeen>, Waiting>,
) -> Result<TokenReply, Error> {
    let seen = seen.map_err(|waiting| {
        Error::new(Kind::TimedOut, waiting.to_string()).hint("`hfd status` names the mirror")
    })?;
    let seen = seen.map_err(|error| match error {
        NotSeen::NotOurs { .. } => Error::new(Kind::Refused, error.to_string()),
        NotSeen::Unfinished(_) => Error::new(Kind::TimedOut, error.to_string())
            .hint("repeat it; a program that hangs has to be ended"),
    })?;
    let value = match token_of(&seen) {
        Ok(Some(value)) => value,
        Ok(None) => return Err(not_logged_in()),
        Err(why) => {
            return Err(
                Error::new(Kind::Other, format!("the token file cannot be used: {why}"))
                    .hint("mend it, or log in again"),
            );
        }
    };
    let print = snapshot.index.salt.fingerprint(value);
    let known = snapshot.index.name_of(print, None);
    let name = known.cloned().or_else(|| section_of(&seen));
    let record = known.and_then(|name| snapshot.index.tokens.get(name));
    Ok(TokenReply {
        token: value.clone(),
        name,
        endpoint: daemon.endpoint(record.map(|record| &record.endpoint)),
        expires_at: record.and_then(|record| record.expires_at),
    })
}

/// The section of the file that holds the token, for one that is not stored yet.
fn section_of(seen: &Seen) -> Option<TokenName> {
    let value = token_of(seen).ok()??;
    let hfd_core::observe::Stored::Sections(sections) = &seen.observation.stored else {
        return None;
    };
    let holds = |section: &&hfd_core::observe::Section| section.access.as_ref() == Some(value);
    sections.iter().find(holds)?.usable().map(|(name, _)| name)
}
