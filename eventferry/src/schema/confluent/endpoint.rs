//! One URL of a registry, and the credentials that may stand in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;

/// Where a registry is.
pub(super) struct Endpoint {
    /// Scheme, host, port and path, without a slash at the end and without credentials.
    base: String,
    /// What the URL itself asks to be sent.
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// Takes a URL apart. The refusal says what is wrong and repeats nothing of the URL, which may hold a password anywhere.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let url = url.trim();
        if url.contains(['?', '#']) {
            return Err("has a query or a fragment, which the base URL of a registry has not");
        }
        let uri: Uri = url.parse().map_err(|_| "is no URL")?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let scheme = scheme.ok_or("does not begin with `http://` or `https://`")?;
        let authority = uri.authority().ok_or("names no host")?;
        let has_port = authority.host().len() < authority.as_str().rsplit('@').next().map_or(0, str::len);
        if has_port && authority.port_u16().is_none() {
            return Err("has a port that is no number");
        }
        let authority = authority.as_str();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if host.is_empty() || host.starts_with(':') {
            return Err("names no host");
        }
        let authorization = match user {
            None => None,
            Some(user) => {
                let (user, password) = user.split_once(':').unwrap_or((user, ""));
                let decoded = |text| {
                    percent_decode_str(text)
                        .decode_utf8()
                        .map_err(|_| "has credentials that are not UTF-8")
                };
                Some(basic(&decoded(user)?, &decoded(password)?)?)
            }
        };
        Ok(Self {
            base: format!("{scheme}://{host}{}", uri.path().trim_end_matches('/')),
            authorization,
        })
    }

    /// The URL without credentials, for texts.
    pub(super) fn shown(&self) -> &str {
        &self.base
    }

    pub(super) fn is_https(&self) -> bool {
        self.base.starts_with("https:")
    }

    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The URL of a path of the API.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, hyper::http::uri::InvalidUri> {
        format!("{}{path}", self.base).parse()
    }
}

/// The header of basic authentication.
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, &'static str> {
    if user.contains(':') {
        return Err("has a user name with a colon, which basic authentication cannot carry");
    }
    secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// The header of a token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    secret(&format!("Bearer {}", token.trim()))
}

fn secret(value: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(value).map_err(|_| "has credentials that no header can carry")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, base, authorization) in [
            ("http://h", "http://h", None),
            (" https://h:8081/ ", "https://h:8081", None),
            ("http://[::1]:1/apis/ccompat/v7/", "http://[::1]:1/apis/ccompat/v7", None),
            // RFC 7617's own example.
            (
                "https://Aladdin:open%20sesame@h/x",
                "https://h/x",
                Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ),
            ("https://user:a%3Ab%40c@h", "https://h", Some("Basic dXNlcjphOmJAYw==")),
            ("https://user@h", "https://h", Some("Basic dXNlcjo=")),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.shown(), base);
            assert_eq!(
                endpoint.authorization().map(|value| value.to_str().unwrap()),
                authorization,
                "{url}"
            );
            assert!(endpoint.authorization().is_none_or(HeaderValue::is_sensitive));
        }
        let uri = Endpoint::parse("http://h:1/v7")
            .unwrap()
            .uri("/subjects/a%2Fb?normalize=true")
            .unwrap();
        assert_eq!(uri.to_string(), "http://h:1/v7/subjects/a%2Fb?normalize=true");
    }

    #[test]
    fn what_is_no_url_of_a_registry_is_refused() {
        for url in [
            "",
            "h:8081",
            "h",
            "/x",
            "ftp://h",
            "http://",
            "http://:8081",
            "http://user:pw@",
            "http://h/?token=1",
            "http://h/#x",
            "http://a b",
            "http://h:port",
            "http://%ff:x@h",
        ] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
        assert!(basic("a:b", "").is_err());
        assert!(bearer("a\nb").is_err());
    }
}
