//! What the service manager that runs this process is told.

#[cfg(target_os = "linux")]
mod systemd;
#[cfg(target_os = "linux")]
pub use systemd::Manager;

#[cfg(not(target_os = "linux"))]
mod silent;
#[cfg(not(target_os = "linux"))]
pub use silent::Manager;

/// It serves: what waits for it may go on.
pub const READY: &str = "READY=1";

/// It has begun to leave.
pub const STOPPING: &str = "STOPPING=1";
