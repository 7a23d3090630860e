//! Names of files: one for each version of each event, valid and different on every file system.

/// What follows the version in the name of a payload's file.
const PAYLOAD: &str = ".payload";

/// The folder of a set: the enum's name in kebab case.
pub(super) fn folder(set: &str) -> String {
    let mut name = String::new();
    let mut before = None;
    let mut letters = set.chars().peekable();
    while let Some(letter) = letters.next() {
        let starts = letter.is_uppercase()
            && before.is_some_and(|b: char| !b.is_uppercase() || letters.peek().is_some_and(|next| next.is_lowercase()));
        if letter == '_' || starts {
            name.push('-');
        }
        if letter != '_' {
            name.extend(letter.to_lowercase());
        }
        before = (letter != '_').then_some(letter);
    }
    name
}

/// What the files of an event's versions begin with: its name, and its topic where the name does not say which event it is.
pub(super) fn event(name: &str, topic: Option<&str>) -> String {
    match topic {
        Some(topic) => format!("{}@{topic}", escaped(name)),
        None => escaped(name),
    }
}

/// What the files of a version begin with.
pub(super) fn version(event: &str, version: u32) -> String {
    format!("{event}.v{version}")
}

/// The name with `%` and two digits for every byte that a file's name cannot hold everywhere.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && at > 0);
        if plain {
            text.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half & 15)]);
            text.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
    text
}

/// What a file of a book says it is: the event part and the version; none for a file that is no part of a book.
pub(super) fn parse(file: &str) -> Option<(&str, u32)> {
    let (stem, extension) = file.rsplit_once('.')?;
    if !["json", "avsc", "proto", "hex", "txt"].contains(&extension) {
        return None;
    }
    let of_version = |stem: &'_ str| -> Option<(usize, u32)> {
        let at = stem.rfind(".v")?;
        Some((at, stem[at + 2..].parse().ok()?))
    };
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with('.');
    let mut payload = stem.match_indices(PAYLOAD).filter(|(at, _)| is_end(&stem[at + PAYLOAD.len()..]));
    let (at, version) = payload.find_map(|(at, _)| of_version(&stem[..at])).or_else(|| of_version(stem))?;
    Some((&stem[..at], version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_s_folder_is_its_name_in_kebab_case() {
        for (set, expected) in [
            ("ShopEvent", "shop-event"),
            ("HTTPEvent", "http-event"),
            ("Shop2Event", "shop2-event"),
            ("Ev", "ev"),
            ("shop_event", "shop-event"),
            ("EventV2", "event-v2"),
            ("Überfall", "überfall"),
        ] {
            assert_eq!(folder(set), expected);
        }
    }

    #[test]
    fn a_file_s_name_holds_what_every_file_system_takes() {
        assert_eq!(event("OrderPlaced", None), "OrderPlaced");
        assert_eq!(event("com.acme.Order-placed_2", None), "com.acme.Order-placed_2");
        assert_eq!(event("../a b/ü@x%", None), "%2E./%C3".replace("./%C3", ".%2Fa%20b%2F%C3%BC%40x%25"));
        assert_eq!(event("Deleted", Some("orders.v1")), "Deleted@orders.v1");
    }

    #[test]
    fn a_file_says_which_event_and_version_it_is_of() {
        for (file, expected) in [
            ("OrderPlaced.v2.json", Some(("OrderPlaced", 2))),
            ("OrderPlaced.v2.payload.json", Some(("OrderPlaced", 2))),
            ("OrderPlaced.v12.payload.from-a-topic.hex", Some(("OrderPlaced", 12))),
            ("a.v1.payload.v1.json", Some(("a", 1))),
            ("Order.v1.v3.avsc", Some(("Order.v1", 3))),
            ("Order.payload.v3.proto", Some(("Order.payload", 3))),
            ("README.md", None),
            ("notes.json", None),
            ("OrderPlaced.vx.json", None),
        ] {
            assert_eq!(parse(file), expected, "{file}");
        }
    }
}
