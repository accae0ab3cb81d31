//! Linux: fcntl(2), "Leases". A read lease is granted when no descriptor is open for writing, a write lease
//! when no other descriptor is open at all. Whoever opens the file while the lease stands waits until
//! it is given back, and only then truncates. Leases are local, and for the owner of the file.

#![allow(unsafe_code)] // fcntl(2): neither std nor rustix knows leases

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::{Kind, Refused};

/// Whether this system has them, though not every file system does.
pub(in crate::mirror) const EXIST: bool = true;

/// How long to wait before a refused lease is asked for again. Writers of these files close them
/// within microseconds.
const RETRY: Duration = Duration::from_millis(1);

/// A lease, given back when it is dropped.
#[derive(Debug)]
pub(in crate::mirror) struct Lease<'file> {
    descriptor: RawFd,
    kind: Kind,
    file: PhantomData<&'file File>,
}

/// Takes a lease, asking again until `deadline` while the file is open elsewhere. It is asked for at
/// least once.
pub(in crate::mirror) fn take(
    file: &File,
    kind: Kind,
    deadline: Instant,
) -> Result<Lease<'_>, Refused> {
    loop {
        match take_now(file, kind) {
            Err(Refused::Open) if Instant::now() < deadline => std::thread::sleep(RETRY),
            outcome => return outcome,
        }
    }
}

/// Takes one to read a file where others write it. Whoever comes to do so meanwhile waits.
pub(in crate::mirror) fn take_to_look(
    file: &File,
    deadline: Instant,
) -> Result<Lease<'_>, Refused> {
    take(file, Kind::Read, deadline)
}

fn take_now(file: &File, kind: Kind) -> Result<Lease<'_>, Refused> {
    let descriptor = file.as_raw_fd();
    let wanted = match kind {
        Kind::Read => libc::F_RDLCK,
        Kind::Write => libc::F_WRLCK,
    };
    // Who opens the file sends a signal to the holder. The one that the kernel chooses ends a
    // process; this one means nothing to a process that did not ask for it (signal(7)).
    let outcome = fcntl(descriptor, F_SETSIG, libc::SIGURG)
        .and_then(|_| fcntl(descriptor, libc::F_SETLEASE, wanted));
    match outcome {
        Ok(_) => Ok(Lease {
            descriptor,
            kind,
            file: PhantomData,
        }),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(Refused::Open),
        Err(_) => Err(Refused::Unsupported),
    }
}

impl Lease<'_> {
    /// Whether it still stands: not while somebody waits for the file.
    pub(in crate::mirror) fn stands(&self) -> bool {
        let wanted = match self.kind {
            Kind::Read => libc::F_RDLCK,
            Kind::Write => libc::F_WRLCK,
        };
        fcntl(self.descriptor, libc::F_GETLEASE, 0).is_ok_and(|lease| lease == wanted)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // Closing the file would give it back as well.
        drop(fcntl(self.descriptor, libc::F_SETLEASE, libc::F_UNLCK));
    }
}

/// From linux/fcntl.h; the libc crate lacks it.
const F_SETSIG: libc::c_int = 10;

fn fcntl(descriptor: RawFd, command: libc::c_int, argument: libc::c_int) -> io::Result<i32> {
    // SAFETY: these commands take a number and touch no memory, and the descriptor is open: `take`
    // borrows the file, and a lease keeps that borrow.
    match unsafe { libc::fcntl(descriptor, command, argument) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}
