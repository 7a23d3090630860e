//! Payloads as files: JSON as it is, everything else as hexadecimal text, which a diff shows and no tool converts.

use crate::schema::SchemaKind;

/// Bytes in a line.
const WIDTH: usize = 16;

/// The ending of a payload's file.
pub(super) fn extension(kind: Option<SchemaKind>) -> &'static str {
    match kind {
        Some(SchemaKind::Json) => "json",
        Some(SchemaKind::Avro | SchemaKind::Protobuf) | None => "hex",
    }
}

/// The bytes of a file; an error where hexadecimal text is none.
pub(super) fn parse(extension: &str, text: &str) -> Result<Vec<u8>, String> {
    if extension != "hex" {
        return Ok(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // What follows the bar is for the eye.
        let digits: Vec<u8> = line
            .split('|')
            .next()
            .unwrap_or_default()
            .bytes()
            .filter(|b| !b.is_ascii_whitespace())
            .collect();
        let pairs = digits.chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        let line: Option<Vec<u8>> = pairs.collect();
        bytes.extend(line.ok_or_else(|| format!("line {} is no hexadecimal text", number + 1))?);
    }
    Ok(bytes)
}

/// A payload as the text of a file.
pub(super) fn print(extension: &str, bytes: &[u8]) -> String {
    if extension != "hex" {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let lines = bytes.chunks(WIDTH).map(|line| {
        let pairs: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_seen = |byte: u8| byte.is_ascii_graphic() && byte != b'|';
        let seen: String = line
            .iter()
            .map(|byte| if is_seen(*byte) { char::from(*byte) } else { '.' })
            .collect();
        format!("{:<width$}| {seen}\n", pairs.join(" "), width = WIDTH * 3)
    });
    lines.collect()
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_lines_of_hexadecimal_text_and_come_back() {
        let text = print("hex", b"\x02\x0aa|bcdefghijklmno");
        assert_eq!(
            text,
            "02 0a 61 7c 62 63 64 65 66 67 68 69 6a 6b 6c 6d | ..a.bcdefghijklm\n6e 6f                                           | no\n"
        );
        for length in 0..70_u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            assert_eq!(parse("hex", &print("hex", &bytes)).unwrap(), bytes);
        }
        assert_eq!(parse("hex", "0A0b\r\n 0c | zz\n").unwrap(), [10, 11, 12], "written by hand");
        assert!(parse("hex", "0").is_err() && parse("hex", "0g").unwrap_err().contains("line 1"));
        assert_eq!(parse("json", "{}").unwrap(), b"{}");
    }
}
