//! A word on the desktop, where there is one: for what a person has to do and would otherwise find
//! out too late.

use hfd_proto::{Error, TokenName};

/// A session has ended, and only a login helps.
pub(crate) async fn session_ended(name: &TokenName, error: &Error) {
    let title = format!("Hugging Face: log in again as {}", name.escaped());
    let hint = error.hint.as_deref().unwrap_or_default();
    let text = format!("{}. {hint}", error.message);
    #[cfg(target_os = "linux")]
    if let Err(error) = desktop(&title, &text).await {
        // Most sessions without a desktop have nobody to tell.
        tracing::debug!(%error, "no desktop notification");
    }
    #[cfg(not(target_os = "linux"))]
    drop((title, text));
}

/// The Desktop Notifications Specification 1.3, `Notify`.
#[cfg(target_os = "linux")]
async fn desktop(title: &str, text: &str) -> zbus::Result<()> {
    use std::collections::HashMap;
    use std::time::Duration;

    use zbus::zvariant::Value;

    let bus = zbus::connection::Builder::session()?
        .method_timeout(Duration::from_secs(2))
        .build();
    let bus = tokio::time::timeout(Duration::from_secs(2), bus);
    let bus = bus
        .await
        .map_err(|_| zbus::Error::Failure("the session bus does not answer".to_owned()))??;
    let hints: HashMap<&str, Value<'_>> = HashMap::from([("urgency", Value::U8(1))]);
    let (app, icon, replaces, actions) = ("hfd", "dialog-password", 0_u32, Vec::<&str>::new());
    // Servers may read the text as markup.
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    bus.call_method(
        Some("org.freedesktop.Notifications"),
        "/org/freedesktop/Notifications",
        Some("org.freedesktop.Notifications"),
        "Notify",
        &(app, replaces, icon, title, text, actions, hints, -1_i32),
    )
    .await?;
    Ok(())
}
