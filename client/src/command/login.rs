//! `hfd login`

use clap::Args;
use hfd_proto::{
    BeginLogin, Endpoint, Error, Home, Kind, Login, LoginReply, Network, Secret, Status, StoreId,
    TokenName, escape,
};
use zeroize::Zeroizing;

use super::{note_endpoint, note_override, note_pending, quoted, store};
use crate::cli::{parse_endpoint, parse_name, store_parser};
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, browser, network, prompt, session, stdin};

#[derive(Debug, Default, Args)]
#[command(after_help = "\
You are asked whether to log in with a browser or to paste a token, which is not shown; without a
terminal it is the browser, anywhere: the URL and the code for it are printed. The token goes into
the keychain, and every Hugging Face tool uses it from then on. A browser login is renewed before it
ends.

Examples:
  hfd login
  printf %s \"$TOKEN\" | hfd login --with-token --name ci --no-switch
  hfd login --endpoint https://hub.example.com")]
pub(crate) struct Arguments {
    /// Read the token from stdin
    #[arg(long, conflicts_with = "token")]
    pub(crate) with_token: bool,
    /// The token itself; other users of this machine can see it while hfd runs
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<VisibleToken>,
    /// Open no browser; the URL is shown all the same
    #[arg(long, conflicts_with_all = ["token", "with_token"])]
    pub(crate) no_browser: bool,
    /// A name for the token instead of the one it has on the Hub
    #[arg(long, value_parser = parse_name)]
    pub(crate) name: Option<TokenName>,
    /// Leave the active token as it is
    #[arg(long)]
    pub(crate) no_switch: bool,
    /// Do not ask the Hub
    #[arg(long, requires = "name")]
    pub(crate) offline: bool,
    /// The Hub that the token belongs to [default: HF_ENDPOINT, else huggingface.co]
    #[arg(long, value_name = "URL", value_parser = parse_endpoint)]
    pub(crate) endpoint: Option<Endpoint>,
    /// Where to keep it [default: as configured]
    #[arg(long, value_parser = store_parser())]
    pub(crate) store: Option<StoreId>,
    /// Replace a token of that name although it belongs to another user or Hub
    #[arg(long)]
    pub(crate) force: bool,
}

/// A token on the command line, as it was given. Parsed here rather than by clap, which would show
/// a malformed one in its error.
#[derive(Clone)]
pub(crate) struct VisibleToken(Zeroizing<String>);

impl From<String> for VisibleToken {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl std::fmt::Debug for VisibleToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VisibleToken(****)")
    }
}

pub(crate) fn run(mut arguments: Arguments, context: &Context) -> Result<(), Failure> {
    // Whatever can be refused is refused before a person is asked for a secret.
    if prompt::possible(context) {
        arguments.store = store::choose(arguments.store, context)?;
    }
    let home = match arguments.no_switch {
        true => context.env.home_if_usable(),
        false => Some(context.env.home()?),
    };
    let endpoint = match arguments.endpoint {
        Some(endpoint) => Some(endpoint),
        None => context.env.endpoint()?,
    };
    let network = match arguments.offline {
        true => Network::default(),
        false => network::of(&context.env)?,
    };
    let agreed = match &home {
        Some(home) if !arguments.no_switch => agree_to_manage(home, context)?,
        _ => false,
    };
    let token = match (arguments.token, arguments.with_token) {
        (Some(token), _) => Some(visible(&token, context)?),
        (None, true) => Some(stdin::token()?),
        (None, false) if arguments.offline => Some(ask(endpoint.as_ref(), context)?),
        (None, false) => choose(endpoint.as_ref(), context)?,
    };
    let switch = !arguments.no_switch;
    let reply = match token {
        Some(token) => {
            let login = Login {
                token,
                name: arguments.name,
                home,
                switch,
                offline: arguments.offline,
                endpoint,
                store: arguments.store,
                force: arguments.force,
                network,
            };
            let reply = session::request(&context.env, login)?;
            context.output.answer(&LoggedIn(&reply))?;
            reply
        }
        None => {
            let wishes = BeginLogin {
                name: arguments.name,
                home,
                switch,
                endpoint,
                store: arguments.store,
                force: arguments.force,
                client_id: client_id(context),
                network,
            };
            let reply = browser::log_in(wishes, !arguments.no_browser, context)?;
            if !context.output.is_json() {
                context.output.answer(&LoggedIn(&reply))?;
            }
            reply
        }
    };
    if reply.managed && !agreed {
        context.output.note(
            "this Hugging Face home is kept in step from now on: it shows the active token alone; \
             `hfd mirror list` names it, `hfd mirror add --mode files` shows all tokens there",
        );
    }
    note_pending(&reply.pending, context);
    if reply.active {
        note_override(context);
        note_endpoint(&reply.name, &reply.endpoint, context);
    }
    Ok(())
}

/// Asks whether another home may become a mirror, which a login there makes of it. False where
/// nobody could be asked.
fn agree_to_manage(home: &Home, context: &Context) -> Result<bool, Error> {
    if !prompt::possible(context) {
        return Ok(false);
    }
    let status = session::request(&context.env, Status::default())?;
    let dir = home.token_path.parent().unwrap_or(&home.token_path);
    if status.mirrors.is_empty() || status.mirrors.iter().any(|mirror| mirror.dir == dir) {
        return Ok(false);
    }
    let shown = escape(&dir.to_string_lossy());
    let question = format!("hfd does not manage {shown} yet. Keep this token in its files?");
    match prompt::confirm(&question)? {
        true => Ok(true),
        false => Err(Error::new(
            Kind::Refused,
            format!("{shown} stays as it is; nothing was changed"),
        )
        .hint("`hfd login --no-switch` only stores the token; unset HF_HOME for the usual home")),
    }
}

