//! What time it is, as far as it can be believed.
//!
//! The wall clock, as long as it goes as fast as the time that passes. After a jump, the time from
//! before goes on, until the Hub has said what time it is: a clock that somebody set wrong must not
//! end every session, nor keep one from being renewed.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::os::since_boot;

/// Differences up to this many seconds are how clocks are corrected, and how long a laptop takes to
/// fall asleep.
const TOLERANCE: i64 = 30;

/// The clock.
#[derive(Debug)]
pub struct Clock(Mutex<State>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    /// What was believed, in Unix seconds, and the time since boot then.
    wall: i64,
    boot: i64,
    /// Whether the wall clock says something else.
    jumped: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Self(Mutex::new(State {
            wall: wall(),
            boot: since_boot(),
            jumped: false,
        }))
    }
}

impl Clock {
    /// Unix seconds.
    pub fn now(&self) -> i64 {
        self.with(|state| state.look(wall(), since_boot()))
    }

    /// Whether somebody has set the wall clock, and nobody has said which time is right.
    pub fn jumped(&self) -> bool {
        self.with(|state| {
            state.look(wall(), since_boot());
            state.jumped
        })
    }

    /// The Hub said what time it is. It is believed where the wall clock cannot be.
    pub fn told(&self, date: i64) {
        self.with(|state| state.told(date, wall(), since_boot()));
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        // Nothing panics while it is held.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn look(&mut self, wall: i64, boot: i64) -> i64 {
        let expected = self.wall + (boot - self.boot);
        let agrees = (wall - expected).abs() <= TOLERANCE;
        if !agrees {
            if !self.jumped {
                tracing::warn!(by = wall - expected, "the clock was set");
            }
            self.jumped = true;
            return expected;
        }
        *self = Self {
            wall,
            boot,
            jumped: false,
        };
        wall
    }

    fn told(&mut self, date: i64, wall: i64, boot: i64) {
        if self.jumped {
            (self.wall, self.boot) = (date, boot);
        }
        self.look(wall, boot);
    }
}

/// Seconds since 1970, as the system says.
fn wall() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, boot: i64) -> State {
        State {
            wall,
            boot,
            jumped: false,
        }
    }

    #[test]
    fn sleep_and_small_corrections_are_no_jump() {
        let mut state = at(1000, 10);
        assert_eq!(state.look(1100, 110), 1100);
        assert_eq!(state.look(90_000, 89_020), 90_000);
        assert!(!state.jumped);
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
        assert!(state.jumped);
        assert_eq!(state.look(500_010, 30), 1020);
        // The Hub says that the clock was wrong before.
        state.told(500_011, 500_010, 30);
        assert!(!state.jumped);
        assert_eq!(state.look(500_020, 40), 500_020);
        // It says that the clock is wrong now.
        let mut state = at(1000, 10);
        state.look(500_000, 20);
        state.told(1015, 500_000, 20);
        assert!(state.jumped);
        assert_eq!(state.look(500_010, 30), 1025);
    }

    #[test]
    fn a_clock_that_is_set_back_right_is_believed_again() {
        let mut state = at(1000, 10);
        assert_eq!(state.look(5, 20), 1010);
        assert_eq!(state.look(1021, 30), 1021);
        assert!(!state.jumped);
    }

    #[test]
    fn while_the_clock_is_right_the_hub_is_not_asked_for_the_time() {
        let mut state = at(1000, 10);
        state.told(999_999, 1001, 11);
        assert_eq!(state, at(1001, 11));
    }
}
