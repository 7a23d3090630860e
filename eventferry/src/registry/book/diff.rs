//! What changed between two texts, line by line.

/// Lines shown around a change.
const AROUND: usize = 3;
/// The most lines of a diff that are shown.
const MOST: usize = 200;

#[derive(Clone, Copy)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// The changed lines with a few around them, `-` before those of `old` and `+` before those of `new`.
pub(super) fn diff(old: &str, new: &str) -> String {
    let lines = lines(old, new);
    let is_near = |at: usize| {
        let around = &lines[at.saturating_sub(AROUND)..lines.len().min(at + AROUND + 1)];
        around.iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let mut shown = Vec::new();
    let mut skipped = false;
    for (at, line) in lines.iter().enumerate() {
        if !is_near(at) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            shown.push("  ...".to_owned());
        }
        shown.push(match line {
            Line::Same(text) => format!("  {text}"),
            Line::Gone(text) => format!("- {text}"),
            Line::New(text) => format!("+ {text}"),
        });
    }
    let more = shown.len().saturating_sub(MOST);
    if more > 0 {
        shown.truncate(MOST);
        shown.push(format!("({more} more lines)"));
    }
    shown.join("\n")
}

/// All lines of both texts, with those they have in common, in their order, once: a longest common subsequence of the lines between what
/// both texts begin and end with.
fn lines<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let begins = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[begins..], &new[begins..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old_rest[..old_rest.len() - ends], &new_rest[..new_rest.len() - ends]);

    // `common[i][j]`: how many lines `a[i..]` and `b[j..]` have in common.
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut all: Vec<_> = old[..begins].iter().map(|line| Line::Same(line)).collect();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            all.push(Line::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            all.push(Line::Gone(a[i]));
            i += 1;
        } else {
            all.push(Line::New(b[j]));
            j += 1;
        }
    }
    all.extend(old[old.len() - ends..].iter().map(|line| Line::Same(line)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_what_changed_and_a_little_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\ni\nj\nk\nl\nm";
        assert_eq!(
            diff(old, new),
            "  ...\n  b\n  c\n  d\n- e\n+ E\n  f\n  g\n  h\n  ...\n  j\n  k\n  l\n+ m"
        );
        assert_eq!(diff("x\ny", "y\nx"), "- x\n  y\n+ x");
        assert_eq!(diff("", "a"), "+ a");
        assert_eq!(diff("a", ""), "- a");
        assert_eq!(diff("a\n", "a\n"), "");
    }

    #[test]
    fn a_long_diff_is_cut() {
        let new: Vec<_> = (0..500).map(|n| n.to_string()).collect();
        let shown = diff("", &new.join("\n"));
        assert_eq!(shown.lines().count(), MOST + 1);
        assert!(shown.ends_with("(300 more lines)"), "{shown}");
    }

    #[test]
    fn both_texts_can_be_read_out_of_a_diff() {
        let seed = 7;
        let mut random = fastrand::Rng::with_seed(seed);
        for round in 0..500 {
            let mut text = || {
                let lines: Vec<_> = (0..random.usize(..12)).map(|_| ["a", "b", "c", "d"][random.usize(..4)]).collect();
                lines.join("\n")
            };
            let (old, new) = (text(), text());
            let all = lines(&old, &new);
            let side = |wanted: bool| {
                let side = all.iter().filter_map(|line| match line {
                    Line::Same(text) => Some(*text),
                    Line::Gone(text) => (!wanted).then_some(*text),
                    Line::New(text) => wanted.then_some(*text),
                });
                side.collect::<Vec<_>>().join("\n")
            };
            assert_eq!((side(false), side(true)), (old, new), "seed {seed}, round {round}");
        }
    }
}
