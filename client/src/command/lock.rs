//! `hfd lock` and `hfd unlock`

use hfd_proto::{Error, Lock, LockReply, Unlock};
use serde::Serialize;

use super::note_pending;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, session};

pub(crate) fn lock(context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let reply = session::request(&context.env, Lock { home });
    answer(reply, "hfd is locked; `hfd unlock` ends that.", context)
}

pub(crate) fn unlock(context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let reply = session::request(&context.env, Unlock { home });
    answer(reply, "hfd is unlocked.", context)
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
