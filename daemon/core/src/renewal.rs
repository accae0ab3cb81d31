//! When a token is renewed, and how long is waited after a failure.

use serde::{Deserialize, Serialize};

use crate::model::{Fingerprint, Record};

/// Days before the end of a token that lives for weeks: time for a machine that is switched off
/// over a weekend.
const LONGEST_MARGIN: i64 = 3 * 24 * 3600;

/// The first pause after a failure, in seconds.
const FIRST_PAUSE: i64 = 5;

/// The longest pause, in seconds.
const LONGEST_PAUSE: i64 = 3600;

/// A token that lives for less is a mistake of the Hub's: it is renewed no more often than that, in
/// seconds, so that nobody is asked without a pause.
const SHORTEST_LIFE: i64 = 5;
const LEAST_INTERVAL: i64 = 60;

/// What is known of a token's renewal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Renewal {
    /// The client that it was issued to; without one, huggingface_hub's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// When hfd first had this access token, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Whether the refresh token was ever in a file: another program may be about to use it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// The refresh token that was sent to the Hub, until its answer is stored. What is still here at
    /// start was cut off: the Hub may have replaced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<Fingerprint>,
    /// The refresh token that the Hub refused: only a login helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Fingerprint>,
}

impl Renewal {
    /// Whether nothing is known.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How long before its end a token is renewed, in seconds: three days, but at most a third of its
/// life. A life that is not known counts from `now`.
pub fn margin(record: &Record, now: i64) -> Option<i64> {
    let end = record.expires_at?;
    let life = end - record.renewal.since.unwrap_or(now);
    Some((life / 3).clamp(0, LONGEST_MARGIN))
}

/// When a token is to be renewed, in Unix seconds; `None` for one that cannot be, or that the Hub
/// refuses to. `jitter`, from 0 to 1, moves it by up to a tenth of the margin, so that the machines
/// of one person do not all come at once.
pub fn due(record: &Record, now: i64, jitter: f64) -> Option<i64> {
    let refresh = record.refresh?;
    if record.renewal.refused == Some(refresh) {
        return None;
    }
    let (end, margin) = (record.expires_at?, margin(record, now)?);
    match record.renewal.since {
        Some(since) if (0..SHORTEST_LIFE).contains(&(end - since)) => Some(since + LEAST_INTERVAL),
        _ => Some(end - margin + scaled(margin / 10, jitter)),
    }
}

/// The pause before the next attempt, in milliseconds, after so many `failures` (at least one) in a
/// row: doubled each time up to an hour. It is at most an eighth of the `margin`, so that a token is
/// tried several times before it ends; or of the time since it has `ended` (negative while it lives),
/// so that an outage does not last much longer for hfd than for the Hub, and a Hub that is gone for
/// good is left alone. `jitter`, from 0 to 1, takes up to half of it away.
pub fn pause(failures: u32, margin: i64, ended: i64, jitter: f64) -> i64 {
    let longest = (margin.max(ended) / 8).clamp(1, LONGEST_PAUSE);
    let doubled = FIRST_PAUSE << failures.saturating_sub(1).min(16);
    let pause = doubled.min(longest) * 1000;
    pause - scaled(pause / 2, jitter)
}

fn scaled(value: i64, by: f64) -> i64 {
    (value as f64 * by.clamp(0.0, 1.0)) as i64
}

#[cfg(test)]
mod tests {
    use hfd_proto::{Endpoint, Secret, StoreId, TokenKind};

    use super::*;
    use crate::model::Salt;

    const DAY: i64 = 24 * 3600;

    fn record(since: Option<i64>, expires_at: Option<i64>) -> Record {
        let print = |text| Salt([0; 16]).fingerprint(&Secret::parse(text).unwrap());
        let mut record = Record::new(
            Endpoint::default(),
            TokenKind::Oauth,
            StoreId::File,
            print("hf_a"),
        );
        record.refresh = Some(print("hf_r"));
        record.expires_at = expires_at;
        record.renewal.since = since;
        record
    }

    #[test]
    fn a_month_is_renewed_three_days_early_and_a_minute_and_a_half_thirty_seconds() {
        let due = |since, end| due(&record(since, Some(end)), 0, 0.0).unwrap();
        assert_eq!(due(Some(0), 30 * DAY), 27 * DAY);
        assert_eq!(due(Some(0), 90), 60);
        // Its life is not known: what is left counts.
        assert_eq!(due(None, 3 * DAY), 2 * DAY);
        assert_eq!(due(None, -5), -5);
        assert_eq!(due(Some(100), 50), 50);
    }

    #[test]
    fn jitter_is_a_tenth_of_the_margin() {
        let month = record(Some(0), Some(30 * DAY));
        assert_eq!(due(&month, 0, 1.0), Some(27 * DAY + 3 * DAY / 10));
    }

    #[test]
    fn what_cannot_be_renewed_is_never_due() {
        assert_eq!(due(&record(Some(0), None), 0, 0.0), None);
        let mut bare = record(Some(0), Some(90));
        bare.refresh = None;
        assert_eq!(due(&bare, 0, 0.0), None);
        let mut refused = record(Some(0), Some(90));
        refused.renewal.refused = refused.refresh;
        assert_eq!(due(&refused, 0, 0.0), None);
    }

    #[test]
    fn pauses_double_up_to_an_hour_or_an_eighth_of_the_margin() {
        let seconds = |failures, margin| pause(failures, margin, -1, 0.0) / 1000;
        assert_eq!(
            [1, 2, 3, 10, 11, 99].map(|failures| seconds(failures, 3 * DAY)),
            [5, 10, 20, 2560, 3600, 3600]
        );
        assert_eq!([1, 2, 3].map(|failures| seconds(failures, 30)), [3, 3, 3]);
        assert_eq!(seconds(1, 0), 1);
        assert_eq!(pause(1, 3 * DAY, -1, 1.0), 2500);
    }

    #[test]
    fn a_token_that_has_ended_is_tried_less_and_less_often() {
        // Of one that had ended before hfd saw it, no life is known.
        for margin in [0, 30] {
            let pause = |ended| pause(99, margin, ended, 0.0) / 1000;
            assert_eq!(
                [80, 800, 8 * 3600, DAY * 30].map(pause),
                [10, 100, 3600, 3600]
            );
        }
    }

    #[test]
    fn a_token_that_is_dead_when_it_comes_is_not_renewed_without_a_pause() {
        for life in 0..SHORTEST_LIFE {
            assert_eq!(
                due(&record(Some(100), Some(100 + life)), 100, 0.0),
                Some(160)
            );
        }
        assert_eq!(due(&record(Some(100), Some(106)), 100, 0.0), Some(104));
    }
}
