//! Who may read and write a file of Windows, or in a directory, as its access control list says (MS-DTYP 2.4.2 to
//! 2.4.5). It is a rule about bytes, so that it is tested on every system.

/// An entry that allows something. What others deny is not looked at: whom they take something from may have
/// it all the same, by another group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// To whom: a security identifier as text, such as `S-1-1-0`.
    pub sid: String,
    /// What (`ACCESS_MASK`).
    pub mask: u32,
    /// Where: there, or in what is made there (`AceFlags`).
    pub flags: u8,
}

/// The SIDs that may do everything anyway: the system, and the group of administrators.
const SYSTEM: [&str; 2] = ["S-1-5-18", "S-1-5-32-544"];

/// Whoever the owner is.
const OWNER_RIGHTS: &str = "S-1-3-4";

/// In an entry that is only inherited, whoever makes something there.
const CREATOR_OWNER: &str = "S-1-3-0";

/// Files inherit it; directories too.
const OBJECT_INHERIT: u8 = 0x01;
/// It does not hold where it stands.
const INHERIT_ONLY: u8 = 0x08;

/// Making a file or a directory, removing what is there, changing who may and whose it is, and the generic rights
/// that have these in them. Of a file, the first two are writing and appending.
const WRITES: u32 = 0x2 | 0x4 | 0x40 | 0x4_0000 | 0x8_0000 | 0x4000_0000 | 0x1000_0000;

/// Reading what is in a file, and the generic rights that have it in them.
const READS: u32 = 0x1 | 0x8000_0000 | 0x1000_0000;

/// Removing the file itself.
const DELETE: u32 = 0x1_0000;

impl Entry {
    fn writes(&self) -> bool {
        let here = self.flags & INHERIT_ONLY == 0 && self.mask & WRITES != 0;
        let in_files = self.flags & OBJECT_INHERIT != 0 && self.mask & (WRITES | DELETE) != 0;
        here || in_files
    }

    fn reads(&self) -> bool {
        self.flags & INHERIT_ONLY == 0 && self.mask & READS != 0
    }

    fn is_of_others(&self, own: &str) -> bool {
        let inherited = self.flags & INHERIT_ONLY != 0;
        !(self.sid == own
            || SYSTEM.contains(&self.sid.as_str())
            || self.sid == OWNER_RIGHTS
            || (self.sid == CREATOR_OWNER && inherited))
    }
}

/// Who else may write in a directory of the person whose SID is `own`, or in the files that are made there, beside
/// the system itself.
pub fn other_writer<'a>(entries: &'a [Entry], own: &str) -> Option<&'a str> {
    let mut others = entries.iter().filter(|entry| entry.is_of_others(own));
    others
        .find(|entry| entry.writes())
        .map(|entry| entry.sid.as_str())
}

/// Who else may read or write a file of the person whose SID is `own`, beside the system itself.
pub fn other_user<'a>(entries: &'a [Entry], own: &str) -> Option<&'a str> {
    let mut others = entries.iter().filter(|entry| entry.is_of_others(own));
    others
        .find(|entry| entry.reads() || entry.writes())
        .map(|entry| entry.sid.as_str())
}

/// The entries of an access control list (`ACL`) that allow something; `None` for what is none, or has an entry of
/// a kind that no file has.
pub fn entries(acl: &[u8]) -> Option<Vec<Entry>> {
    let count = u16::from_le_bytes(*acl.get(4..)?.first_chunk()?);
    let mut rest = acl.get(8..)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let [kind, flags, length @ ..] = *rest.first_chunk::<4>()?;
        let (entry, after) = rest.split_at_checked(u16::from_le_bytes(length).into())?;
        rest = after;
        let (mask, sid) = entry.get(4..)?.split_first_chunk()?;
        match kind {
            // ACCESS_ALLOWED_ACE and ACCESS_ALLOWED_CALLBACK_ACE, which holds under a condition.
            0 | 9 => entries.push(Entry {
                sid: text(sid)?,
                mask: u32::from_le_bytes(*mask),
                flags,
            }),
            // ACCESS_DENIED_ACE and ACCESS_DENIED_CALLBACK_ACE.
            1 | 10 => {}
            _ => return None,
        }
    }
    Some(entries)
}

