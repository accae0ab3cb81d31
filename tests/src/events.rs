use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use hfd_proto::{Connection, Event, Watch};

/// Longer than any deadline of the daemon's, after which it settles things.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a daemon tells those who watch it, from the moment when this was made.
#[derive(Debug)]
pub struct Events {
    events: Receiver<Event>,
}

impl Events {
    /// Follows the daemon at the other end; it has begun to tell when this returns.
    pub(crate) fn of(mut daemon: Connection) -> Self {
        daemon
            .request(Watch::default())
            .expect("the daemon lets itself be watched");
        let (sender, events) = channel();
        thread::spawn(move || {
            while let Ok(Some(event)) = daemon.event() {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { events }
    }

    /// Waits for an event of one of these kinds, passing over others.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn wait_for(&self, kinds: &[&str]) -> Event {
        loop {
            let event = self.events.recv_timeout(PATIENCE);
            let event = event.unwrap_or_else(|_| panic!("none of {kinds:?} happened"));
            if kinds.contains(&event.event.as_str()) {
                return event;
            }
        }
    }
}
