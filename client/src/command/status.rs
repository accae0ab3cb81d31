//! `hfd status`

use hfd_proto::{
    Attention, DaemonStatus, Endpoint, Error, LockState, MirrorState, MirrorStatus, Mode, Status,
    StatusReply, StoreId, StoreState, StoreStatus, TokenName, Word, escape,
};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::quoted;
use super::sync::change_line;
use crate::failure::Failure;
use crate::git::config::{Config, Scope};
use crate::output::{Answer, Page};
use crate::{Context, session, time};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let reply = ask(context)?;
    let overrides = context.env.overrides();
    let elsewhere = reply.as_ref().and_then(|reply| elsewhere(reply, context));
    // Where git is not there, or does not work, nothing is to be told of it.
    let git = Config::read(Scope::Everything).ok();
    let git = git.map(|config| Git {
        hubs: config.hubs(),
    });
    let state = match &reply {
        Some(reply) => State {
            elsewhere,
            git,
            ..State::of(reply, &overrides)
        },
        None => State {
            overrides: &overrides,
            git,
            ..State::default()
        },
    };
    context.output.answer(&state)
}

/// How things are; `None` when no daemon runs. None is started to tell.
pub(super) fn ask(context: &Context) -> Result<Option<StatusReply>, Error> {
    let Some(mut connection) = session::find(&context.env.place()?)? else {
        return Ok(None);
    };
    connection.check_protocol()?;
    let home = context.env.home_if_usable();
    // What is wrong with the variable is told where something depends on it.
    let endpoint = context.env.endpoint().ok().flatten();
    connection.request(Status { home, endpoint }).map(Some)
}

/// That tools of this environment use another Hub than the one whose tokens they are taken to write.
pub(crate) fn elsewhere(reply: &StatusReply, context: &Context) -> Option<String> {
    let theirs = context.env.endpoint().ok()?.unwrap_or_default();
    let own = &reply.endpoint;
    (theirs != *own).then(|| {
        format!(
            "tokens that tools log in with here, at {theirs}, are taken for those of {own}; \
             set endpoint = \"{theirs}\" in config.toml"
        )
    })
}

/// The document of `status --json`. Without a daemon, what only it knows is null.
#[derive(Default, Serialize)]
struct State<'a> {
    daemon: Option<&'a DaemonStatus>,
    store: Option<&'a StoreStatus>,
    lock: Option<&'a Word<LockState>>,
    active: Option<&'a TokenName>,
    expires_at: Option<i64>,
    renews: bool,
    tokens: Option<usize>,
    mirrors: &'a [MirrorStatus],
    overrides: &'a [&'static str],
    service: Option<&'a str>,
    unsettled: Option<usize>,
    locked_memory: Option<bool>,
    withheld: Option<bool>,
    endpoint: Option<&'a Endpoint>,
    #[serde(skip)]
    elsewhere: Option<String>,
    attention: &'a [Attention],
    /// Null where there is no git.
    git: Option<Git>,
}

/// How git is set up here.
#[derive(Serialize)]
struct Git {
    /// The Hubs for which it asks hfd.
    hubs: Vec<Endpoint>,
}

