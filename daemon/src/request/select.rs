//! Which token belongs to a place: the rules come with the request, and nothing of the caller's is opened.

use std::sync::Arc;

use hfd_core::select::{Answer, Candidate, select};
use hfd_proto::{Chosen, Error, Home, Kind, Select, Selected, Token, TokenName, escape};

use super::{follow, token};
use crate::daemon::Daemon;
use crate::engine::not_logged_in;
use crate::snapshot::Snapshot;

pub(super) async fn answer(daemon: &Arc<Daemon>, request: Select) -> Result<Selected, Error> {
    follow(daemon, request.home.as_ref()).await;
    let snapshot = daemon.snapshot();
    let active = active(daemon, &snapshot, request.home.as_ref()).await;
    let active = active.as_ref();
    let tokens = snapshot.index.tokens.iter();
    let tokens: Vec<_> = tokens
        .map(|(name, record)| Candidate {
            name,
            user: record.user.as_deref(),
            endpoint: &record.endpoint,
            active: active == Some(name),
        })
        .collect();
    let sends = |own: &_, asked: &_| daemon.config.same_endpoint(own, asked);
    let selection = select(&request, &tokens, sends);
    let chosen = match selection.answer {
        Answer::Environment => Ok(None),
        Answer::Token(name) => chosen(daemon, &snapshot, &request, name).await.map(Some),
        Answer::Missing(name) => snapshot.token(&name).map(|_| None),
        Answer::OfUser => Err(of_user(&request)),
        Answer::OtherHub(name) => Err(other_hub(&snapshot, &request, &name)),
        Answer::Nothing => Err(not_logged_in()),
    };
    let (chosen, error) = match chosen {
        Ok(chosen) => (chosen, None),
        Err(error) => (None, Some(error)),
    };
    Ok(Selected {
        chosen,
        error,
        considered: selection.considered,
    })
}

/// The active token of the home. One that is no mirror is looked at, as a lookup does.
async fn active(
    daemon: &Arc<Daemon>,
    snapshot: &Snapshot,
    home: Option<&Home>,
) -> Option<TokenName> {
    let home = home?;
    if snapshot.index.mirrors.contains_key(home) {
        return snapshot.active(Some(home)).cloned();
    }
    let wanted = Token {
        home: Some(home.clone()),
        ..Token::default()
    };
    token::answer(daemon, wanted).await.ok()?.name
}

async fn chosen(
    daemon: &Arc<Daemon>,
    snapshot: &Snapshot,
    request: &Select,
    name: TokenName,
) -> Result<Chosen, Error> {
    let record = snapshot.token(&name)?;
    let (token, expires_at) = match request.value {
        false => (None, record.expires_at),
        true => {
            // As a lookup by name: nothing while hfd is locked, and one that has ended is renewed.
            let wanted = Token {
                name: Some(name.clone()),
                ..Token::default()
            };
            let reply = token::answer(daemon, wanted).await?;
            (Some(reply.token), reply.expires_at)
        }
    };
    let endpoint = request.endpoint.as_ref().unwrap_or(&record.endpoint);
    Ok(Chosen {
        user: record.user.clone(),
        endpoint: endpoint.clone(),
        expires_at,
        token,
        name,
    })
}

fn of_user(request: &Select) -> Error {
    let user = escape(request.user.as_deref().unwrap_or_default());
    Error::new(
        Kind::NoSuchToken,
        format!("there is no token of the user `{user}` at that Hub"),
    )
    .hint("`hfd login` adds one")
}

fn other_hub(snapshot: &Snapshot, request: &Select, name: &TokenName) -> Error {
    let record = snapshot.index.tokens.get(name);
    let own = record.map(|record| record.endpoint.as_str());
    let asked = request.endpoint.as_ref().map(|asked| asked.as_str());
    let (own, asked) = (own.unwrap_or_default(), asked.unwrap_or_default());
    let message = format!("the token belongs to {own}, not to {asked}");
    Error::new(Kind::Refused, message)
        .hint("unset HF_ENDPOINT, or choose a token of that Hub: `hfd list` shows them")
}
