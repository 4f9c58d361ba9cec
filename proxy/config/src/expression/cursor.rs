//! A place in an expression, and what is wrong at it.

use super::ExpressionError;

/// Where the reader of an expression is.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The same text, read again from `at`.
    pub(super) fn rewound(&self, at: usize) -> Self {
        Self { at, ..*self }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What has been read since `start`.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn take(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// Reads `prefix` if it comes next.
    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    /// Reads up to `end` and over it. Without one nothing is read.
    pub(super) fn take_until(&mut self, end: &str) -> Option<&'a str> {
        let (found, _) = self.rest().split_once(end)?;
        self.at += found.len() + end.len();
        Some(found)
    }

    /// Reads all that is left.
    pub(super) fn take_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.at = self.text.len();
        rest
    }

    /// A number without leading zeros, as Go reads repeat counts; nothing is read if there is none.
    pub(super) fn take_count(&mut self) -> Option<u32> {
        let rest = self.rest();
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().filter(|d| !d.is_empty())?;
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.at += digits.len();
        Some(digits.parse().unwrap_or(u32::MAX))
    }

    /// What was read since `start` is wrong.
    pub(super) fn error(&self, start: usize, why: &'static str) -> ExpressionError {
        ExpressionError::Syntax { construct: self.since(start).to_owned(), why }
    }

    /// An escape of one character, behind its backslash, which is at `start`.
    pub(super) fn take_escaped(&mut self, start: usize) -> Result<char, ExpressionError> {
        let Some(character) = self.take() else {
            return Err(self.error(start, "is a backslash with nothing behind it"));
        };
        let value = match character {
            'a' => Some(0x07),
            't' => Some(0x09),
            'n' => Some(0x0a),
            'v' => Some(0x0b),
            'f' => Some(0x0c),
            'r' => Some(0x0d),
            'x' => self.take_hexadecimal(),
            '0'..='7' => self.take_octal(character),
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(u32::from(other)),
            _ => None,
        };
        let value = value.ok_or_else(|| self.error(start, "is no escape of Go's syntax"))?;
        char::from_u32(value)
            .ok_or_else(|| self.error(start, "is half of a surrogate pair, which no text holds"))
    }

    /// Two digits, or any number of them in braces.
    fn take_hexadecimal(&mut self) -> Option<u32> {
        if !self.eat("{") {
            let (high, low) = (self.take()?.to_digit(16)?, self.take()?.to_digit(16)?);
            return Some(high * 16 + low);
        }
        let digits = self.take_until("}").filter(|digits| !digits.is_empty())?;
        digits.chars().try_fold(0, |value, digit| {
            Some(value * 16 + digit.to_digit(16)?).filter(|value| *value <= u32::from(char::MAX))
        })
    }

    /// Up to three digits; one alone that is not zero would be a back-reference.
    fn take_octal(&mut self, first: char) -> Option<u32> {
        let mut value = first.to_digit(8)?;
        for place in 0..2 {
            let Some(digit) = self.rest().chars().next().and_then(|next| next.to_digit(8)) else {
                return (first == '0' || place > 0).then_some(value);
            };
            value = value * 8 + digit;
            self.take();
        }
        Some(value)
    }
}
