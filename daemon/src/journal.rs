//! The index on disk: a snapshot and an append-only journal beside it.
//!
//! A change that involves the store is written down as an intent first. If the daemon dies, or the
//! store does not answer in time, the intent is still there, and what came of it is read back.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hfd_core::model::{Change, Fingerprint, Index, Salt};
use hfd_proto::os::{Own, open_own};
use hfd_proto::{Endpoint, StoreId, TokenName};
use serde::{Deserialize, Serialize};

use crate::lock::same_file;
use crate::os;
use crate::store::{Key, Part};

/// The journal is folded into the snapshot when it exceeds this: reading it back at start then
/// stays in the low milliseconds.
const FOLD_AT: u64 = 512 * 1024;

/// A change of store and index that belongs together. Once all `puts` are there it is completed
/// (deletes, then changes); if they are not, it never happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Its number in the journal.
    pub id: u64,
    /// Items to be written, with the fingerprint of each value. The values themselves are nowhere.
    pub puts: Vec<(Item, Fingerprint)>,
    /// Items to be deleted afterwards.
    pub deletes: Vec<Item>,
    /// What the index then says.
    pub changes: Vec<Change>,
}

/// An item of a store, as the journal names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Which store.
    pub store: StoreId,
    /// The token's Hub.
    pub endpoint: Endpoint,
    /// The token's name.
    pub name: TokenName,
    /// Whether it is the refresh token.
    #[serde(default)]
    pub refresh: bool,
    /// For one that is kept for `hfd restore`, what tells it apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
}

impl Item {
    /// The key of the item in its store.
    pub fn key(&self) -> Key {
        Key {
            endpoint: self.endpoint.clone(),
            name: self.name.clone(),
            part: match (self.kept, self.refresh) {
                (None, false) => Part::Access,
                (None, true) => Part::Refresh,
                (Some(number), false) => Part::KeptAccess(number),
                (Some(number), true) => Part::KeptRefresh(number),
            },
        }
    }
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Lines that the snapshot already contains are skipped.
    seq: u64,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Entry {
    /// It is about to be done.
    Intent(Transaction),
    /// It was done.
    Done(u64),
    /// It was found not to have happened.
    Undone(u64),
    /// Changes that need no store.
    Changes(Vec<Change>),
}

/// The snapshot file.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    /// Of this format.
    version: u32,
    /// The last line it contains.
    seq: u64,
    /// Whether the keychain was searched for tokens that an earlier index knew.
    complete: bool,
    index: Index,
    unsettled: Vec<Transaction>,
}

const VERSION: u32 = 1;

/// The index with its files.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
    length: u64,
    seq: u64,
    /// What is known; shared with the readers of the last published state.
    pub index: Arc<Index>,
    /// Intents whose outcome is not known yet, oldest first.
    pub unsettled: Vec<Transaction>,
    /// False until the stores were searched once for tokens that this index has never heard of.
    pub complete: bool,
}

impl Journal {
    /// Opens the index in `directory`, or begins a new one with `salt`.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the snapshot is not one of ours: it is then left
    /// alone, and the message says which to move away.
    pub fn open(directory: &Path, salt: Salt) -> io::Result<Self> {
        let snapshot = read_snapshot(&directory.join("index.json"))?;
        let path = directory.join("journal");
        let mut file = open_own(&path, Own::Appended)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let fresh = snapshot.is_none();
        let snapshot = snapshot.unwrap_or(Snapshot {
            version: VERSION,
            seq: 0,
            complete: false,
            index: Index::new(salt),
            unsettled: Vec::new(),
        });
        let mut journal = Self {
            directory: directory.to_owned(),
            file,
            length: 0,
            seq: snapshot.seq,
            index: Arc::new(snapshot.index),
            unsettled: snapshot.unsettled,
            complete: snapshot.complete,
        };
        journal.replay(&content)?;
        if fresh {
            // The salt must be the same ever after.
            journal.fold()?;
        }
        Ok(journal)
    }

