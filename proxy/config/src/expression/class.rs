//! Sets of characters: what their names mean in Go, written out for the engine.
//!
//! Go's tables are of Unicode 15, the engine's are newer. What is only in these is cut off by age.

use super::ExpressionError;
use super::cursor::Cursor;

/// Members of `\d`, `\s` and `\w`, and of what stands between `[:` and `:]`; ASCII, all of them.
const ASCII: [(&str, &str); 17] = [
    ("d", "0-9"),
    ("s", r"\t\n\x0c\r "),
    ("w", "0-9A-Z_a-z"),
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", r"\x00-\x7f"),
    ("blank", r"\t "),
    ("cntrl", r"\x00-\x1f\x7f"),
    ("digit", "0-9"),
    ("graph", r"\x21-\x7e"),
    ("lower", "a-z"),
    ("print", r"\x20-\x7e"),
    ("punct", r"\x21-/:-@\x5b-`\x7b-\x7e"),
    ("space", r"\t-\r "),
    ("upper", "A-Z"),
    ("word", "0-9A-Z_a-z"),
    ("xdigit", "0-9A-Fa-f"),
];

/// General categories, by all names that Go has for them.
const CATEGORIES: [(&str, &[&str]); 38] = [
    ("c", &["other"]),
    ("cc", &["cntrl", "control"]),
    ("cf", &["format"]),
    ("cn", &["unassigned"]),
    ("co", &["privateuse"]),
    ("cs", &["surrogate"]),
    ("l", &["letter"]),
    ("lc", &["casedletter"]),
    ("ll", &["lowercaseletter"]),
    ("lm", &["modifierletter"]),
    ("lo", &["otherletter"]),
    ("lt", &["titlecaseletter"]),
    ("lu", &["uppercaseletter"]),
    ("m", &["combiningmark", "mark"]),
    ("mc", &["spacingmark"]),
    ("me", &["enclosingmark"]),
    ("mn", &["nonspacingmark"]),
    ("n", &["number"]),
    ("nd", &["decimalnumber", "digit"]),
    ("nl", &["letternumber"]),
    ("no", &["othernumber"]),
    ("p", &["punct", "punctuation"]),
    ("pc", &["connectorpunctuation"]),
    ("pd", &["dashpunctuation"]),
    ("pe", &["closepunctuation"]),
    ("pf", &["finalpunctuation"]),
    ("pi", &["initialpunctuation"]),
    ("po", &["otherpunctuation"]),
    ("ps", &["openpunctuation"]),
    ("s", &["symbol"]),
    ("sc", &["currencysymbol"]),
    ("sk", &["modifiersymbol"]),
    ("sm", &["mathsymbol"]),
    ("so", &["othersymbol"]),
    ("z", &["separator"]),
    ("zl", &["lineseparator"]),
    ("zp", &["paragraphseparator"]),
    ("zs", &["spaceseparator"]),
];

/// Scripts. Go has more, but does not find one whose name has several words.
const SCRIPTS: &str = "adlam ahom arabic armenian avestan balinese bamum batak bengali bhaiksuki bopomofo brahmi braille \
    buginese buhid carian chakma cham cherokee chorasmian common coptic cuneiform cypriot cyrillic deseret devanagari \
    dogra duployan elbasan elymaic ethiopic georgian glagolitic gothic grantha greek gujarati gurmukhi han hangul \
    hanunoo hatran hebrew hiragana inherited javanese kaithi kannada katakana kawi kharoshthi khmer khojki khudawadi \
    lao latin lepcha limbu lisu lycian lydian mahajani makasar malayalam mandaic manichaean marchen medefaidrin miao \
    modi mongolian mro multani myanmar nabataean nandinagari newa nko nushu ogham oriya osage osmanya palmyrene \
    phoenician rejang runic samaritan saurashtra sharada shavian siddham sinhala sogdian soyombo sundanese syriac \
    tagalog tagbanwa takri tamil tangsa tangut telugu thaana thai tibetan tifinagh tirhuta toto ugaritic vai vithkuqi \
    wancho yezidi yi";

/// A named set, if one comes next that is written with a backslash: `\d`, `\pN`, `\p{Greek}`, and their complements in
/// capital letters.
pub(super) fn take_set(cursor: &mut Cursor<'_>) -> Result<Option<String>, ExpressionError> {
    let start = cursor.at();
    let negated = match cursor.rest().strip_prefix('\\').and_then(|rest| rest.chars().next()) {
        Some('p' | 'd' | 's' | 'w') => false,
        Some('P' | 'D' | 'S' | 'W') => true,
        _ => return Ok(None),
    };
    cursor.take();
    let letter = cursor.take().unwrap_or_default().to_ascii_lowercase();
    if letter != 'p' {
        return Ok(ascii(letter.encode_utf8(&mut [0; 4]), negated));
    }
    let name = if cursor.eat("{") {
        cursor.take_until("}")
    } else {
        let at = cursor.at();
        cursor.take().map(|_| cursor.since(at))
    };
    let Some(name) = name else {
        cursor.take_rest();
        return Err(cursor.error(start, "has no name, or no } behind it"));
    };
    let (name, negated) = name.strip_prefix('^').map_or((name, negated), |rest| (rest, !negated));
    unicode(name, negated)
        .map(Some)
        .ok_or_else(|| cursor.error(start, "is no category or script that Go knows"))
}

