//! What time it is, as far as it can be believed.
//!
//! The wall clock, as long as it goes as fast as the time that passes. After a jump, the time from
//! before goes on, until the Hub has said what time it is. What the Hub says is believed in any case,
//! since the clock may have been wrong before the daemon started: one that somebody set wrong must not
//! end every session, nor keep one from being renewed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::os::since_boot;

/// Differences up to this many seconds are how clocks are corrected, and how long a laptop takes to
/// fall asleep.
const TOLERANCE: i64 = 30;

/// The clock.
#[derive(Debug)]
pub struct Clock {
    state: Mutex<State>,
    /// Whether the Hub has said what time it is since the daemon started.
    heard: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    /// What was believed, in Unix seconds, and the time since boot then.
    wall: i64,
    boot: i64,
    /// Whether the wall clock says something else.
    differs: bool,
    /// Whether the Hub has said which of the two is right.
    told: bool,
}

impl State {
    fn of(wall: i64, boot: i64) -> Self {
        Self {
            wall,
            boot,
            differs: false,
            told: false,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            state: Mutex::new(State::of(wall(), boot())),
            heard: AtomicBool::new(false),
        }
    }
}

impl Clock {
    /// Unix seconds.
    pub fn now(&self) -> i64 {
        self.with(|state| state.look(wall(), boot()))
    }

    /// Whether somebody has set the wall clock, and nobody has said which time is right.
    pub fn jumped(&self) -> bool {
        self.with(|state| {
            state.look(wall(), boot());
            state.differs && !state.told
        })
    }

    /// Whether the Hub has ever confirmed it. Somebody may have set the wall clock wrong before the
    /// daemon started.
    pub fn heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// The Hub said what time it is.
    pub fn told(&self, date: i64) {
        self.heard.store(true, Ordering::Relaxed);
        self.with(|state| state.told(date, wall(), boot()));
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        // Nothing panics while it is held.
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn look(&mut self, wall: i64, boot: i64) -> i64 {
        let expected = self.wall + (boot - self.boot);
        let agrees = (wall - expected).abs() <= TOLERANCE;
        if !agrees {
            if !self.differs {
                tracing::warn!(by = wall - expected, "the clock is wrong, or was");
                (self.differs, self.told) = (true, false);
            }
            return expected;
        }
        *self = Self::of(wall, boot);
        wall
    }

    fn told(&mut self, date: i64, wall: i64, boot: i64) {
        let believed = self.look(wall, boot);
        if (date - believed).abs() > TOLERANCE {
            (self.wall, self.boot) = (date, boot);
            self.look(wall, boot);
        }
        self.told = true;
    }
}

/// Seconds since 1970, as the system says.
fn wall() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

/// Seconds since the machine started, those asleep included.
pub(crate) fn boot() -> i64 {
    i64::try_from(since_boot().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, boot: i64) -> State {
        State::of(wall, boot)
    }

    fn jumped(state: State) -> bool {
        state.differs && !state.told
    }

    #[test]
    fn sleep_and_small_corrections_are_no_jump() {
        let mut state = at(1000, 10);
        assert_eq!(state.look(1100, 110), 1100);
        assert_eq!(state.look(90_000, 89_020), 90_000);
        assert!(!jumped(state));
        // A clock that goes wrong slowly is followed.
        for second in 1..100 {
            let wall = 90_000 + second * 11;
            assert_eq!(state.look(wall, 89_020 + second * 10), wall);
        }
    }

    #[test]
    fn after_a_jump_the_time_from_before_goes_on_until_the_hub_is_heard() {
        let mut state = at(1000, 10);
        assert_eq!(state.look(500_000, 20), 1010);
        assert!(jumped(state));
        assert_eq!(state.look(500_010, 30), 1020);
        // The Hub says that the clock was wrong before.
        state.told(500_011, 500_010, 30);
        assert!(!jumped(state));
        assert_eq!(state.look(500_020, 40), 500_020);
        // It says that the clock is wrong now.
        let mut state = at(1000, 10);
        state.look(500_000, 20);
        state.told(1015, 500_000, 20);
        // Known, and no reason to ask again.
        assert!(!jumped(state));
        assert_eq!(state.look(500_010, 30), 1020);
        assert_eq!(state.look(1035, 40), 1035);
    }

    #[test]
    fn a_clock_that_is_set_back_right_is_believed_again() {
        let mut state = at(1000, 10);
        assert_eq!(state.look(5, 20), 1010);
        assert_eq!(state.look(1021, 30), 1021);
        assert!(!jumped(state));
    }

    #[test]
    fn a_clock_that_was_wrong_when_the_daemon_started_is_not_believed_once_the_hub_is_heard() {
        let mut state = at(500_000, 10);
        state.told(1000, 500_001, 11);
        assert_eq!(state.look(500_002, 12), 1001);
        assert!(!jumped(state));
        // Set right, it is believed again.
        assert_eq!(state.look(1011, 22), 1011);
        assert_eq!(state, at(1011, 22));
    }

    #[test]
    fn a_small_difference_is_the_networks() {
        let mut state = at(1000, 10);
        state.told(1020, 1001, 11);
        assert_eq!(state.look(1002, 12), 1002);
    }
}