impl serde::Serialize for LoggedIn<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The client to log in as, by huggingface_hub's variable (`constants.py`).
fn client_id(context: &Context) -> Option<String> {
    let id = context.env.text("HF_DEVICE_CODE_OAUTH_CLIENT_ID");
    id.filter(|id| !id.is_empty())
}

/// Asks how to log in. Nothing is a login with a browser, which needs no terminal.
fn choose(endpoint: Option<&Endpoint>, context: &Context) -> Result<Option<Secret>, Error> {
    if !prompt::possible(context) {
        return Ok(None);
    }
    let ways = ["With your browser", "Paste an access token"].map(str::to_owned);
    match prompt::pick("How would you like to log in?", &ways, 0)? {
        0 => Ok(None),
        _ => ask(endpoint, context).map(Some),
    }
}

fn visible(token: &VisibleToken, context: &Context) -> Result<Secret, Error> {
    context.output.note(
        "a token on the command line can be seen by other users of this machine; \
         --with-token reads it from stdin",
    );
    let refused = |why| Error::new(Kind::Usage, format!("--token: {why}"));
    Secret::parse(&token.0).map_err(refused)
}

fn ask(endpoint: Option<&Endpoint>, context: &Context) -> Result<Secret, Error> {
    if !prompt::possible(context) {
        return Err(
            Error::new(Kind::Usage, "there is no terminal to ask for the token at")
                .hint("printf %s \"$TOKEN\" | hfd login --with-token"),
        );
    }
    // Where the token will be sent is said before it is typed.
    let hub = endpoint.cloned().unwrap_or_default();
    context
        .output
        .note(&format!("Tokens are made at {hub}/settings/tokens"));
    let question = match hub.is_default() {
        true => "Token (not shown): ".to_owned(),
        false => format!("Token for {hub} (not shown): "),
    };
    let typed = prompt::hidden(&question)?;
    Secret::parse(&typed).map_err(|why| Error::new(Kind::Usage, why.to_string()))
}

struct LoggedIn<'a>(&'a LoginReply);

impl Answer for LoggedIn<'_> {
    fn human(&self, page: &mut Page) {
        let reply = self.0;
        let hub = match reply.endpoint.is_default() {
            true => String::new(),
            false => format!(" to {}", reply.endpoint),
        };
        match &reply.user {
            Some(user) => page.line(&format!("Logged in{hub} as {}.", escape(user))),
            None => page.line("The token is stored; the Hub was not asked."),
        }
        let name = quoted(reply.name.as_str());
        let role = match &reply.role {
            Some(role) => format!(" ({})", escape(role)),
            None => String::new(),
        };
        let replaced = match reply.replaced {
            true => ", in place of its former value",
            false => "",
        };
        let active = match reply.active {
            true => " and is the active token",
            false => "",
        };
        let store = escape(reply.store.as_str());
        page.line(&format!("{name}{role} rests in {store}{active}{replaced}."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::shown;

    fn reply() -> LoginReply {
        LoginReply {
            name: TokenName::parse("work").unwrap(),
            user: Some("alice".to_owned()),
            role: Some("write".to_owned()),
            endpoint: Endpoint::default(),
            store: StoreId::SecretService.into(),
            active: true,
            replaced: false,
            managed: false,
            pending: Vec::new(),
        }
    }

    #[test]
    fn a_login_says_who_what_and_where() {
        assert_eq!(
            shown(&LoggedIn(&reply())),
            "Logged in as alice.\n\
             `work` (write) rests in secret-service and is the active token.\n"
        );
        let elsewhere = LoginReply {
            user: Some("al\u{1b}[31m".to_owned()),
            role: None,
            endpoint: Endpoint::parse("https://hub.example").unwrap(),
            store: StoreId::File.into(),
            active: false,
            replaced: true,
            ..reply()
        };
        assert_eq!(
            shown(&LoggedIn(&elsewhere)),
            "Logged in to https://hub.example as al\\u{1b}[31m.\n\
             `work` rests in file, in place of its former value.\n"
        );
    }

    #[test]
    fn a_token_on_the_command_line_is_not_shown_by_an_error() {
        let arguments = ["hfd", "login", "--token", "hf_canary x"].map(Into::into);
        let cli = crate::cli::parse(&arguments).unwrap();
        assert!(!format!("{cli:?}").contains("canary"));
        let context = Context {
            env: crate::environment::Environment::of(&[("HOME", "/h")]),
            output: crate::output::Output::new(true, false),
            no_input: true,
        };
        let token = VisibleToken::from("hf_canary x".to_owned());
        let error = visible(&token, &context).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(!error.message.contains("canary"));
    }

    #[test]
    fn without_a_terminal_the_hint_names_the_way() {
        let context = Context {
            env: crate::environment::Environment::of(&[("HOME", "/h")]),
            output: crate::output::Output::new(false, false),
            no_input: true,
        };
        let error = ask(None, &context).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.hint.unwrap().contains("--with-token"));
    }
}
