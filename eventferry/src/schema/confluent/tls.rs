//! Whom a registry's certificate is trusted by.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// What was given as PEM text.
#[derive(Default, Clone)]
pub(super) struct Pem {
    /// Trusted in place of the system's certificates.
    pub(super) authorities: Option<Vec<u8>>,
    /// A certificate chain and its key, to be shown to the registry.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Pem {
    /// The configuration of TLS 1.2 and 1.3.
    ///
    /// The refusal names the setting and never what it holds.
    pub(super) fn config(&self, https: bool) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &self.authorities {
            for certificate in certificates(pem).map_err(|why| format!("`ca_pem` {why}"))? {
                roots
                    .add(certificate)
                    .map_err(|_| "`ca_pem` holds a certificate that cannot be used as an authority".to_owned())?;
            }
        } else if https {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err("this system has no trusted certificates; give the registry's with `ca_pem`".to_owned());
            }
        }
        // The provider by name: another crate of the program may have installed another one.
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let Some((chain, key)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(chain).map_err(|why| format!("the certificate of `client_identity_pem` {why}"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "the key of `client_identity_pem` is no private key in PEM".to_owned())?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|_| "the key of `client_identity_pem` does not fit its certificate, or cannot be used".to_owned())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err("is no certificate in PEM"),
    }
}