/// A class in brackets, behind the first one, which is at `start`.
pub(super) fn take_bracketed(
    cursor: &mut Cursor<'_>,
    start: usize,
) -> Result<String, ExpressionError> {
    let mut class = String::from(if cursor.eat("^") { "[^" } else { "[" });
    let mut first = true;
    while first || !cursor.eat("]") {
        first = false;
        if let Some(set) = take_posix(cursor)? {
            class.push_str(&set);
        } else if let Some(set) = take_set(cursor)? {
            class.push_str(&set);
        } else {
            take_range(cursor, start, &mut class)?;
        }
    }
    class.push(']');
    Ok(class)
}

/// `[:alpha:]` or `[:^alpha:]`; brackets with a colon that nothing closes are characters.
fn take_posix(cursor: &mut Cursor<'_>) -> Result<Option<String>, ExpressionError> {
    let start = cursor.at();
    let mut ahead = *cursor;
    if !ahead.eat("[:") {
        return Ok(None);
    }
    let Some(name) = ahead.take_until(":]") else { return Ok(None) };
    *cursor = ahead;
    let (name, negated) = name.strip_prefix('^').map_or((name, false), |rest| (rest, true));
    // The first three are no names, but letters behind a backslash.
    let set = if name.len() > 1 { ascii(name, negated) } else { None };
    set.map(Some).ok_or_else(|| cursor.error(start, "is no class that Go knows"))
}

/// One character, or two with a hyphen between them.
fn take_range(
    cursor: &mut Cursor<'_>,
    start: usize,
    class: &mut String,
) -> Result<(), ExpressionError> {
    let range = cursor.at();
    let low = take_member(cursor, start)?;
    push_member(class, low);
    let rest = cursor.rest();
    if rest.len() > 1 && rest.starts_with('-') && !rest.starts_with("-]") {
        cursor.take();
        let high = take_member(cursor, start)?;
        if high < low {
            return Err(cursor.error(range, "is a range that ends before it begins"));
        }
        class.push('-');
        push_member(class, high);
    }
    Ok(())
}

fn take_member(cursor: &mut Cursor<'_>, start: usize) -> Result<char, ExpressionError> {
    let at = cursor.at();
    match cursor.take() {
        Some('\\') => cursor.take_escaped(at),
        Some(plain) => Ok(plain),
        None => Err(cursor.error(start, "has no closing ]")),
    }
}

/// By number, so that nothing is an operator.
fn push_member(class: &mut String, member: char) {
    if member.is_ascii_alphanumeric() || !member.is_ascii() {
        class.push(member);
    } else {
        let number = format!(r"\x{:02x}", u32::from(member));
        class.push_str(&number);
    }
}

fn ascii(name: &str, negated: bool) -> Option<String> {
    let (_, members) = ASCII.iter().find(|(own, _)| *own == name)?;
    Some(format!("[{}{members}]", if negated { "^" } else { "" }))
}

fn unicode(name: &str, negated: bool) -> Option<String> {
    let name: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
    let name = name.to_ascii_lowercase();
    let sign = |negated: bool| if negated { "^" } else { "" };
    let of_age = |property: &str| format!(r"[{}\p{{{property}}}&&\p{{age=15.0}}]", sign(negated));
    let with_unassigned =
        |property: &str| format!(r"[{}\P{{{property}}}&&\p{{age=15.0}}]", sign(!negated));
    let category = CATEGORIES.iter().find(|(own, others)| *own == name || others.contains(&&*name));
    Some(match (name.as_str(), category) {
        ("any", _) => format!("[{}\\x00-\u{10ffff}]", sign(negated)),
        ("ascii", _) => format!(r"[{}\x00-\x7f]", sign(negated)),
        ("assigned", _) => return unicode("cn", !negated),
        // Halves of surrogate pairs: no text holds one.
        (_, Some(("cs", _))) => format!("[{}\\x00-\u{10ffff}]", sign(!negated)),
        (_, Some((own @ ("c" | "cn"), _))) => with_unassigned(&format!("gc={own}")),
        (_, Some((own, _))) => of_age(&format!("gc={own}")),
        _ if SCRIPTS.split(' ').any(|own| own == name) => of_age(&format!("sc={name}")),
        _ => return None,
    })
}
