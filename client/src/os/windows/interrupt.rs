//! Ctrl-C, which a console tells on a thread of its own.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// With which hfd ends the second time.
static STATUS: AtomicU8 = AtomicU8::new(1);

/// Becomes true when hfd is asked to end; a second time ends it on the spot, with this status.
pub(crate) fn hear_interruptions(status: u8) -> io::Result<Arc<AtomicBool>> {
    STATUS.store(status, Ordering::Relaxed);
    // SAFETY: the handler is a function, which stays.
    match unsafe { SetConsoleCtrlHandler(Some(hear), 1) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(Arc::clone(&INTERRUPTED)),
    }
}

/// Whether an event needs no more to be done. At the end of a session, or of its console, hfd ends.
unsafe extern "system" fn hear(event: u32) -> i32 {
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        return 0;
    }
    if INTERRUPTED.swap(true, Ordering::Relaxed) {
        std::process::exit(STATUS.load(Ordering::Relaxed).into());
    }
    1
}
