//! Credentials and TLS, on a server that stands in front of the real registry: it has neither by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use eventferry::schema::{RegistryErrorKind, SchemaRegistry};
use eventferry_tests::registry_front::{Authority, Front};

use crate::{avro, chain, client, registry, subject};

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