    /// Replays the lines; a last one that was cut by a crash is cut off. A whole line that is none of
    /// ours is an error: what follows it must not be lost because this version does not know it.
    fn replay(&mut self, content: &[u8]) -> io::Result<()> {
        let mut good = 0;
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            let line_: Line = serde_json::from_slice(line).map_err(|error| {
                let path = self.directory.join("journal");
                damaged(&path, &format!("damaged, or of a newer hfd ({error})"))
            })?;
            good += line.len() as u64;
            if line_.seq > self.seq {
                self.seq = line_.seq;
                self.take(line_.entry);
            }
        }
        if good < content.len() as u64 {
            tracing::warn!(
                at = good,
                of = content.len(),
                "the journal ends in a torn line"
            );
            self.cut(good)?;
        }
        self.length = good;
        Ok(())
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Intent(transaction) => self.unsettled.push(transaction),
            Entry::Undone(id) => self.unsettled.retain(|transaction| transaction.id != id),
            Entry::Done(id) => {
                if let Some(at) = self.unsettled.iter().position(|known| known.id == id) {
                    let transaction = self.unsettled.remove(at);
                    self.apply(transaction.changes);
                }
            }
            Entry::Changes(changes) => self.apply(changes),
        }
    }

    fn apply(&mut self, changes: Vec<Change>) {
        let index = Arc::make_mut(&mut self.index);
        changes.into_iter().for_each(|change| index.apply(change));
    }

    /// Writes an intent down, durably, before anything of it is done. Returns its id.
    pub fn intend(
        &mut self,
        puts: Vec<(Item, Fingerprint)>,
        deletes: Vec<Item>,
        changes: Vec<Change>,
    ) -> io::Result<u64> {
        let id = self.seq + 1;
        self.append(
            Entry::Intent(Transaction {
                id,
                puts,
                deletes,
                changes,
            }),
            true,
        )?;
        Ok(id)
    }

    /// The transaction was done. Needs no flush: if this line is lost, the store says the same.
    pub fn done(&mut self, id: u64) -> io::Result<()> {
        self.append(Entry::Done(id), false)
    }

    /// The transaction did not happen.
    pub fn undone(&mut self, id: u64) -> io::Result<()> {
        self.append(Entry::Undone(id), false)
    }

    /// Changes that need no store. `durable` for what a person asked for.
    pub fn change(&mut self, changes: Vec<Change>, durable: bool) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.append(Entry::Changes(changes), durable)
    }

    /// The stores were searched.
    pub fn completed(&mut self) -> io::Result<()> {
        self.complete = true;
        self.fold()
    }

    /// Whether both files are where they belong, and the ones that are written.
    pub fn is_there(&self) -> bool {
        let snapshot = self.directory.join("index.json");
        snapshot.is_file() && same_file(&self.file, &self.directory.join("journal"))
    }

    /// Writes both files anew, whatever has become of them.
    pub fn write_anew(&mut self) -> io::Result<()> {
        if !self.is_there() {
            self.file = open_own(&self.directory.join("journal"), Own::Appended)?;
        }
        self.fold()
    }

    fn append(&mut self, entry: Entry, durable: bool) -> io::Result<()> {
        let line = Line {
            seq: self.seq + 1,
            entry,
        };
        let mut bytes = Vec::with_capacity(512);
        hfd_proto::encode(&line, &mut bytes);
        if let Err(error) = self.file.write_all(&bytes) {
            // A full disk may have taken half of the line; the next one must not follow it.
            self.cut(self.length)?;
            return Err(error);
        }
        if durable && let Err(error) = self.file.sync_data() {
            self.cut(self.length)?;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.seq = line.seq;
        self.take(line.entry);
        if self.length > FOLD_AT
            && let Err(error) = self.fold()
        {
            // The change is in the journal, which is only longer than we like.
            tracing::warn!(%error, "cannot fold the journal into the index");
        }
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        os::cut(&self.file, &self.directory.join("journal"), length)
    }

    /// Writes the snapshot and empties the journal. A crash in between replays lines that the
    /// snapshot's `seq` then skips.
    fn fold(&mut self) -> io::Result<()> {
        #[derive(Serialize)]
        struct Borrowed<'a> {
            version: u32,
            seq: u64,
            complete: bool,
            index: &'a Index,
            unsettled: &'a [Transaction],
        }
        let snapshot = Borrowed {
            version: VERSION,
            seq: self.seq,
            complete: self.complete,
            index: &self.index,
            unsettled: &self.unsettled,
        };
        let bytes = serde_json::to_vec(&snapshot)?;
        let (temporary, target) = (
            self.directory.join("index.json.new"),
            self.directory.join("index.json"),
        );
        let mut file = open_own(&temporary, Own::Emptied)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        std::fs::rename(&temporary, &target)?;
        os::flush_directory(&self.directory)?;
        self.cut(0)?;
        self.length = 0;
        Ok(())
    }
}

