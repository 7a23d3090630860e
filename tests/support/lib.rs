//! What the tests share: servers, fresh databases, proxies, probes.
