//! What the process holds of the machine's memory, and gives back when it has nothing to do.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{give_back, share_heap};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    /// Other systems' allocators have no such setting.
    pub fn share_heap() {}

    /// Other systems take what they need.
    pub fn give_back() {}
}
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{give_back, share_heap};