impl<'a> State<'a> {
    fn of(reply: &'a StatusReply, overrides: &'a [&'static str]) -> Self {
        Self {
            daemon: Some(&reply.daemon),
            store: Some(&reply.store),
            lock: Some(&reply.lock),
            active: reply.active.as_ref(),
            expires_at: reply.expires_at,
            renews: reply.renews,
            tokens: Some(reply.tokens),
            mirrors: &reply.mirrors,
            overrides,
            service: reply.service.as_deref(),
            unsettled: Some(reply.unsettled),
            locked_memory: Some(reply.locked_memory),
            withheld: Some(reply.withheld),
            endpoint: Some(&reply.endpoint),
            elsewhere: None,
            attention: &reply.attention,
            git: None,
        }
    }
}

impl Answer for State<'_> {
    fn human(&self, page: &mut Page) {
        match self.daemon {
            None => page.field(
                "daemon",
                "not running; the next command that needs it starts it",
            ),
            Some(daemon) => self.daemon_lines(daemon, page),
        }
        if let Some(store) = self.store {
            page.field("store", &store_line(store, page));
        }
        if self.withheld == Some(true) {
            page.field("refresh", "tokens are kept out of the files; hfd renews");
        }
        if self.daemon.is_some() {
            let active = self.active.map(|name| quoted(name.as_str()));
            page.field("active", &active.unwrap_or_else(|| "none".to_owned()));
        }
        let expires = self
            .expires_at
            .and_then(|moment| time::expiry(moment, self.renews, time::now()));
        if let Some(expires) = expires {
            page.field("expires", &expires);
        }
        if let Some(tokens) = self.tokens {
            page.field("tokens", &tokens.to_string());
        }
        for mirror in self.mirrors {
            page.field("mirror", &mirror_line(mirror, page));
            for change in &mirror.recent {
                page.field("", &page.dim(&change_line(change, &TimeZone::system())));
            }
        }
        if let Some(git) = self.git.as_ref().filter(|git| !git.hubs.is_empty()) {
            let hubs: Vec<_> = git.hubs.iter().map(Endpoint::as_str).collect();
            page.field("git", &format!("asks hfd for {}", hubs.join(", ")));
        }
        if let Some(elsewhere) = &self.elsewhere {
            page.field("hub", &page.warn(elsewhere));
        }
        for attention in self.attention {
            page.field("attention", &page.warn(&attention_line(attention)));
        }
        if let Some(count @ 1..) = self.unsettled {
            let text = format!("{count} changes may still take effect in the store");
            page.field("pending", &page.warn(&text));
        }
        if !self.overrides.is_empty() {
            let text = format!("set here: {}", self.overrides.join(", "));
            page.field("overrides", &page.warn(&text));
        }
    }
}

impl State<'_> {
    fn daemon_lines(&self, daemon: &DaemonStatus, page: &mut Page) {
        let DaemonStatus { pid, version, .. } = daemon;
        let (version, up) = (escape(version), time::span(daemon.uptime_s));
        let by = run_by(self.service);
        page.field(
            "daemon",
            &format!("hfdd {version}, pid {pid}, up {up}, {by}"),
        );
        page.field("socket", &escape(&daemon.socket.to_string_lossy()));
        match self.lock {
            Some(Word::Known(LockState::Session)) => {
                page.field("lock", &page.warn("hfd is locked"));
            }
            Some(Word::Known(LockState::Keychain)) => {
                let in_file = self.store.is_some_and(|store| store.id == StoreId::File);
                let which = match in_file {
                    true => "the encrypted file is locked; `hfd unlock` asks for its passphrase",
                    false => "the keychain is locked",
                };
                page.field("lock", &page.warn(which));
            }
            Some(Word::Unknown(word)) => page.field("lock", &page.warn(&escape(word))),
            Some(Word::Known(LockState::None)) | None => {}
        }
    }
}

/// Who runs the daemon, by its own word.
pub(super) fn run_by(service: Option<&str>) -> String {
    match service {
        Some(service) => format!("run by {}", escape(service)),
        None => "started on demand".to_owned(),
    }
}

/// A token that a person should look after.
fn attention_line(attention: &Attention) -> String {
    let (name, detail) = (quoted(attention.name.as_str()), escape(&attention.detail));
    let ends = attention.expires_at;
    let ends = ends.and_then(|end| time::expiry(end, false, time::now()));
    match (attention.what.as_str(), ends) {
        ("ends-soon", Some(when)) => format!("{name} ends {when}: {detail}"),
        ("ended", Some(when)) => format!("{name} {when}: {detail}"),
        _ => format!("{name}: {detail}"),
    }
}

fn store_line(store: &StoreStatus, page: &Page) -> String {
    let state = match &store.state {
        Word::Known(StoreState::Ready) => "ready".to_owned(),
        Word::Known(StoreState::Locked) => page.warn("locked"),
        Word::Known(StoreState::Unavailable) => page.warn("unavailable"),
        Word::Known(StoreState::Waiting) => page.warn("does not answer"),
        Word::Unknown(word) => page.warn(&escape(word)),
    };
    let detail = detail(store.detail.as_deref());
    format!("{}, {state}{detail}", escape(store.id.as_str()))
}

