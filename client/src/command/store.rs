//! `hfd store`: where tokens rest.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use hfd_proto::{
    Error, Kind, Migrate, Migrated, Passphrase, Protection, Rekey, Rekeyed, StoreEntry, StoreId,
    StoreState, Stores, StoresReply, TokenName, Word, escape,
};
use serde::Serialize;

use super::lock::open_file;
use super::quoted;
use crate::cli::store_parser;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::table::Table;
use crate::{Context, prompt, session, stdin};

/// How long tokens that are just being renewed are waited for.
const RENEWALS: Duration = Duration::from_secs(60);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the places where tokens can rest, and how each is
    #[command(visible_alias = "ls")]
    List,
    /// Move the tokens to another place
    Migrate(Moving),
    /// Give the encrypted file a new key, and say what opens it
    Rekey(Opening),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Each token is written to its new place and read back there before it leaves the old one. What was cut off goes on
where it stopped when it is run again. New tokens go where the configuration says (`store = \"file\"`, then
`hfd service restart`).

Examples:
  hfd store migrate --to file --dry-run
  hfd store migrate --to secret-service")]
pub(crate) struct Moving {
    /// Where to
    #[arg(long, value_parser = store_parser())]
    to: StoreId,
    /// Only tell what would be moved
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What opens the file, and what that protects against:
  a key file    lies beside it and is asked for by nobody. A copy of the file alone, in a backup or a synchronised
                folder, is of no use; who can read your files can read both.
  a passphrase  is asked for once after each start of the daemon (`hfd unlock`), or handed over by the service
                manager as the credential hfd.passphrase. Without it copies of both files are of no use; it
                cannot be recovered.
While the file is open, any program that runs as you can ask hfd for a token, as with every keychain.

Examples:
  hfd store rekey --passphrase
  pass show hfd | hfd store rekey --with-passphrase")]
pub(crate) struct Opening {
    /// Ask for a passphrase that opens it from now on
    #[arg(long, group = "opens")]
    passphrase: bool,
    /// Read it from stdin
    #[arg(long, group = "opens")]
    with_passphrase: bool,
    /// Have a key file beside it open it
    #[arg(long, group = "opens")]
    key_file: bool,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List => {
            let reply = session::ask(&context.env, Stores::default())?;
            context.output.answer(&Listed(&reply))
        }
        Command::Migrate(moving) => migrate(&moving, context),
        Command::Rekey(opening) => rekey(&opening, context),
    }
}

// --- list -----------------------------------------------------------------------------------------

#[derive(Serialize)]
#[serde(transparent)]
struct Listed<'a>(&'a StoresReply);

impl Answer for Listed<'_> {
    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["", "store", "state", "tokens", "opened by", "detail"]);
        for store in &self.0.stores {
            table.row(vec![
                if store.default { "*" } else { "" }.to_owned(),
                escape(store.id.as_str()),
                state(&store.state),
                store.tokens.to_string(),
                opened_by(store),
                store.detail.as_deref().map(escape).unwrap_or_default(),
            ]);
        }
        table.write(page);
    }
}

pub(super) fn state(state: &Word<StoreState>) -> String {
    match state {
        Word::Known(StoreState::Ready) => "ready".to_owned(),
        Word::Known(StoreState::Locked) => "locked".to_owned(),
        Word::Known(StoreState::Unavailable) => "unavailable".to_owned(),
        Word::Known(StoreState::Waiting) => "does not answer".to_owned(),
        Word::Unknown(word) => escape(word),
    }
}

fn opened_by(store: &StoreEntry) -> String {
    match &store.protection {
        Some(Word::Known(Protection::Passphrase)) => "a passphrase".to_owned(),
        Some(Word::Known(Protection::KeyFile)) => "its key file".to_owned(),
        Some(Word::Unknown(word)) => escape(word),
        None => String::new(),
    }
}

// --- migrate --------------------------------------------------------------------------------------

