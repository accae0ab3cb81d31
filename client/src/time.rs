//! Points and spans of time for a person.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The day on which something ends, in the person's time zone, as `hf auth list` shows it.
/// `expires_at` and `now` are Unix seconds.
pub(crate) fn expiry(expires_at: i64, now: i64, zone: &TimeZone) -> String {
    let Ok(moment) = Timestamp::from_second(expires_at) else {
        return "never".to_owned();
    };
    let day = zone.to_datetime(moment).date();
    if expires_at <= now {
        format!("{day} (expired)")
    } else {
        day.to_string()
    }
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
    fn an_expiry_is_a_day_and_says_when_it_is_past() {
        let zone = TimeZone::UTC;
        assert_eq!(expiry(1_798_044_463, 0, &zone), "2026-12-23");
        assert_eq!(
            expiry(1_798_044_463, 1_798_044_463, &zone),
            "2026-12-23 (expired)"
        );
        assert_eq!(expiry(i64::MAX, 0, &zone), "never");
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
