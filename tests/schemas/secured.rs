//! Credentials and TLS, on a server that stands in front of the real registry: it has neither by itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eventferry::schema::confluent::ConfluentRegistry;
use eventferry::schema::{RegistryErrorKind, SchemaId, SchemaRegistry};
use eventferry_tests::registry_front::{Answer, Authority, Front};
use tokio::process::Command;

use crate::{avro, chain, client, fresh, registry, subject};

/// `orders:hunter2` in base 64 (RFC 7617).
const BASIC: &str = "Basic b3JkZXJzOmh1bnRlcjI=";

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let Some(url) = registry() else { return };
    let front = Front::start(Some(&url)).await;
    front.require(BASIC);
    let good = [
        client(&front.url()).basic_auth("orders", "hunter2"),
        client(&front.url_with("orders:hunter2")),
        client(&front.url_with("orders:hunte%72%32")),
    ];
    for builder in good {
        let registry = builder.auto_register(true).build().unwrap();
        registry.id_of(&subject(), &avro()).await.unwrap();
    }
    front.require("Bearer hunter2");
    let registry = client(&front.url()).bearer_auth("hunter2").auto_register(true).build().unwrap();
    registry.id_of(&subject(), &avro()).await.unwrap();

    front.require("Bearer something-else");
    let bad = [
        client(&front.url()),
        client(&front.url()).bearer_auth("hunter2"),
        client(&front.url()).basic_auth("orders", "hunter2"),
        client(&front.url_with("orders:hunter2")),
    ];
    for builder in bad {
        let before = front.asked().len();
        let registry = builder.build().unwrap();
        let error = registry.id_of(&subject(), &avro()).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Unauthorized);
        let text = format!("{} {error:?} {registry:?}", chain(&error));
        assert!(!text.contains("hunter2") && !text.contains("b3JkZXJz"), "{text}");
        assert_eq!(front.asked().len() - before, 1, "it was asked again");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_each_time_and_other_headers_go_along() {
    let Some(url) = registry() else { return };
    let front = Front::start(Some(&url)).await;
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let registry = client(&front.url())
        .bearer_auth_from(move || format!("token-{}", counted.fetch_add(1, Ordering::Relaxed)))
        .header("target-sr-cluster", "lsrc-1")
        .auto_register(true)
        .build()
        .unwrap();
    registry.id_of(&subject(), &avro()).await.unwrap();
    let seen = front.seen();
    let tokens: Vec<_> = seen.iter().filter_map(|seen| seen.authorization.as_deref()).collect();
    assert_eq!(tokens, ["Bearer token-0", "Bearer token-1"], "one look-up and one registration");
    for one in &seen {
        let cluster = one.headers.iter().find(|(name, _)| name == "target-sr-cluster");
        assert_eq!(cluster.map(|(_, value)| value.as_str()), Some("lsrc-1"));
    }
}

#[tokio::test]
async fn tls_trusts_the_authority_it_was_given_and_no_other() {
    let Some(url) = registry() else { return };
    let authority = Authority::new();
    let front = Front::start_tls(Some(&url), &authority, false).await;
    assert!(front.url().starts_with("https://127.0.0.1"));
    let registry = client(&front.url()).ca_pem(authority.pem()).auto_register(true).build().unwrap();
    registry.id_of(&subject(), &avro()).await.unwrap();
    // Several authorities in one text, the right one last.
    let both = format!("{}{}", Authority::new().pem(), authority.pem());
    let registry = client(&front.url()).ca_pem(both).auto_register(true).build().unwrap();
    registry.id_of(&subject(), &avro()).await.unwrap();

    let before = front.asked().len();
    for builder in [client(&front.url()).ca_pem(Authority::new().pem()), client(&front.url())] {
        let error = builder.build().unwrap().id_of(&subject(), &avro()).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
        let text = chain(&error);
        assert!(text.contains("`ca_pem`") && text.contains("certificate"), "{text}");
    }
    // The right authority for another name: `127.0.0.2` is the same host.
    let other = front.url().replace("127.0.0.1", "127.0.0.2");
    let error = client(&other)
        .ca_pem(authority.pem())
        .build()
        .unwrap()
        .id_of(&subject(), &avro())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    assert_eq!(front.asked().len(), before, "something was sent to a server that is not trusted");
}

/// In the environment of a second process of this test: the front's URL.
const FRONT: &str = "EVENTFERRY_TEST_FRONT";

#[tokio::test]
async fn the_system_s_authorities_are_trusted_unless_others_are_given() {
    const ME: &str = "secured::the_system_s_authorities_are_trusted_unless_others_are_given";
    if let Ok(url) = std::env::var(FRONT) {
        let given = client(&url).ca_pem(Authority::new().pem()).retries(0).build().unwrap();
        let error = given.schema_of(SchemaId::new(1)).await.unwrap_err();
        assert!(chain(&error).contains("`ca_pem`"), "{}", chain(&error));
        client(&url).build().unwrap().schema_of(SchemaId::new(2)).await.unwrap();
        return;
    }
    let authority = Authority::new();
    let front = Front::start_tls(None, &authority, false).await;
    front.answer(Answer::new(200, r#"{"schema":"\"string\""}"#));
    let parent = std::env::var_os("EVENTFERRY_RUN").map_or_else(std::env::temp_dir, PathBuf::from);
    let pem = Removed(parent.join(format!("{}.pem", fresh("authority"))));
    std::fs::write(&pem.0, authority.pem()).unwrap();
    // What the system trusts is this file to another process.
    let other = Command::new(std::env::current_exe().unwrap())
        .args([ME, "--exact", "--nocapture"])
        .env(FRONT, front.url())
        .env("SSL_CERT_FILE", &pem.0)
        .env_remove("SSL_CERT_DIR")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(1), other).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(front.asked(), ["GET /schemas/ids/2"]);
}

/// A file that goes with the value.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[tokio::test]
async fn credentials_in_a_url_are_sent_to_that_url_only() {
    let (first, second) = (Front::start(None).await, Front::start(None).await);
    first.answer(Answer::new(503, ""));
    second.answer(Answer::new(200, r#"{"id":7}"#));
    let registry = ConfluentRegistry::builder([first.url_with("orders:hunter2"), second.url()])
        .build()
        .unwrap();
    registry.id_of(&subject(), &avro()).await.unwrap();
    let sent = |front: &Front| front.seen().into_iter().map(|seen| seen.authorization).collect::<Vec<_>>();
    assert_eq!(sent(&first), [Some(BASIC.to_owned())]);
    assert_eq!(sent(&second), [None]);
}

#[tokio::test]
async fn a_certificate_of_our_own_is_shown_where_it_is_asked_for() {
    let Some(url) = registry() else { return };
    let authority = Authority::new();
    let front = Front::start_tls(Some(&url), &authority, true).await;
    let (chain_pem, key) = authority.identity("orders");
    let registry = client(&front.url())
        .ca_pem(authority.pem())
        .client_identity_pem(chain_pem, key)
        .auto_register(true)
        .build()
        .unwrap();
    registry.id_of(&subject(), &avro()).await.unwrap();
    let registry = client(&front.url()).ca_pem(authority.pem()).retries(0).build().unwrap();
    let error = registry.id_of(&subject(), &avro()).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable, "{}", chain(&error));
}