fn read_snapshot(path: &Path) -> io::Result<Option<Snapshot>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let foreign = |why: String| damaged(path, &why);
    let snapshot: Snapshot =
        serde_json::from_slice(&bytes).map_err(|error| foreign(format!("damaged ({error})")))?;
    if snapshot.version != VERSION {
        return Err(foreign(format!(
            "of format {}, not {VERSION}",
            snapshot.version
        )));
    }
    Ok(Some(snapshot))
}

fn damaged(path: &Path, why: &str) -> io::Error {
    let text = format!("{} is {why}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use hfd_core::model::Record;
    use hfd_proto::{Secret, TokenKind};

    use super::*;

    const SALT: Salt = Salt([7; 16]);

    fn name(text: &str) -> TokenName {
        TokenName::parse(text).unwrap()
    }

    fn put(text: &str) -> Change {
        let access = SALT.fingerprint(&Secret::parse(text).unwrap());
        Change::Put {
            name: name(text),
            record: Record::new(
                Endpoint::default(),
                TokenKind::AccessToken,
                StoreId::File,
                access,
            ),
        }
    }

    #[test]
    fn what_was_changed_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), SALT).unwrap();
        journal.change(vec![put("a")], true).unwrap();
        let id = journal.intend(vec![], vec![], vec![put("b")]).unwrap();
        let again = Journal::open(dir.path(), Salt([9; 16])).unwrap();
        assert_eq!(again.index.salt, SALT, "the salt is kept");
        assert_eq!(again.index.tokens.len(), 1);
        assert_eq!(again.unsettled.len(), 1);
        journal.done(id).unwrap();
        let again = Journal::open(dir.path(), SALT).unwrap();
        assert_eq!(again.index, journal.index);
        assert_eq!(again.index.tokens.len(), 2);
        assert!(again.unsettled.is_empty());
    }

    #[test]
    fn a_cut_at_any_byte_shows_the_old_state_or_the_new() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), SALT).unwrap();
        journal.change(vec![put("a")], true).unwrap();
        let one = std::fs::read(dir.path().join("journal")).unwrap().len();
        journal.change(vec![put("b")], true).unwrap();
        let whole = std::fs::read(dir.path().join("journal")).unwrap();
        for cut in one..=whole.len() {
            std::fs::write(dir.path().join("journal"), &whole[..cut]).unwrap();
            let mut again = Journal::open(dir.path(), SALT).unwrap();
            let expected = if cut == whole.len() { 2 } else { 1 };
            assert_eq!(again.index.tokens.len(), expected, "cut at {cut}");
            again.change(vec![put("c")], true).unwrap();
            let last = Journal::open(dir.path(), SALT).unwrap();
            assert_eq!(last.index.tokens.len(), expected + 1, "cut at {cut}");
        }
    }

    #[test]
    fn a_fold_that_was_interrupted_replays_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), SALT).unwrap();
        journal.change(vec![put("a")], true).unwrap();
        journal
            .change(
                vec![
                    Change::Rename {
                        old: name("a"),
                        new: name("b"),
                    },
                    put("a"),
                ],
                true,
            )
            .unwrap();
        let lines = std::fs::read(dir.path().join("journal")).unwrap();
        journal.fold().unwrap();
        // The crash came after the rename and before the journal was emptied.
        std::fs::write(dir.path().join("journal"), lines).unwrap();
        let again = Journal::open(dir.path(), SALT).unwrap();
        assert_eq!(again.index, journal.index);
    }

    #[test]
    fn a_line_of_a_newer_version_is_an_error_and_nothing_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), SALT).unwrap();
        journal.change(vec![put("a")], true).unwrap();
        let path = dir.path().join("journal");
        let mut lines = b"{\"seq\":1,\"from-2030\":1}\n".to_vec();
        lines.extend(std::fs::read(&path).unwrap());
        std::fs::write(&path, &lines).unwrap();
        assert!(Journal::open(dir.path(), SALT).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), lines);
    }

    #[test]
    fn a_damaged_index_is_an_error_and_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.json"), b"{").unwrap();
        let error = Journal::open(dir.path(), SALT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("damaged"), "{error}");
        assert_eq!(std::fs::read(dir.path().join("index.json")).unwrap(), b"{");
    }
}
