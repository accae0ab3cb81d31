//! What is made of the Hub's answer.

use hfd_proto::{Endpoint, Error, Kind, Secret, TokenKind};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;
use zeroize::Zeroizing;

use super::failure::quote;
use super::{Identity, Refusal};

/// The longest answer read. A user in two thousand organisations stays below it.
const MAX_BODY: usize = 1024 * 1024;

/// Reads the answer to a whoami.
pub(super) async fn identity(
    response: Response,
    endpoint: &Endpoint,
    token: &Secret,
) -> Result<Identity, Refusal> {
    let body = expect(
        StatusCode::OK,
        response,
        endpoint,
        std::slice::from_ref(token),
    )
    .await?;
    parse(&body, token).ok_or_else(|| no_hub(endpoint).into())
}

/// The body of an answer with this status; any other is an error, which shows none of `secrets`.
pub(super) async fn expect(
    expected: StatusCode,
    response: Response,
    endpoint: &Endpoint,
    secrets: &[Secret],
) -> Result<Vec<u8>, Refusal> {
    let status = response.status();
    let url = response.url().clone();
    let headers = response.headers().clone();
    if status.is_redirection() {
        return Err(redirected(endpoint, secrets, &url, &headers).into());
    }
    let body = read(response, endpoint).await?;
    if status == expected {
        return Ok(body);
    }
    Err(Refusal {
        error: refusal(status, endpoint, secrets, &headers, &body),
        unknown: status == StatusCode::UNAUTHORIZED,
    })
}

pub(super) async fn read(mut response: Response, endpoint: &Endpoint) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BODY => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(no_hub(endpoint)),
            Err(error) => {
                let why = if error.is_timeout() {
                    "it took too long"
                } else {
                    "the connection was lost"
                };
                return Err(Error::new(
                    Kind::HubUnreachable,
                    format!("the answer of the Hub at {endpoint} broke off: {why}"),
                )
                .hint("check the network and repeat it later"));
            }
        }
    }
}

fn redirected(endpoint: &Endpoint, secrets: &[Secret], url: &Url, headers: &HeaderMap) -> Error {
    let target = headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| url.join(location).ok());
    let origin = target.map(|target| quote_of(&target.origin().ascii_serialization(), secrets));
    match origin {
        Some(origin) if origin != endpoint.as_str() => Error::new(
            Kind::Refused,
            format!("{endpoint} redirects to {origin}; the token was not sent there"),
        )
        .hint(format!(
            "if that is the Hub you mean, log in there: hfd login --endpoint {origin}"
        )),
        _ => Error::new(
            Kind::Refused,
            format!("{endpoint} answers with a redirect, which no Hub does"),
        )
        .hint("check the endpoint, and whether this network wants a login of its own"),
    }
}

pub(super) fn refusal(
    status: StatusCode,
    endpoint: &Endpoint,
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
) -> Error {
    let said = said(headers, body, secrets);
    let said = said.map_or(String::new(), |said| format!(": {said}"));
    let refused = |message: String| Error::new(Kind::Refused, message);
    match status {
        StatusCode::UNAUTHORIZED => refused(format!(
            "the Hub at {endpoint} does not know this token{said}"
        ))
        .hint(format!(
            "it may have expired or been revoked: make one at {endpoint}/settings/tokens"
        )),
        StatusCode::FORBIDDEN => refused(format!("the Hub at {endpoint} refuses this token{said}"))
            .hint(format!("see what it may do at {endpoint}/settings/tokens")),
        StatusCode::TOO_MANY_REQUESTS => refused(format!(
            "the Hub at {endpoint} was asked too often (429), and limits this request strictly"
        ))
        .hint(retry(headers, secrets)),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => no_hub(endpoint),
        status if status.is_server_error() => Error::new(
            Kind::HubUnreachable,
            format!(
                "the Hub at {endpoint} has trouble ({}){said}",
                status.as_u16()
            ),
        )
        .hint(retry(headers, secrets)),
        status if status.is_client_error() => refused(format!(
            "the Hub at {endpoint} refuses the request ({}){said}",
            status.as_u16()
        ))
        .hint("check that the endpoint is a Hugging Face Hub"),
        _ => no_hub(endpoint),
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3).
fn retry(headers: &HeaderMap, secrets: &[Secret]) -> String {
    let after = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    match after {
        None | Some("") => "repeat it later".to_owned(),
        Some(after) => match after.trim().parse::<u64>() {
            Ok(1) => "repeat it in a second".to_owned(),
            Ok(seconds) => format!("repeat it in {seconds} seconds"),
            Err(_) => format!("repeat it after {}", quote_of(after, secrets)),
        },
    }
}

/// The Hub's own explanation: `{"error":…}`, or the header `X-Error-Message`.
fn said(headers: &HeaderMap, body: &[u8], secrets: &[Secret]) -> Option<String> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json
        .as_ref()
        .and_then(|json| json.pointer("/error")?.as_str());
    let header = || headers.get("x-error-message")?.to_str().ok();
    let text = error
        .or_else(header)
        .filter(|text| !text.trim().is_empty())?;
    Some(quote_of(text, secrets))
}

/// Text of the Hub for an error. The secrets are taken out by value first, in any case (a host name
/// is lowered), since they need not look like any.
pub(super) fn quote_of(text: &str, secrets: &[Secret]) -> String {
    let without = secrets
        .iter()
        .fold(text.to_owned(), |text, secret| without(&text, secret));
    quote(&without)
}

