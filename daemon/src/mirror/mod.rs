//! The files of a mirror. Everything here runs on a thread of the mirror's own, because a file
//! system may hang; whoever waits for it does so with a deadline.

mod disk;
mod file;
mod inplace;
mod lease;
mod leftover;
mod lock;
mod observe;
mod place;
mod quiet;
#[cfg(target_os = "linux")]
pub mod runtime;
#[cfg(not(target_os = "linux"))]
#[path = "runtime_elsewhere.rs"]
pub mod runtime;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hfd_proto::Home;

pub use disk::{Disk, Waiting};
pub use file::Stamp;
pub use leftover::{Displaced, Leftovers, leftovers, lies_about};
pub use lock::Lock as Guard;
pub use observe::{
    NotSeen, Seen, Stamps, check_home, is_local, observe, stamps, with_another_name,
};
pub use quiet::{Directory, age, directory, surroundings};
pub use watch::{Noticed, Watch};
pub use write::{NewFiles, WriteError, Written, hold, write};

/// Threads for homes that are no mirrors, of which any request may name any.
#[derive(Debug, Default)]
pub struct Guests(Mutex<BTreeMap<Home, Arc<Disk>>>);

/// So many homes have a thread at a time.
const GUESTS: usize = 16;

impl Guests {
    /// Reads the files of a home. While as many file systems as there may be threads do not answer,
    /// the answer is [`Waiting`].
    pub async fn look(&self, home: Home) -> Result<Result<Seen, NotSeen>, Waiting> {
        let disk = self.disk(home)?;
        disk.run(None, observe).await
    }

    fn disk(&self, home: Home) -> Result<Arc<Disk>, Waiting> {
        // Nothing panics while it is held.
        let mut disks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(disk) = disks.get(&home) {
            return Ok(Arc::clone(disk));
        }
        if disks.len() == GUESTS {
            // Whichever nobody waits for: its thread ends, and another is soon started.
            disks.retain(|_, disk| disk.is_stuck() || Arc::strong_count(disk) > 1);
        }
        if disks.len() == GUESTS {
            return Err(Waiting::Disk);
        }
        let disk = Arc::new(Disk::new(home.clone()).map_err(|_| Waiting::Disk)?);
        disks.insert(home, Arc::clone(&disk));
        Ok(disk)
    }
}
