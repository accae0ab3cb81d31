//! Linux.

#![allow(unsafe_code)] // mallopt(3), malloc_trim(3) and madvise(2)

use std::fs;
use std::io;

/// Has all threads share one heap. Threads of their own are there to wait for slow disks, not to
/// allocate at the same time, and a heap of its own costs each of them memory that stays. To be
/// called before there is a second thread.
#[cfg(target_env = "gnu")]
pub fn share_heap() {
    // SAFETY: no other thread exists that could allocate meanwhile.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Other allocators have no such setting.
#[cfg(not(target_env = "gnu"))]
pub fn share_heap() {}

/// Gives back free heap, and the pages of code that were mapped for what was done last (the start, a
/// handshake with the Hub, a crowd of clients). The code stays in the page cache, from where what is
/// used again comes back within microseconds.
pub fn give_back() {
    trim_heap();
    if let Err(error) = unmap_code() {
        tracing::debug!(%error, "cannot give back the pages of code");
    }
}

#[cfg(target_env = "gnu")]
fn trim_heap() {
    // SAFETY: it takes the allocator's own locks, and only returns pages that hold nothing.
    let _ = unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn trim_heap() {}

fn unmap_code() -> io::Result<()> {
    for (start, length) in clean_files(&fs::read_to_string("/proc/self/smaps")?) {
        // SAFETY: the range was one mapping of a file, read-only and without a page of our own, a
        // moment ago. Nothing here maps or unmaps libraries, so it still is one: its pages come back
        // from the file when they are next touched.
        let done =
            unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Start and length of the mappings of files, as smaps of proc(5) shows them, that cannot be written
/// and hold no page of the process's own (which relocations leave in what is read-only later).
fn clean_files(smaps: &str) -> Vec<(usize, usize)> {
    let mut clean = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if let Some(mapping) = file_mapping(line) {
            current = mapping;
        } else if let Some(size) = line.strip_prefix("Anonymous:")
            && let Some(mapping) = current.take()
            && size.trim() == "0 kB"
        {
            clean.push(mapping);
        }
    }
    clean
}

/// The header line of a mapping: `Some(None)` for one that is to be left alone, `None` for a line
/// that is no header.
fn file_mapping(line: &str) -> Option<Option<(usize, usize)>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let read_only = words.next()?.starts_with("r-");
    let of_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
    Some((read_only && of_file).then(|| (start, end - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0c0000000-55d0c0010000 r--p 00000000 fe:00 12 /usr/bin/hfdd
Size:                 64 kB
Anonymous:             0 kB
55d0c0010000-55d0c0300000 r-xp 00010000 fe:00 12 /usr/bin/hfdd
Anonymous:             0 kB
55d0c0300000-55d0c0320000 r--p 00300000 fe:00 12 /usr/bin/hfdd
Anonymous:           120 kB
55d0c0320000-55d0c0330000 rw-p 00320000 fe:00 12 /usr/bin/hfdd
Anonymous:             0 kB
7f0000000000-7f0000010000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";

    #[test]
    fn only_what_the_file_still_holds_is_given_back() {
        let expected = vec![(0x55d0_c000_0000, 0x1_0000), (0x55d0_c001_0000, 0x2f_0000)];
        assert_eq!(clean_files(SMAPS), expected);
    }

    #[test]
    fn this_process_goes_on_after_it() {
        give_back();
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!clean_files(&smaps).is_empty());
    }
}