fn without(text: &str, secret: &Secret) -> String {
    let wanted = Zeroizing::new(secret.expose().to_ascii_lowercase());
    let lowered = Zeroizing::new(text.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (start, _) in lowered.match_indices(wanted.as_str()) {
        out.push_str(&text[end..start]);
        out.push_str("****");
        end = start + wanted.len();
    }
    out.push_str(&text[end..]);
    out
}

pub(super) fn no_hub(endpoint: &Endpoint) -> Error {
    Error::new(
        Kind::HubUnreachable,
        format!("what answers at {endpoint} is not a Hugging Face Hub"),
    )
    .hint("check the endpoint, and whether this network wants a login of its own")
}

/// The fields that huggingface_hub 2.4.0 (`_login.py`, `hf_api.py`) and @huggingface/hub
/// (`who-am-i.ts`) read. Only `name` must be there. None where the answer makes no sense, or where
/// it holds the token itself, which would carry it to places where no secret may be.
fn parse(body: &[u8], token: &Secret) -> Option<Identity> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let text = |pointer: &str| {
        let text = json.pointer(pointer)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let orgs = json.pointer("/orgs").and_then(Value::as_array);
    let identity = Identity {
        user: text("/name")?,
        orgs: orgs
            .into_iter()
            .flatten()
            .filter_map(|org| Some(org.get("name")?.as_str()?.to_owned()))
            .collect(),
        role: text("/auth/accessToken/role"),
        display_name: text("/auth/accessToken/displayName"),
        kind: match text("/auth/type").as_deref() {
            Some("oauth") => TokenKind::Oauth,
            _ => TokenKind::AccessToken,
        },
        expires_at: [
            "/auth/expiresAt",
            "/auth/accessToken/expiresAt",
            "/auth/accessToken/expiration",
        ]
        .into_iter()
        .find_map(|pointer| unix_seconds(&text(pointer)?)),
    };
    let texts = [
        Some(&identity.user),
        identity.role.as_ref(),
        identity.display_name.as_ref(),
    ];
    let echoed = texts
        .into_iter()
        .flatten()
        .chain(&identity.orgs)
        .any(|text| text.contains(token.expose()));
    (!echoed).then_some(identity)
}

/// An RFC 3339 time (`2026-12-23T10:00:00.000Z`) in Unix seconds; fractions are cut off.
fn unix_seconds(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse().ok())?
    };
    let mark = |at: usize, marks: &str| text.get(at..=at).is_some_and(|mark| marks.contains(mark));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let marked = mark(4, "-") && mark(7, "-") && mark(10, "Tt ") && mark(13, ":") && mark(16, ":");
    let sensible = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !marked || !sensible {
        return None;
    }
    let zone = text[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let local = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(local - zone_offset(zone)?)
}

/// `Z`, `+02:00` or `-02:00`, in seconds.
fn zone_offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). The year
/// begins in March, so that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_unix_seconds() {
        // Expected values from `date -u -d TIME +%s`.
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-12-23T10:00:00.000Z", 1_798_020_000),
            ("2024-02-29T23:59:59.999Z", 1_709_251_199),
            ("2000-03-01T00:00:00z", 951_868_800),
            ("2026-12-23T12:30:00+02:30", 1_798_020_000),
            ("2026-12-23T02:00:00-08:00", 1_798_020_000),
            ("1969-12-31T23:59:59Z", -1),
        ] {
            assert_eq!(unix_seconds(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "never",
            "2026-12-23",
            "2026-12-23T10:00:00",
            "2026-13-01T00:00:00Z",
            "2026-12-23T24:00:00Z",
            "2026-12-23T10:00:00+99:00",
            "+026-12-23T10:00:00Z",
            "2026-12-23T10:00:00Zé",
            "202é-12-23T10:00:00Z",
        ] {
            assert_eq!(unix_seconds(text), None, "{text}");
        }
    }

    fn parsed(json: &str) -> Option<Identity> {
        parse(json.as_bytes(), &Secret::parse("hf_canary_answer").unwrap())
    }

    #[test]
    fn a_fine_grained_token_is_described() {
        let identity = parsed(
            r#"{"type":"user","name":"alice","orgs":[{"name":"acme"},{"id":"1"}],
            "auth":{"type":"access_token","accessToken":{"displayName":"work","role":"fineGrained",
            "createdAt":"2025-01-01T00:00:00.000Z"},"expiresAt":"2026-12-23T10:00:00.000Z"}}"#,
        );
        assert_eq!(
            identity.unwrap(),
            Identity {
                user: "alice".to_owned(),
                orgs: vec!["acme".to_owned()],
                role: Some("fineGrained".to_owned()),
                display_name: Some("work".to_owned()),
                kind: TokenKind::AccessToken,
                expires_at: Some(1_798_020_000),
            }
        );
    }

    #[test]
    fn an_oauth_token_has_no_name_and_fields_of_another_type_are_absent() {
        let identity =
            parsed(r#"{"name":"bob","orgs":null,"auth":{"type":"oauth","expiresAt":5}}"#).unwrap();
        assert_eq!(identity.kind, TokenKind::Oauth);
        assert_eq!((identity.display_name, identity.expires_at), (None, None));
    }

    #[test]
    fn an_answer_without_a_user_or_with_the_token_in_it_is_none() {
        for json in [
            "",
            "[]",
            "<html>",
            "{}",
            r#"{"name":""}"#,
            r#"{"name":1}"#,
            r#"{"name":"hf_canary_answer"}"#,
            r#"{"name":"a","orgs":[{"name":"x\u0068f_canary_answer"}]}"#,
        ] {
            assert_eq!(parsed(json), None, "{json}");
        }
    }
}
