//! The Desktop Notifications Specification 1.3, over the session bus.

use std::collections::HashMap;
use std::time::Duration;

use zbus::zvariant::Value;

/// `Notify`.
pub(super) async fn show(title: &str, text: &str) -> zbus::Result<()> {
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
