//! Go's syntax (`regexp/syntax` with the Perl flags) written in the engine's.
//!
//! One walk over the text. Nothing is left to the engine's own reading: flags stand in groups around the character that
//! they are about, classes are written out, and each repetition stands behind exactly what Go repeats, which is the last
//! thing that matches something (`a(?i)*` repeats the `a`).

use super::ExpressionError;
use super::class;
use super::cursor::Cursor;

/// Go's limit for a repeat count, and for the product of counts inside each other.
const MOST_REPEATS: u32 = 1000;

/// Writes the expression `text` for the engine.
///
/// # Errors
/// What Go refuses, and halves of surrogate pairs.
pub(super) fn translated(text: &str) -> Result<String, ExpressionError> {
    let mut translator = Translator::new(text);
    while let Some(character) = translator.cursor.take() {
        translator.step(character)?;
    }
    match translator.open.pop() {
        None => Ok(translator.out),
        Some(group) => {
            Err(translator.cursor.error(group.at, "has an opening ( that nothing closes"))
        }
    }
}

/// What `(?imsU)` turns on.
#[derive(Clone, Copy, Default)]
struct Flags {
    fold_case: bool,
    lines: bool,
    dot_newline: bool,
    lazy: bool,
}

/// What a repetition would repeat.
#[derive(Clone, Copy)]
struct Atom {
    /// Where it begins in the translation.
    start: usize,
    /// The largest product of repeat counts inside each other.
    repeats: u32,
    /// It must stand in a group before it can be repeated.
    loose: bool,
}

/// A group that is open.
struct Group {
    /// Where its parenthesis is in the text.
    at: usize,
    /// Where it begins in the translation.
    start: usize,
    /// The flags outside of it.
    flags: Flags,
    /// The largest product of repeat counts before it, outside of it.
    repeats: u32,
}

struct Translator<'a> {
    cursor: Cursor<'a>,
    out: String,
    flags: Flags,
    open: Vec<Group>,
    /// The last one in this alternative.
    atom: Option<Atom>,
    /// The largest product of repeat counts in this group, without that of `atom`.
    repeats: u32,
    /// Where the text of a repetition begins that ends right here.
    repetition: Option<usize>,
    names: Vec<&'a str>,
}

