//! For tests: what a payload made by chance says, and which of it may be seen.

#[cfg(any(feature = "avro", feature = "protobuf"))]
use crate::codec::shown;

/// Values that stand in nothing but their payload, by whether they may be seen of it.
#[derive(Default)]
pub(super) struct Known {
    secrets: Vec<String>,
    open: Vec<String>,
    made: i64,
    shown: usize,
    hidden: usize,
}

impl Known {
    fn tell(&mut self, is_secret: bool, shown: String) {
        self.made += 1;
        if is_secret { &mut self.secrets } else { &mut self.open }.push(shown);
    }

    fn new_text(&self, is_secret: bool) -> String {
        format!("{}{}q", if is_secret { "S" } else { "O" }, self.made)
    }

    pub(super) fn text(&mut self, is_secret: bool) -> String {
        let text = self.new_text(is_secret);
        self.tell(is_secret, text.clone());
        text
    }

    /// Bytes, which are shown in hexadecimal.
    #[cfg(any(feature = "avro", feature = "protobuf"))]
    pub(super) fn bytes(&mut self, is_secret: bool) -> String {
        let text = self.new_text(is_secret);
        self.tell(is_secret, shown::bytes(text.as_bytes()).as_str().unwrap_or_default().to_owned());
        text
    }

    pub(super) fn number(&mut self, is_secret: bool) -> i64 {
        let number = 7_000_000 + self.made;
        self.tell(is_secret, number.to_string());
        number
    }

    /// No secret is in what is shown, and all is that is open, unless it is `gone` from the payload. The next payload says other things.
    pub(super) fn judge(&mut self, shown: &str, gone: impl Fn(&str) -> bool, of: &str) {
        for secret in &self.secrets {
            assert!(!shown.contains(secret), "{secret} of {of} is in {shown}");
        }
        for open in &self.open {
            assert!(gone(open) || shown.contains(open), "{open} of {of} is not in {shown}");
        }
        self.shown += self.open.len();
        self.hidden += self.secrets.len();
        self.open.clear();
        self.secrets.clear();
    }

    /// Payloads that say too little prove nothing.
    pub(super) fn was_enough(&self) {
        let Self { shown, hidden, .. } = self;
        assert!(
            *shown > 1_000 && *hidden > 1_000,
            "{shown} shown, {hidden} hidden: the payloads are too dull"
        );
    }
}
