//! Points and spans of time for a person.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How long until a token ends, or since when it has: `in 3 days`, `in 3 days, renewed before`,
/// `ended 2 days ago`. Whole units, rounded down: nobody has less time than is said. `None` where the
/// moment is beyond every calendar.
pub(crate) fn expiry(expires_at: i64, renews: bool, now: i64) -> Option<String> {
    Timestamp::from_second(expires_at).ok()?;
    let left = expires_at.saturating_sub(now);
    let (count, unit) = match left.unsigned_abs() {
        0..60 => (0, "minute"),
        seconds @ 60..3_600 => (seconds / 60, "minute"),
        // Up to two days in hours: "in 1 day" may be tomorrow morning or the day after.
        seconds @ 3_600..172_800 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    let span = match count {
        0 => format!("less than a {unit}"),
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    };
    Some(match (left > 0, renews) {
        (true, true) => format!("in {span}, renewed before"),
        (true, false) => format!("in {span}"),
        (false, _) => format!("ended {span} ago"),
    })
}

/// A day, in the person's time zone.
pub(crate) fn day(moment: i64, zone: &TimeZone) -> String {
    let moment = Timestamp::from_second(moment).unwrap_or(Timestamp::MAX);
    zone.to_datetime(moment).date().to_string()
}

/// A time of day, in the person's time zone.
pub(crate) fn clock(moment: i64, zone: &TimeZone) -> String {
    let moment = Timestamp::from_second(moment).unwrap_or(Timestamp::MAX);
    zone.to_datetime(moment).strftime("%H:%M").to_string()
}

/// A minute, in the person's time zone.
pub(crate) fn minute(moment: i64, zone: &TimeZone) -> String {
    let moment = Timestamp::from_second(moment).unwrap_or(Timestamp::MAX);
    zone.to_datetime(moment)
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// Now, in Unix seconds.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A span of seconds in its one or two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        const NOW: i64 = 1_000_000;
        for (left, words) in [
            (i64::from(i32::MAX), "in 24855 days"),
            (259_200, "in 3 days"),
            (259_199, "in 2 days"),
            (172_800, "in 2 days"),
            (172_799, "in 47 hours"),
            (3_600, "in 1 hour"),
            (3_599, "in 59 minutes"),
            (60, "in 1 minute"),
            (1, "in less than a minute"),
            (0, "ended less than a minute ago"),
            (-119, "ended 1 minute ago"),
            (-7_200, "ended 2 hours ago"),
            (-172_800, "ended 2 days ago"),
        ] {
            assert_eq!(expiry(NOW + left, false, NOW).as_deref(), Some(words));
        }
        let renewed = expiry(NOW + 86_400, true, NOW);
        assert_eq!(renewed.as_deref(), Some("in 24 hours, renewed before"));
        let ended = expiry(NOW - 60, true, NOW);
        assert_eq!(ended.as_deref(), Some("ended 1 minute ago"));
        assert_eq!(expiry(i64::MAX, false, i64::MIN), None);
    }

    #[test]
    fn a_span_is_told_in_its_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_661, "1 h 1 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