pub(super) fn mirror_line(mirror: &MirrorStatus, page: &Page) -> String {
    let mode = match &mirror.mode {
        Word::Known(Mode::Files) => "all tokens".to_owned(),
        Word::Known(Mode::ActiveOnly) => "the active token only".to_owned(),
        Word::Known(Mode::Runtime) => "all tokens, in memory".to_owned(),
        Word::Known(Mode::Off) => "nothing".to_owned(),
        Word::Unknown(word) => escape(word),
    };
    let state = match &mirror.state {
        Word::Known(MirrorState::InSync) => "in sync".to_owned(),
        Word::Known(MirrorState::Pending) => page.warn("pending"),
        Word::Known(MirrorState::Conflict) => page.warn("in conflict"),
        Word::Known(MirrorState::Unreadable) => page.warn("unreadable"),
        Word::Known(MirrorState::Absent) => page.warn("absent"),
        Word::Known(MirrorState::Waiting) => page.warn("does not answer"),
        Word::Unknown(word) => page.warn(&escape(word)),
    };
    let dir = escape(&mirror.dir.to_string_lossy());
    let active = match &mirror.active {
        Some(name) => format!(", active {}", quoted(name.as_str())),
        None => String::new(),
    };
    let detail = detail(mirror.detail.as_deref());
    format!("{dir}: {state}{detail}; shows {mode}{active}")
}

fn detail(detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!(" ({})", escape(detail)),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::StoreId;

    use super::*;
    use crate::output::shown;

    fn reply() -> StatusReply {
        StatusReply {
            daemon: DaemonStatus {
                pid: 7,
                version: "0.1.0".to_owned(),
                protocol: 1,
                uptime_s: 61,
                socket: "/run/hfdd.sock".into(),
            },
            store: StoreStatus {
                id: StoreId::SecretService.into(),
                state: StoreState::Ready.into(),
                detail: None,
            },
            lock: LockState::None.into(),
            active: Some(TokenName::parse("work").unwrap()),
            expires_at: None,
            renews: false,
            tokens: 2,
            mirrors: vec![MirrorStatus {
                dir: "/h/hf".into(),
                mode: Mode::Files.into(),
                active: Some(TokenName::parse("work").unwrap()),
                state: MirrorState::InSync.into(),
                detail: None,
                recent: Vec::new(),
            }],
            service: None,
            unsettled: 0,
            locked_memory: true,
            withheld: false,
            endpoint: Endpoint::default(),
            attention: Vec::new(),
        }
    }

    #[test]
    fn the_state_is_told_at_a_glance() {
        assert_eq!(
            shown(&State::of(&reply(), &[])),
            "daemon    hfdd 0.1.0, pid 7, up 1 min, started on demand\n\
             socket    /run/hfdd.sock\n\
             store     secret-service, ready\n\
             active    `work`\n\
             tokens    2\n\
             mirror    /h/hf: in sync; shows all tokens, active `work`\n"
        );
    }

    #[test]
    fn what_needs_attention_is_told_too() {
        let mut troubled = reply();
        troubled.lock = LockState::Keychain.into();
        troubled.store.state = StoreState::Locked.into();
        troubled.mirrors[0].state = MirrorState::Unreadable.into();
        troubled.mirrors[0].detail = Some("line 3: \u{1b}".to_owned());
        troubled.active = None;
        troubled.unsettled = 1;
        troubled.withheld = true;
        troubled.attention.push(Attention {
            name: TokenName::parse("old").unwrap(),
            what: "session-ended".to_owned(),
            detail: "its session has ended; log in again: hfd login".to_owned(),
            expires_at: Some(1),
        });
        assert_eq!(
            shown(&State::of(&troubled, &["HF_TOKEN", "HF_HOME"])),
            "daemon    hfdd 0.1.0, pid 7, up 1 min, started on demand\n\
             socket    /run/hfdd.sock\n\
             lock      the keychain is locked\n\
             store     secret-service, locked\n\
             refresh   tokens are kept out of the files; hfd renews\n\
             active    none\n\
             tokens    2\n\
             mirror    /h/hf: unreadable (line 3: \\u{1b}); shows all tokens, active `work`\n\
             attention `old`: its session has ended; log in again: hfd login\n\
             pending   1 changes may still take effect in the store\n\
             overrides set here: HF_TOKEN, HF_HOME\n"
        );
    }

    #[test]
    fn json_has_the_keys_of_the_contract_with_a_daemon_and_without() {
        let with = serde_json::to_value(State::of(&reply(), &["HF_TOKEN"])).unwrap();
        assert_eq!(with["daemon"]["pid"], 7);
        assert_eq!(with["store"]["id"], "secret-service");
        assert_eq!(with["lock"], "none");
        assert_eq!(with["mirrors"][0]["state"], "in-sync");
        assert_eq!(with["overrides"][0], "HF_TOKEN");
        let without = serde_json::to_value(State::default()).unwrap();
        assert!(without["daemon"].is_null() && without["store"].is_null());
        let keys = |value: &serde_json::Value| -> Vec<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&with), keys(&without));
    }
}