/// A SID as text; more may follow it.
fn text(sid: &[u8]) -> Option<String> {
    let ([revision, count, authority @ ..], rest) = sid.split_first_chunk::<8>()?;
    let authority = authority
        .iter()
        .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let mut text = format!("S-{revision}-{authority}");
    let parts = rest.get(..4 * usize::from(*count))?;
    for part in parts.as_chunks().0 {
        text += &format!("-{}", u32::from_le_bytes(*part));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "S-1-5-21-1004336348-1177238915-682003330-512";
    const OTHER: &str = "S-1-5-21-1004336348-1177238915-682003330-1001";
    const EVERYONE: &str = "S-1-1-0";
    const AUTHENTICATED: &str = "S-1-5-11";
    const USERS: &str = "S-1-5-32-545";

    // What Explorer calls them.
    const FULL: u32 = 0x1f_01ff;
    const MODIFY: u32 = 0x13_01bf;
    const READ: u32 = 0x12_00a9;
    const ALL: u32 = 0x1000_0000;

    /// (OI)(CI)
    const INHERITED: u8 = 0x03;
    /// (OI)(CI)(IO)
    const ONLY_INHERITED: u8 = 0x0b;
    /// (CI)(IO)
    const ONLY_DIRECTORIES: u8 = 0x0a;

    fn entry(sid: &str, mask: u32, flags: u8) -> Entry {
        Entry {
            sid: sid.to_owned(),
            mask,
            flags,
        }
    }

    /// What a directory in a profile has.
    fn profile() -> Vec<Entry> {
        vec![
            entry("S-1-5-18", FULL, INHERITED | 0x10),
            entry("S-1-5-32-544", FULL, INHERITED | 0x10),
            entry(ME, FULL, INHERITED | 0x10),
        ]
    }

    #[test]
    fn a_directory_is_ours_alone_where_nobody_else_may_write() {
        assert_eq!(other_writer(&[], ME), None);
        assert_eq!(other_writer(&profile(), ME), None);
        for (sid, mask, flags, is_other) in [
            (EVERYONE, READ, INHERITED, false),
            (USERS, READ, 0, false),
            ("S-1-15-2-1", READ, INHERITED, false),
            (EVERYONE, FULL, 0, true),
            (EVERYONE, 0x2, 0, true),
            (USERS, 0x4, 0, true),
            (AUTHENTICATED, MODIFY, INHERITED, true),
            (OTHER, 0x40, 0, true),
            (OTHER, 0x4_0000, 0, true),
            (OTHER, 0x8_0000, 0, true),
            (OTHER, 0x4000_0000, 0, true),
            (OTHER, ALL, 0, true),
            // Attributes, and the directory itself.
            (OTHER, 0x110, 0, false),
            (OTHER, DELETE, 0, false),
            // Files that are made there can be written, or removed.
            (AUTHENTICATED, ALL, ONLY_INHERITED, true),
            (AUTHENTICATED, DELETE, ONLY_INHERITED, true),
            (AUTHENTICATED, 0x2, 0x09, true),
            (AUTHENTICATED, MODIFY, ONLY_DIRECTORIES, false),
            // Whoever makes something there, which is this person alone.
            (CREATOR_OWNER, ALL, ONLY_INHERITED, false),
            (CREATOR_OWNER, FULL, INHERITED, true),
            ("S-1-3-1", ALL, ONLY_INHERITED, true),
            (OWNER_RIGHTS, FULL, INHERITED, false),
            ("S-1-5-18", FULL, 0, false),
            ("S-1-5-19", FULL, 0, true),
            ("S-1-5-32-544", ALL, ONLY_INHERITED, false),
            // Not the same person before Windows was installed again.
            ("S-1-5-21-1-2-3-1001", FULL, INHERITED, true),
        ] {
            for at in 0..=3 {
                let mut entries = profile();
                entries.insert(at, entry(sid, mask, flags));
                let expected = is_other.then_some(sid);
                assert_eq!(
                    other_writer(&entries, ME),
                    expected,
                    "{sid} {mask:#x} {flags:#x}"
                );
            }
        }
    }

    #[test]
    fn a_file_is_ours_alone_where_nobody_else_may_read_it_either() {
        assert_eq!(other_user(&profile(), ME), None);
        for (sid, mask, is_other) in [
            (EVERYONE, READ, true),
            (USERS, 0x1, true),
            ("S-1-15-2-1", 0x8000_0000, true),
            (OTHER, ALL, true),
            (OTHER, 0x2, true),
            // Whoever may change who may.
            (OTHER, 0x4_0000, true),
            // Attributes, and who may.
            (EVERYONE, 0x2_0080, false),
            ("S-1-5-18", FULL, false),
            (OWNER_RIGHTS, READ, false),
        ] {
            let mut entries = profile();
            entries.push(entry(sid, mask, 0));
            let expected = is_other.then_some(sid);
            assert_eq!(other_user(&entries, ME), expected, "{sid} {mask:#x}");
        }
    }

    #[test]
    fn nobody_is_this_person_whose_sid_is_not_known() {
        assert_eq!(other_writer(&profile(), "unknown"), Some(ME));
    }

    fn sid(authority: u8, parts: &[u32]) -> Vec<u8> {
        let mut bytes = vec![1, parts.len() as u8, 0, 0, 0, 0, 0, authority];
        bytes.extend(parts.iter().flat_map(|part| part.to_le_bytes()));
        bytes
    }

    fn ace(kind: u8, flags: u8, mask: u32, who: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, flags];
        bytes.extend((8 + who.len() as u16).to_le_bytes());
        bytes.extend(mask.to_le_bytes());
        bytes.extend(who);
        bytes
    }

    fn acl(aces: &[Vec<u8>]) -> Vec<u8> {
        let length = 8 + aces.iter().map(Vec::len).sum::<usize>() as u16;
        let mut bytes = vec![2, 0];
        bytes.extend(length.to_le_bytes());
        bytes.extend((aces.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(aces.concat());
        bytes
    }

    #[test]
    fn a_list_is_read_and_what_it_denies_left_out() {
        let me = sid(5, &[21, 1_004_336_348, 1_177_238_915, 682_003_330, 512]);
        let list = acl(&[
            ace(1, 0, FULL, &sid(1, &[0])),
            ace(0, INHERITED, FULL, &me),
            // With a condition behind the SID.
            ace(9, 0, READ, &[sid(5, &[32, 545]), b"artx".to_vec()].concat()),
            ace(10, 0, READ, &sid(5, &[11])),
        ]);
        let expected = [entry(ME, FULL, INHERITED), entry(USERS, READ, 0)];
        assert_eq!(entries(&list).unwrap(), expected);
        assert_eq!(entries(&acl(&[])), Some(vec![]));
    }

    #[test]
    fn what_is_cut_or_of_another_kind_is_no_list() {
        let list = acl(&[ace(0, 0, FULL, &sid(5, &[32, 545]))]);
        for end in 0..list.len() {
            assert_eq!(entries(&list[..end]), None, "{end}");
        }
        for kind in [2, 4, 5, 11, 17, 255] {
            assert_eq!(entries(&acl(&[ace(kind, 0, FULL, &sid(1, &[0]))])), None);
        }
        // A length that reaches into its own head, or a SID beyond its entry.
        for length in [0, 3, 7, 11, 15, 19] {
            let mut list = list.clone();
            list[10] = length;
            assert_eq!(entries(&list), None, "{length}");
        }
    }
}
