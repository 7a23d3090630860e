//! A text that fits a regular expression, for the expressions that schemas are made of: literals, classes, groups, counts.

/// The most times that something without a bound is repeated: once, where once is allowed.
const ONCE: usize = 1;
/// The longest text that is made.
const LONGEST: usize = 1000;

/// A text that fits `pattern`, with what may come once or not at all left out where `least` is set; none where the expression has parts
/// that are not known here. The caller checks it: what looks around, or back, is not understood.
pub(super) fn matching(pattern: &str, least: bool) -> Option<String> {
    let mut reader = Reader {
        letters: pattern.chars().collect(),
        at: 0,
        least,
    };
    let text = reader.alternatives()?;
    (reader.at == reader.letters.len() && text.len() <= LONGEST).then_some(text)
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    least: bool,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    /// The first of several, all of them read.
    fn alternatives(&mut self) -> Option<String> {
        let first = self.sequence()?;
        while self.takes('|') {
            self.sequence()?;
        }
        Some(first)
    }

    fn sequence(&mut self) -> Option<String> {
        let mut text = String::new();
        while let Some(letter) = self.peek() {
            if matches!(letter, '|' | ')') {
                break;
            }
            let one = self.atom()?;
            let times = self.times()?;
            if one.len() * times + text.len() > LONGEST {
                return None;
            }
            text.push_str(&one.repeat(times));
        }
        Some(text)
    }

    fn atom(&mut self) -> Option<String> {
        Some(match self.next()? {
            '^' | '$' => String::new(),
            '.' => "a".to_owned(),
            '(' => {
                if self.takes('?') && !self.takes(':') {
                    return None;
                }
                let inner = self.alternatives()?;
                if !self.takes(')') {
                    return None;
                }
                inner
            }
            '[' => self.class()?.to_string(),
            '\\' => escape(self.next()?)?.to_string(),
            '*' | '+' | '?' | '{' | ')' => return None,
            letter => letter.to_string(),
        })
    }

    /// A letter of a class; for one that names what it must not be, the first that is not named.
    fn class(&mut self) -> Option<char> {
        let is_not = self.takes('^');
        let mut ranges = Vec::new();
        loop {
            let first = match self.next()? {
                ']' if !ranges.is_empty() => break,
                '\\' => escape(self.next()?)?,
                letter => letter,
            };
            let is_range = self.peek() == Some('-') && self.letters.get(self.at + 1) != Some(&']');
            let last = if is_range {
                self.at += 1;
                match self.next()? {
                    '\\' => escape(self.next()?)?,
                    letter => letter,
                }
            } else {
                first
            };
            ranges.push((first, last));
        }
        let named = |letter: &char| ranges.iter().any(|(first, last)| (first..=last).contains(&letter));
        if is_not {
            ('a'..='z').chain('A'..='Z').chain('0'..='9').find(|letter| !named(letter))
        } else {
            Some(ranges.first()?.0)
        }
    }

    /// How often what stands before comes.
    fn times(&mut self) -> Option<usize> {
        let (least, most) = match self.peek() {
            Some('*' | '?') => (0, ONCE),
            Some('+') => (1, ONCE),
            Some('{') => {
                self.at += 1;
                let least = self.number()?;
                let most = if self.takes(',') {
                    self.number().unwrap_or(least.max(ONCE))
                } else {
                    least
                };
                if self.peek() != Some('}') {
                    return None;
                }
                (least, most)
            }
            _ => return Some(1),
        };
        self.at += 1;
        self.takes('?');
        Some(if self.least { least } else { least.max(most.min(ONCE)) })
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|letter| letter.to_digit(10)) {
            self.at += 1;
            number = Some(number.unwrap_or(0_usize).checked_mul(10)? + digit as usize);
        }
        number.filter(|number| *number <= LONGEST)
    }
}

/// What `\` and a letter stand for.
fn escape(letter: char) -> Option<char> {
    Some(match letter {
        'd' => '1',
        'w' | 'S' | 'D' => 'a',
        's' | 'W' => ' ',
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        letter if letter.is_ascii_alphanumeric() => return None,
        letter => letter,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_its_pattern() {
        for (pattern, expected) in [
            ("^[A-Z]{3}$", "AAA"),
            (r"^\d{4}-\d{2}$", "1111-11"),
            (r"^(?:ab|cd)+x?$", "abx"),
            (r"^[a-z0-9]+(-[a-z0-9]+)*$", "a-a"),
            (r"^[^a-c]\.[\]x]$", "d.]"),
            (r"^\+?[0-9]{7,15}$", "+0000000"),
            ("", ""),
            (r"^.{2,}$", "aa"),
        ] {
            assert_eq!(matching(pattern, false).as_deref(), Some(expected), "{pattern}");
        }
        assert_eq!(matching(r"^[a-z]+(-[a-z]+)*$", true).as_deref(), Some("a"));
        for unknown in [
            r"(?=a)b",
            r"(a",
            r"a)",
            r"[a",
            r"\1",
            r"\p{L}",
            "a{2",
            "*",
            "a{99999}",
            r"(a{999}){999}",
        ] {
            assert_eq!(matching(unknown, false), None, "{unknown}");
        }
    }
}
