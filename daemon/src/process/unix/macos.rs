//! macOS.

#![allow(
    unsafe_code,
    reason = "ptrace(2), and a posix_spawn(2) with Apple's flags, come from libc alone"
)]

use std::ffi::{CString, c_char, c_int, c_short};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt as _;
use std::ptr::null_mut;

use rustix::io::Errno;

use crate::process::Side;

/// Tells the process that [`detach`] starts that it is that one. It holds no more than `1`.
const STARTED: &str = "HFDD_DETACHED";

/// From Apple's `sys/spawn.h`; the crate libc has it not.
const POSIX_SPAWN_SETSID: c_int = 0x0400;

unsafe extern "C" {
    /// From Apple's `spawn.h`, since macOS 10.7; the crate libc has it not.
    fn posix_spawn_file_actions_addinherit_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        fd: c_int,
    ) -> c_int;
}

/// As Linux's prctl(2), but for debuggers alone; others need the system's leave anyway.
pub(super) fn deny_tracing() -> rustix::io::Result<()> {
    // SAFETY: this request takes no address.
    match unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, null_mut(), 0) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::PERM)),
    }
}

/// Starts this program again, in a session of its own, with standard output and no other descriptor of
/// the caller's. A fork alone will not do: the keychain is reached through Apple's frameworks, which must
/// not be used between a fork and an exec (TN2083, *Daemons and Agents*, "Fork Safety"), and there is no
/// call that closes what was inherited.
pub fn detach() -> io::Result<Side> {
    if std::env::var_os(STARTED).is_some() {
        rustix::process::chdir("/")?;
        return Ok(Side::Daemon);
    }
    // SAFETY: there is no other thread yet that could read the environment.
    unsafe { std::env::set_var(STARTED, "1") };
    let program = CString::new(std::env::current_exe()?.into_os_string().into_vec())?;
    let arguments = std::env::args_os().map(|argument| CString::new(argument.into_vec()));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    let (actions, attributes) = (Actions::new()?, Attributes::new()?);
    let mut argv: Vec<*mut c_char> = arguments
        .iter()
        .map(|argument| argument.as_ptr().cast_mut())
        .collect();
    argv.push(null_mut());
    // SAFETY: both strings and lists end in NUL and outlive the call, which writes to none of them;
    // nobody changes the environment meanwhile, and nothing is asked of the new process's id.
    done(unsafe {
        libc::posix_spawn(
            null_mut(),
            program.as_ptr(),
            &actions.0,
            &attributes.0,
            argv.as_ptr(),
            *libc::_NSGetEnviron(),
        )
    })?;
    Ok(Side::Parent)
}

/// Which descriptors the new process has.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: it only writes to what it is given.
        done(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: that has succeeded, so it is initialised.
        let mut actions = Self(unsafe { actions.assume_init() });
        for fd in [libc::STDIN_FILENO, libc::STDERR_FILENO] {
            // SAFETY: the actions are initialised, and the path, which ends in NUL, is copied.
            done(unsafe {
                libc::posix_spawn_file_actions_addopen(
                    &mut actions.0,
                    fd,
                    c"/dev/null".as_ptr(),
                    libc::O_RDWR,
                    0,
                )
            })?;
        }
        // SAFETY: the actions are initialised; std has seen to it that standard output is open.
        done(unsafe {
            posix_spawn_file_actions_addinherit_np(&mut actions.0, libc::STDOUT_FILENO)
        })?;
        Ok(actions)
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: they were initialised, and nobody uses them any more. It fails only where they were not.
        let _ = unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

/// What else the new process is: the leader of a session, with no descriptor but those of [`Actions`].
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: it only writes to what it is given.
        done(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: that has succeeded, so it is initialised.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        let flags = POSIX_SPAWN_SETSID | libc::POSIX_SPAWN_CLOEXEC_DEFAULT;
        // SAFETY: the attributes are initialised; both flags are among the lower 15 bits.
        done(unsafe { libc::posix_spawnattr_setflags(&mut attributes.0, flags as c_short) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they were initialised, and nobody uses them any more. It fails only where they were not.
        let _ = unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}

/// These calls return their error, and leave errno alone.
fn done(code: c_int) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
