//! Windows sends the console's interrupts to all, and nothing else.

use std::io;
use std::process::Child;

use crate::os::{Interrupts, Together};

/// What could end this process before the child.
#[derive(Debug)]
pub(in crate::live) struct Signals {
    _interrupts: Interrupts,
}

impl Signals {
    /// Leaves them to the child from now on.
    pub(in crate::live) fn catch() -> io::Result<Self> {
        Ok(Self {
            _interrupts: Interrupts::leave_to_the_child()?,
        })
    }

    /// Waits until the child ends; its exit status.
    pub(in crate::live) fn until_end(self, child: &mut Child) -> io::Result<i32> {
        let _together = Together::with(child);
        Ok(child.wait()?.code().unwrap_or(1))
    }
}