impl<'a> Translator<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            cursor: Cursor::new(text),
            out: String::with_capacity(text.len()),
            flags: Flags::default(),
            open: Vec::new(),
            atom: None,
            repeats: 1,
            repetition: None,
            names: Vec::new(),
        }
    }

    /// Translates what begins with `character`, which has been read.
    fn step(&mut self, character: char) -> Result<(), ExpressionError> {
        let at = self.cursor.at() - character.len_utf8();
        let previous = self.repetition.take();
        match character {
            '(' if self.cursor.eat("?") => self.special_group(at)?,
            '(' => self.begin(at, "(", self.flags),
            ')' => self.end(at)?,
            '|' => {
                self.settle();
                self.out.push('|');
            }
            '^' if self.flags.lines => self.push("(?m:^)", false),
            '^' => self.push("^", true),
            '$' if self.flags.lines => self.push("(?m:$)", false),
            '$' => self.push("$", true),
            '.' if self.flags.dot_newline => self.push("(?s:.)", false),
            '.' => self.push(".", false),
            '[' => {
                let class = class::take_bracketed(&mut self.cursor, at)?;
                self.push_class(&class);
            }
            '*' => self.repeat(at, previous, 0, None)?,
            '+' => self.repeat(at, previous, 1, None)?,
            '?' => self.repeat(at, previous, 0, Some(1))?,
            '{' => match self.take_counts() {
                Some((least, most)) => self.repeat(at, previous, least, most)?,
                None => self.literal('{'),
            },
            '\\' => self.escape(at)?,
            plain => self.literal(plain),
        }
        Ok(())
    }

    /// What a repetition would have repeated so far is now out of its reach.
    fn settle(&mut self) {
        if let Some(atom) = self.atom.take() {
            self.repeats = self.repeats.max(atom.repeats);
        }
    }

    fn push(&mut self, translation: &str, loose: bool) {
        self.settle();
        self.atom = Some(Atom { start: self.out.len(), repeats: 1, loose });
        self.out.push_str(translation);
    }

    fn push_class(&mut self, class: &str) {
        if self.flags.fold_case {
            self.push(&format!("(?i:{class})"), false);
        } else {
            self.push(class, false);
        }
    }

    fn literal(&mut self, character: char) {
        let literal = regex::escape(character.encode_utf8(&mut [0; 4]));
        if self.flags.fold_case && (character.is_alphabetic() || !character.is_ascii()) {
            self.push(&format!("(?i:{literal})"), false);
        } else {
            self.push(&literal, false);
        }
    }

    /// What a backslash at `at` begins.
    fn escape(&mut self, at: usize) -> Result<(), ExpressionError> {
        if self.cursor.eat("A") {
            self.push("^", true);
        } else if self.cursor.eat("z") {
            self.push("$", true);
        } else if self.cursor.eat("b") {
            self.push(r"(?-u:\b)", false);
        } else if self.cursor.eat("B") {
            self.push(r"(?-u:\B)", false);
        } else if self.cursor.eat("Q") {
            let literal = self.cursor.take_until(r"\E").unwrap_or_else(|| self.cursor.take_rest());
            literal.chars().for_each(|character| self.literal(character));
        } else {
            let mut ahead = self.cursor.rewound(at);
            if let Some(set) = class::take_set(&mut ahead)? {
                self.cursor = ahead;
                self.push_class(&set);
            } else {
                let escaped = self.cursor.take_escaped(at)?;
                self.literal(escaped);
            }
        }
        Ok(())
    }

    fn begin(&mut self, at: usize, translation: &str, inside: Flags) {
        self.settle();
        self.open.push(Group {
            at,
            start: self.out.len(),
            flags: self.flags,
            repeats: self.repeats,
        });
        self.out.push_str(translation);
        self.flags = inside;
        self.repeats = 1;
    }

    fn end(&mut self, at: usize) -> Result<(), ExpressionError> {
        self.settle();
        let Some(Group { start, flags, repeats, .. }) = self.open.pop() else {
            return Err(self.cursor.error(at, "closes a group that was not opened"));
        };
        self.out.push(')');
        self.flags = flags;
        self.atom = Some(Atom { start, repeats: self.repeats, loose: false });
        self.repeats = repeats;
        Ok(())
    }

    /// Behind `(?`, which is at `at`: a name, or flags with or without a group.
    fn special_group(&mut self, at: usize) -> Result<(), ExpressionError> {
        if self.cursor.eat("P<") || self.cursor.eat("<") {
            return self.named_group(at);
        }
        let mut flags = self.flags;
        let (mut value, mut empty) = (true, false);
        loop {
            let flag = match self.cursor.take() {
                Some('i') => &mut flags.fold_case,
                Some('m') => &mut flags.lines,
                Some('s') => &mut flags.dot_newline,
                Some('U') => &mut flags.lazy,
                Some('-') if value => {
                    (value, empty) = (false, true);
                    continue;
                }
                Some(':') if !empty => {
                    self.begin(at, "(?:", flags);
                    return Ok(());
                }
                Some(')') if !empty => {
                    self.flags = flags;
                    return Ok(());
                }
                _ => {
                    return Err(self
                        .cursor
                        .error(at, "begins nothing that Go knows: flags are i, m, s and U"));
                }
            };
            *flag = value;
            empty = false;
        }
    }

    fn named_group(&mut self, at: usize) -> Result<(), ExpressionError> {
        let name = self.cursor.take_until(">").unwrap_or_default();
        if name.is_empty() || name.contains(|c: char| c != '_' && !c.is_ascii_alphanumeric()) {
            return Err(self.cursor.error(
                at,
                "names a group with something else than letters, digits and _, or not at all",
            ));
        }
        // The engine takes neither of the others. They keep their number.
        let usable = !name.starts_with(|c: char| c.is_ascii_digit()) && !self.names.contains(&name);
        if usable {
            self.names.push(name);
            self.begin(at, &format!("(?P<{name}>"), self.flags);
        } else {
            self.begin(at, "(", self.flags);
        }
        Ok(())
    }

    /// `2}`, `2,}` or `2,3}`; anything else makes the brace before it a character. Nothing is read then.
    fn take_counts(&mut self) -> Option<(u32, Option<u32>)> {
        let mut ahead = self.cursor;
        let least = ahead.take_count()?;
        let most = if !ahead.eat(",") {
            Some(least)
        } else if ahead.rest().starts_with('}') {
            None
        } else {
            Some(ahead.take_count()?)
        };
        if !ahead.eat("}") {
            return None;
        }
        self.cursor = ahead;
        Some((least, most))
    }

    /// Repeats what is behind `self.atom`; the operator is at `at`, and one that ended there began at `previous`.
    fn repeat(
        &mut self,
        at: usize,
        previous: Option<usize>,
        least: u32,
        most: Option<u32>,
    ) -> Result<(), ExpressionError> {
        let counts = most.map_or(least, |most| most.max(least));
        if counts > MOST_REPEATS || most.is_some_and(|most| most < least) {
            return Err(self.cursor.error(
                at,
                "repeats more than 1000 times, or has its numbers the wrong way round",
            ));
        }
        let lazy = self.cursor.eat("?") != self.flags.lazy;
        if let Some(previous) = previous {
            return Err(self
                .cursor
                .error(previous, "repeats a repetition: put the first one into a group"));
        }
        let Some(atom) = self.atom.as_mut() else {
            return Err(self.cursor.error(at, "has nothing to repeat before it"));
        };
        if atom.loose {
            self.out.insert_str(atom.start, "(?:");
            self.out.push(')');
        }
        atom.loose = true;
        atom.repeats = match most {
            Some(0) => 1,
            _ => atom.repeats.saturating_mul(counts.max(1)),
        };
        if counts >= 2 && atom.repeats > MOST_REPEATS {
            return Err(self.cursor.error(at, "makes more than 1000 repeats with those inside it"));
        }
        self.out.push_str(&operator(least, most));
        if lazy {
            self.out.push('?');
        }
        self.repetition = Some(at);
        Ok(())
    }
}

/// A repetition as both syntaxes write it.
fn operator(least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (_, None) => format!("{{{least},}}"),
        (_, Some(most)) if most == least => format!("{{{least}}}"),
        (_, Some(most)) => format!("{{{least},{most}}}"),
    }
}
