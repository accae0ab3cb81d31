//! `hfd lock` and `hfd unlock`

use clap::Args;
use hfd_proto::{
    Error, Kind, Lock, LockReply, LockState, Passphrase, Protection, Status, StoreId, StoreState,
    Stores, Unlock,
};
use serde::Serialize;

use super::note_pending;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, prompt, session, stdin};

#[derive(Debug, Args)]
#[command(after_help = "\
Where tokens rest in the encrypted file and a passphrase opens it, it is asked for. Without a terminal it comes from
stdin:
  printf %s \"$PASSPHRASE\" | hfd unlock --with-passphrase")]
pub(crate) struct Unlocking {
    /// Read the passphrase of the encrypted file from stdin
    #[arg(long)]
    with_passphrase: bool,
}

pub(crate) fn lock(context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let reply = session::request(&context.env, Lock { home });
    answer(reply, "hfd is locked; `hfd unlock` ends that.", context)
}

pub(crate) fn unlock(arguments: &Unlocking, context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let passphrase = match arguments.with_passphrase {
        true => Some(stdin::passphrase()?),
        false if is_file_locked(context)? && !opens_by_itself(context)? => Some(ask(context)?),
        false => None,
    };
    let request = Unlock {
        passphrase,
        home,
        ..Unlock::default()
    };
    let reply = session::request(&context.env, request);
    answer(reply, "hfd is unlocked.", context)?;
    note_locked_keychain(context);
    Ok(())
}

/// Whether the encrypted file opens with what a service manager hands over, which needs nobody to be
/// asked. hfd itself stays as it is.
fn opens_by_itself(context: &Context) -> Result<bool, Failure> {
    let request = Unlock {
        store_only: true,
        ..Unlock::default()
    };
    session::request(&context.env, request)?;
    Ok(!is_file_locked(context)?)
}

/// It is another lock than hfd's, and not ours to open.
fn note_locked_keychain(context: &Context) {
    let status = session::request(&context.env, Status::default());
    let locked = status
        .is_ok_and(|status| status.lock == LockState::Keychain && status.store.id != StoreId::File);
    if locked {
        let note = "the keychain is locked still: unlock it in its own window";
        context.output.note(note);
    }
}

/// Opens the encrypted file where it takes a passphrase and there is somebody to ask, once after each start of the
/// daemon. Whether it did. While hfd itself is locked that is for `hfd unlock`.
pub(crate) fn open_file(context: &Context) -> Result<bool, Failure> {
    if !prompt::possible(context) {
        return Ok(false);
    }
    let status = session::request(&context.env, Status::default())?;
    if status.lock == LockState::Session || !is_file_locked(context)? {
        return Ok(false);
    }
    let request = Unlock {
        passphrase: Some(ask(context)?),
        store_only: true,
        ..Unlock::default()
    };
    session::request(&context.env, request)?;
    Ok(true)
}

fn is_file_locked(context: &Context) -> Result<bool, Failure> {
    let request = Stores {
        id: Some(StoreId::File),
        ..Stores::default()
    };
    let stores = session::ask(&context.env, request)?.stores;
    let mut file = stores.iter().filter(|store| store.id == StoreId::File);
    Ok(file.any(|file| {
        let by_passphrase = file.protection.as_ref().and_then(|word| word.known());
        file.state == StoreState::Locked && by_passphrase == Some(&Protection::Passphrase)
    }))
}

fn ask(context: &Context) -> Result<Passphrase, Failure> {
    if !prompt::possible(context) {
        return Err(
            Error::new(Kind::Locked, "the encrypted token file takes a passphrase")
                .hint("printf %s \"$PASSPHRASE\" | hfd unlock --with-passphrase")
                .into(),
        );
    }
    let typed = prompt::hidden("Passphrase of the encrypted token file (not shown): ")?;
    let refused = |why| Error::new(Kind::Usage, format!("{why}"));
    Ok(Passphrase::parse(&typed).map_err(refused)?)
}

fn answer(
    reply: Result<LockReply, Error>,
    sentence: &'static str,
    context: &Context,
) -> Result<(), Failure> {
    let reply = reply?;
    context.output.answer(&Turned {
        reply: &reply,
        sentence,
    })?;
    note_pending(&reply.pending, context);
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Turned<'a> {
    reply: &'a LockReply,
    #[serde(skip)]
    sentence: &'static str,
}

impl Answer for Turned<'_> {
    fn human(&self, page: &mut Page) {
        page.line(self.sentence);
    }
}