fn migrate(moving: &Moving, context: &Context) -> Result<(), Failure> {
    // What is moved is said once: nothing of it is done twice.
    open_file(context)?;
    let (to, dry_run) = (moving.to, moving.dry_run);
    let mut all = Migrated {
        moved: Vec::new(),
        kept: 0,
        left: 0,
        missing: Vec::new(),
    };
    let mut missing: BTreeSet<TokenName> = BTreeSet::new();
    let waiting = Instant::now();
    loop {
        let some = session::request(&context.env, Migrate { to, dry_run })?;
        let came_on = !some.moved.is_empty() || some.kept > 0;
        if !dry_run {
            for name in &some.moved {
                context
                    .output
                    .note(&format!("moved {}", quoted(name.as_str())));
            }
        }
        all.moved.extend(some.moved);
        all.kept += some.kept;
        all.left = some.left;
        missing.extend(some.missing);
        if dry_run || all.left == 0 {
            break;
        }
        if !came_on {
            if waiting.elapsed() > RENEWALS {
                return Err(
                    Error::new(Kind::TimedOut, "some tokens are still being renewed")
                        .hint("repeat it: what was moved stays moved")
                        .into(),
                );
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    all.missing = missing.into_iter().collect();
    context.output.answer(&Moved {
        reply: &all,
        to,
        dry_run,
    })?;
    for name in &all.missing {
        let name = quoted(name.as_str());
        context.output.note(&format!(
            "{name} stays: its store does not hold it (`hfd doctor` tells more)"
        ));
    }
    let stores = session::ask(&context.env, Stores::default())?.stores;
    if !dry_run && stores.iter().any(|store| store.id == to && !store.default) {
        context.output.note(&format!(
            "new tokens still go elsewhere: `store = \"{}\"` in config.toml changes that",
            to.as_str()
        ));
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Moved<'a> {
    reply: &'a Migrated,
    #[serde(skip)]
    to: StoreId,
    #[serde(skip)]
    dry_run: bool,
}

impl Answer for Moved<'_> {
    fn human(&self, page: &mut Page) {
        let (tokens, kept) = (self.reply.moved.len(), self.reply.kept);
        let store = self.to.as_str();
        if self.dry_run {
            for name in &self.reply.moved {
                page.line(&quoted(name.as_str()));
            }
        }
        if tokens == 0 && kept == 0 {
            page.line(&format!("There is nothing to move to {store}."));
            return;
        }
        let would = if self.dry_run {
            " would move"
        } else {
            " moved"
        };
        let and_kept = match kept {
            0 => String::new(),
            kept => format!(", and {kept} kept for `hfd restore`"),
        };
        let plural = if tokens == 1 { "token" } else { "tokens" };
        page.line(&format!("{tokens} {plural}{would} to {store}{and_kept}."));
    }
}

// --- rekey ----------------------------------------------------------------------------------------

fn rekey(opening: &Opening, context: &Context) -> Result<(), Failure> {
    open_file(context)?;
    let passphrase = if opening.with_passphrase {
        Some(stdin::passphrase()?)
    } else if opening.passphrase {
        Some(new_passphrase(context)?)
    } else if opening.key_file {
        None
    } else {
        choose_opening(context)?
    };
    let reply = session::request(&context.env, Rekey { passphrase })?;
    context.output.answer(&Opened(&reply))
}

fn choose_opening(context: &Context) -> Result<Option<Passphrase>, Failure> {
    if !prompt::possible(context) {
        return Err(
            Error::new(Kind::Usage, "what is to open the file was not said")
                .hint("--with-passphrase reads one from stdin; --key-file keeps the key beside it")
                .into(),
        );
    }
    let ways = ["A passphrase", "A key file beside it"].map(str::to_owned);
    match prompt::pick("What opens the encrypted file from now on?", &ways, 0)? {
        0 => new_passphrase(context).map(Some),
        _ => Ok(None),
    }
}

/// Where the place for new tokens is not there, lets a person choose another; nothing where there is nothing to
/// choose. Without a person the login fails, and says what to choose.
pub(super) fn choose(
    asked: Option<StoreId>,
    context: &Context,
) -> Result<Option<StoreId>, Failure> {
    match asked {
        None => choose_another(context),
        // Before a token is typed that could not be kept.
        Some(StoreId::File) => open_file(context).map(|_| asked),
        Some(_) => Ok(asked),
    }
}

fn choose_another(context: &Context) -> Result<Option<StoreId>, Failure> {
    let stores = session::ask(&context.env, Stores::default())?.stores;
    let usual = stores.iter().find(|store| store.default);
    let file = stores.iter().find(|store| store.id == StoreId::File);
    let (Some(usual), Some(file)) = (usual, file) else {
        return Ok(None);
    };
    if file.default {
        open_file(context)?;
    }
    if usual.state != StoreState::Unavailable || file.default {
        return Ok(None);
    }
    let detail = usual.detail.as_deref().map(escape).unwrap_or_default();
    context.output.note(&detail);
    let ways: &[&str] = match file.protection {
        Some(_) => &["In the encrypted file, as before", "Nowhere: stop here"],
        None => &[
            "In an encrypted file that a passphrase opens, asked for once after each start",
            "In an encrypted file with its key beside it: nothing is asked, copies of the file alone are of no use",
            "Nowhere: stop here",
        ],
    };
    let shown: Vec<String> = ways.iter().map(|way| (*way).to_owned()).collect();
    let chosen = prompt::pick("Where are tokens to rest instead?", &shown, 0)?;
    if chosen + 1 == ways.len() {
        return Err(Error::new(Kind::StoreUnavailable, detail)
            .hint("`hfd store list` shows how each store is; `hfd login --store file` chooses the encrypted file")
            .into());
    }
    if file.protection.is_none() && chosen == 0 {
        let passphrase = Some(new_passphrase(context)?);
        session::request(&context.env, Rekey { passphrase })?;
    }
    context
        .output
        .note("`store = \"file\"` in config.toml, then `hfd service restart`, chooses it for good");
    Ok(Some(StoreId::File))
}

/// Asks for a new one, twice, since nobody sees what is typed.
pub(super) fn new_passphrase(context: &Context) -> Result<Passphrase, Failure> {
    if !prompt::possible(context) {
        return Err(Error::new(
            Kind::Usage,
            "there is no terminal to ask for a passphrase at",
        )
        .hint("printf %s \"$PASSPHRASE\" | hfd store rekey --with-passphrase")
        .into());
    }
    let typed = prompt::hidden("New passphrase (not shown): ")?;
    let refused = |why: String| Failure::from(Error::new(Kind::Usage, why));
    let passphrase = Passphrase::parse(&typed).map_err(|why| refused(why.to_string()))?;
    let again = prompt::hidden("The same again: ")?;
    match *again == *typed {
        true => Ok(passphrase),
        false => Err(refused("the two differ; nothing was changed".to_owned())),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Opened<'a>(&'a Rekeyed);

impl Answer for Opened<'_> {
    fn human(&self, page: &mut Page) {
        page.line(match self.0.protection {
            Word::Known(Protection::Passphrase) => {
                "The encrypted file has a new key; the passphrase opens it from now on."
            }
            _ => "The encrypted file has a new key, which lies beside it.",
        });
    }
}
