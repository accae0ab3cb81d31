//! Dialogs of the provider's own.
//!
//! We ask for none: lock states are read before anything that would raise one, and KWallet is asked to
//! unlock only what it has open. A provider may
//! still ask its user by itself (KeePassXC confirms deletions, and changes to items of others), or
//! be locked between two messages. secret-service then shows the dialog and waits for ever, without
//! telling where it is. So the answers that come in are watched for its path, and what is on the
//! screen when the deadline comes is taken off it.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use zbus::message::Type;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, Message, MessageStream};

/// The dialog that may be on the screen.
#[derive(Debug, Default)]
pub(super) struct Prompts(Mutex<Option<OwnedObjectPath>>);

impl Prompts {
    /// Runs `call`, which may raise a dialog, and remembers that dialog until it has ended.
    pub(super) async fn watch<T>(
        &self,
        connection: &Connection,
        call: impl Future<Output = T>,
    ) -> T {
        let mut replies = MessageStream::from(connection);
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                // Drained to the end: zbus stops reading when a queue is full.
                Some(reply) = replies.next() => {
                    if let Some(path) = reply.ok().as_ref().and_then(raised) {
                        tracing::debug!(%path, "the keychain asks its user");
                        self.set(Some(path));
                    }
                }
                outcome = &mut call => {
                    self.set(None);
                    return outcome;
                }
            }
        }
    }

    /// Takes the dialog off the screen. Does not wait for an answer: nobody is there to use it.
    pub(super) async fn dismiss(&self, connection: &Connection) {
        let Some(path) = self.set(None) else {
            return;
        };
        let message = Message::method_call(path.as_str(), "Dismiss")
            .and_then(|message| message.destination("org.freedesktop.secrets"))
            .and_then(|message| message.interface("org.freedesktop.Secret.Prompt"))
            .and_then(|message| message.with_flags(zbus::message::Flags::NoReplyExpected))
            .and_then(|message| message.build(&()));
        let sent = match message {
            Ok(message) => connection.send(&message).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) => tracing::info!("the keychain's question went unanswered and was withdrawn"),
            Err(error) => tracing::warn!("the keychain's question could not be withdrawn: {error}"),
        }
    }

    fn set(&self, path: Option<OwnedObjectPath>) -> Option<OwnedObjectPath> {
        // Held for one assignment, which does not panic.
        let mut prompt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut prompt, path)
    }
}

/// The dialog that an answer demands: `Item.Delete` answers with its path, `Collection.CreateItem`
/// with the item's and its path, `Service.Unlock` with those that are unlocked and its path; `/` is
/// none. No other call of ours has an answer of these types.
fn raised(reply: &Message) -> Option<OwnedObjectPath> {
    if reply.message_type() != Type::MethodReturn {
        return None;
    }
    let body = reply.body();
    let path: ObjectPath<'_> = match body.signature().to_string_no_parens().as_str() {
        "o" => body.deserialize().ok()?,
        "oo" => {
            body.deserialize::<(ObjectPath<'_>, ObjectPath<'_>)>()
                .ok()?
                .1
        }
        "aoo" => {
            body.deserialize::<(Vec<ObjectPath<'_>>, ObjectPath<'_>)>()
                .ok()?
                .1
        }
        _ => return None,
    };
    (path.as_str() != "/").then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply<B: serde::Serialize + zbus::zvariant::DynamicType>(body: &B) -> Message {
        let call = Message::method_call("/x", "Delete").unwrap();
        let call = call.sender(":1.1").unwrap().build(&()).unwrap();
        let reply = Message::method_return(&call.header()).unwrap();
        reply.build(body).unwrap()
    }

    fn path(text: &str) -> ObjectPath<'_> {
        ObjectPath::try_from(text).unwrap()
    }

    #[test]
    fn dialogs_are_found_in_answers() {
        let (none, dialog, item) = (path("/"), path("/p/1"), path("/i"));
        let found = |message: Message| raised(&message).map(|path| path.to_string());
        assert_eq!(found(reply(&dialog)).as_deref(), Some("/p/1"));
        assert_eq!(found(reply(&(&none, &dialog))).as_deref(), Some("/p/1"));
        let unlocking = (Vec::<ObjectPath<'_>>::new(), &dialog);
        assert_eq!(found(reply(&unlocking)).as_deref(), Some("/p/1"));
        assert_eq!(found(reply(&none)), None);
        assert_eq!(found(reply(&(&item, &none))), None);
        assert_eq!(found(reply(&"text")), None);
    }
}
