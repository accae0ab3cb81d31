use std::time::{Duration, Instant};

/// How long a condition may take to come true. Generous: it bounds a failure, not a success.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for what sends no message: the end of somebody else's process, a name on a bus.
///
/// # Panics
/// When it has not come true after thirty seconds, naming `what`.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}: not after {DEADLINE:?}");
        // The only sleep of the harness: too short to be felt, too long to load the machine.
        std::thread::sleep(Duration::from_millis(5));
    }
}
