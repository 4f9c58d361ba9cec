use super::*;
use proptest::prelude::*;

/// Expressions, texts in which Go 1.26 finds them, and texts in which it does not. Written by a Go program that runs
/// `regexp` on each, as oauth2-proxy does.
#[rustfmt::skip]
const FOUND: &[(&str, &[&str], &[&str])] = &[
    (r"^/api/\d+$", &["/api/1"], &["/api/\u{0663}"]),
    (r"^/h/\D+$", &["/h/a", "/h/\u{0663}"], &["/h/1"]),
    (r"^/u/\w+$", &["/u/a_9"], &["/u/\u{00e9}", "/u/\u{ff21}"]),
    (r"^/g/\W$", &["/g/-", "/g/\u{00e9}"], &["/g/a"]),
    (r"^/r/\s$", &["/r/ ", "/r/\t"], &["/r/\u{00a0}", "/r/\u{2028}", "/r/\x0b"]),
    (r"^/r/\S$", &["/r/\u{00a0}", "/r/a"], &["/r/ "]),
    (r"^/p/[^/\s]+$", &["/p/a", "/p/\u{00a0}", "/p/\u{3000}"], &["/p/ "]),
    (r"^/n/[\w-]+$", &["/n/a-b"], &["/n/\u{00e9}"]),
    (r"^/n/[^\w]$", &["/n/\u{00e9}"], &["/n/a"]),
    (r"^/n/[\W\d]+$", &["/n/\u{00e9}1"], &["/n/a"]),
    (r"^/b/x\b", &["/b/x", "/b/x\u{00e9}"], &["/b/xa"]),
    (r"x\B", &["xa"], &["x", "x\u{00e9}"]),
    (r"^\B$", &[""], &["a"]),
    ("\\b\u{00e9}", &["a\u{00e9}"], &["\u{00e9}", "\u{00e9} a"]),
    ("^/c/[a&&b]$", &["/c/a", "/c/&", "/c/b"], &["/c/c"]),
    ("^/s/[a&&&b]$", &["/s/a", "/s/&", "/s/b"], &[]),
    ("^/e/[a~~b]$", &["/e/a", "/e/~", "/e/b"], &[]),
    ("^[+--]$", &["+", ",", "-"], &["."]),
    ("^[!--/]$", &["!", "-", "/"], &["."]),
    ("^/d/[[a]b]$", &["/d/[b]", "/d/ab]"], &["/d/a", "/d/b"]),
    ("^/t/[!-~&&[^x]]+$", &["/t/a]", "/t/^]"], &["/t/a", "/t/x"]),
    ("^[[a-c&&b]$", &["b", "[", "&"], &[]),
    ("^[a[:digit:]]$", &["a", "1"], &["["]),
    ("^[[:word:]]$", &["_"], &["\u{00e9}"]),
    ("^[[:alpha:]]$", &["a"], &["\u{00e9}", "1"]),
    ("^[[:^alpha:]]$", &["\u{00e9}"], &["a"]),
    ("^[^[:^alpha:]]$", &["a"], &["\u{00e9}"]),
    ("^[[:space:]]$", &["\x0b", " "], &["\u{00a0}"]),
    ("^[[:punct:]]+$", &["!/:@[`{~"], &["a", "\u{00a7}"]),
    ("^[[:graph:][:blank:]]+$", &["a \t"], &["\n"]),
    ("^[[:xdigit:]]+$", &["0aF"], &["g"]),
    ("^[[:a]$", &["[", ":", "a"], &["b"]),
    ("^[:alpha:]$", &[":", "a"], &["b"]),
    ("^[]a]$", &["]", "a"], &[]),
    ("^[^]a]$", &["b"], &["]", "a"]),
    ("^[a-]$", &["a", "-"], &["b"]),
    ("^[-a]$", &["a", "-"], &["b"]),
    (r"^[\d-z]$", &["1", "-", "z"], &["y"]),
    (r"^[\w-]$", &["-", "a"], &["."]),
    (r"^[a\-c]$", &["-"], &["b"]),
    (r"^[\]\[]$", &["[", "]"], &["a"]),
    (r"^[\x41-\x{43}]$", &["B"], &["D"]),
    ("^[Z-[]$", &["[", "Z"], &["Y"]),
    ("^[$^.|?*+(){}]+$", &["$^.|?*+(){}"], &["a"]),
    ("^[#&~ -]+$", &["#& ~-"], &[","]),
    ("^[\u{00e9}-\u{00ff}]$", &["\u{00e9}", "\u{00ea}"], &["e"]),
    (r"/f\<x", &["/f<x"], &["/fx"]),
    (r"^/o\>", &["/o>"], &["/o/x"]),
    (r"a\/b\-c\_d\#e\ f", &["a/b-c_d#e f"], &[]),
    (r"^\Qa+b\E$", &["a+b"], &["aab"]),
    (r"^\Qa+b", &["a+b"], &["aab"]),
    (r"^\Qab\E*$", &["abb"], &["abab"]),
    (r"^a\Q\E*$", &["aa", ""], &[]),
    (r"^\Q\d\\E$", &["\\d\\"], &["1"]),
    ("^x{$", &["x{"], &["x"]),
    ("^x{,5}$", &["x{,5}"], &["xx"]),
    ("^x{1$", &["x{1"], &["x"]),
    ("^x{01}$", &["x{01}"], &["x"]),
    ("^x{1,02}$", &["x{1,02}"], &["x"]),
    ("^{$", &["{"], &[""]),
    ("^x{ 1}$", &["x{ 1}"], &["x"]),
    ("^x}$", &["x}"], &[]),
    ("^x{2}$", &["xx"], &["x"]),
    ("^x{2,}$", &["xxx"], &["x"]),
    ("^x{0}y$", &["y"], &["xy"]),
    (r"^\07$", &["\x07"], &["7"]),
    (r"^\123$", &["S"], &[]),
    (r"^\0$", &["\x00"], &[]),
    (r"^\777$", &["\u{01ff}"], &["?7"]),
    (r"^\12$", &["\n"], &[]),
    (r"^\1234$", &["S4"], &[]),
    (r"^\x41\x{0041}\x{1F600}$", &["AA\u{1f600}"], &[]),
    (r"^\a\f\n\r\t\v$", &["\x07\x0c\n\r\t\x0b"], &[]),
    (r"^\p{Greek}$", &["\u{03b1}"], &["a"]),
    (r"^\p{greek}\p{GREEK}$", &["\u{03b1}\u{03b1}"], &[]),
    (r"^\P{Greek}$", &["a"], &["\u{03b1}"]),
    (r"^\p{^Greek}$", &["a"], &["\u{03b1}"]),
    (r"^\P{^Greek}$", &["\u{03b1}"], &["a"]),
    (r"^\pN$", &["1", "\u{0663}"], &["a"]),
    (r"^\PN$", &["a"], &["1"]),
    (r"^\pLu$", &["Au"], &["A"]),
    (r"^\p{Lu}$", &["A", "\u{00c9}"], &["a"]),
    (r"^\p{Uppercase_Letter}\p{uppercase letter}$", &["AA"], &["aa"]),
    (r"^[\p{Lu}\d]$", &["A", "1"], &["a"]),
    (r"^[^\PL]$", &["\u{00e9}"], &["1"]),
    (r"^\p{Any}$", &["\u{00e9}", "\u{1f600}"], &[]),
    (r"^\p{ASCII}$", &["a"], &["\u{00e9}"]),
    (r"^\p{Assigned}$", &["a"], &["\u{0378}"]),
    (r"^\p{Cn}$", &["\u{0378}"], &["a"]),
    (r"^\p{Cs}$", &[], &["a"]),
    (r"^\P{Cs}$", &["a"], &[]),
    (r"^\p{L}$", &["\u{019b}"], &["\u{105c0}"]),
    (r"^\pC$", &["\u{105c0}"], &["a"]),
    ("^/j/(?i)k$", &["/j/K", "/j/\u{212a}"], &["/J/k"]),
    (r"(?i)^\w$", &["s", "\u{017f}", "\u{212a}"], &["\u{00e9}"]),
    (r"(?i)^\W$", &["\u{00e9}"], &["\u{017f}"]),
    ("(?i)^[^k]$", &["l"], &["K", "\u{212a}"]),
    ("(?i)^\u{00c9}$", &["\u{00e9}"], &["e"]),
    (r"(?i)^\p{Lu}$", &["a"], &["1"]),
    ("(?i)^[[:upper:]]$", &["a", "\u{017f}"], &[]),
    ("^a(?i)b|c$", &["ab", "aB", "C"], &["AB"]),
    ("^(a(?i)b)c$", &["aBc"], &["aBC"]),
    ("^(?i:a)b$", &["Ab"], &["AB"]),
    ("(?i)^a(?-i)b$", &["Ab"], &["AB"]),
    ("(?i)^(?-i:a)b$", &["aB"], &["AB"]),
    ("^a(?i)*$", &["", "aa"], &["A"]),
    ("^a*(?i)*$", &["aa"], &[]),
    ("^*a", &["ba"], &[]),
    ("a$*b", &["ab"], &[]),
    ("^()+$", &[""], &["a"]),
    (r"^\b*a", &["a"], &[]),
    ("^(?:)*$", &[""], &[]),
    ("^(?P<n>a)(?<m>b)$", &["ab"], &[]),
    ("^(?P<n>a)(?P<n>b)$", &["ab"], &[]),
    ("^(?P<1>a)$", &["a"], &[]),
    ("^(?)a$", &["a"], &[]),
    ("^(?:)a$", &["a"], &[]),
    ("^.$", &["\u{00e9}"], &["\n", "ab"]),
    ("(?s)^.$", &["\n"], &[]),
    ("(?s-s:^.$)", &["a"], &["\n"]),
    ("^a$", &["a"], &["a\n", "b\na"]),
    ("(?m)^a$", &["b\na", "b\na\nc"], &["ba"]),
    (r"(?m)^a\z", &["b\na"], &["a\nb"]),
    (r"(?m)\Aa$", &["a\nb"], &["b\na"]),
    ("(?U)^a+$", &["aa"], &[]),
    ("^a+?$", &["aa"], &[]),
    ("^a??$", &["a"], &[]),
    ("a|", &["b"], &[]),
    ("^(|a)$", &["", "a"], &[]),
    ("^.$", &["\u{fffd}"], &[]),
];

/// Expressions that Go 1.26 refuses.
const REFUSED: &[&str] = &[
    "a**",
    "a++",
    "a*+",
    "a???",
    "a{2}{3}",
    "a{2}*",
    "*a",
    "(*a)",
    "(?:+)",
    "a|*",
    "(?i)*",
    "{2}",
    "x{1001}",
    "x{2,1}",
    "x{1001,}",
    "x{99999999999}",
    "(x{100}){11}",
    "((x{10}){10}){11}",
    "[[:nope:]]",
    "[[:d:]]",
    "[[:a]b:]",
    "[a--b]",
    "[z-a]",
    r"[a-\d]",
    "[a-[:alpha:]]",
    "[a",
    "[]",
    "[^]",
    r"[\Qa\E]",
    r"[\b]",
    r"[\z]",
    "(?x)",
    "(?R)",
    "(?u)a",
    "(?u:a)",
    "(?-)",
    "(?i-)",
    "(?i-s-m)",
    "(?",
    "(?i",
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?<!a)",
    "(?>a)",
    "(?#a)",
    "(?P=n)",
    "(?P>n)",
    "(?'n'a)",
    "(?P<>a)",
    "(?P<n",
    "(?P<a-b>c)",
    "(?<\u{00e9}>c)",
    "(",
    "a)",
    "(a",
    "())",
    r"\p{Alphabetic}",
    r"\p{Script=Greek}",
    r"\p{sc=Greek}",
    r"\p{Greek",
    r"\p",
    r"\p{}",
    r"\p{^^L}",
    r"\pX",
    r"\u0041",
    r"\U00000041",
    r"\C",
    r"\Z",
    r"\G",
    r"\h",
    r"\R",
    r"\K",
    r"\X",
    r"\N",
    r"\E",
    r"\e",
    "\\\u{00e9}",
    r"\1",
    r"\18",
    r"\8",
    r"\x",
    r"\x4",
    r"\x{}",
    r"\x{4",
    r"\x{g}",
    r"\x{110000}",
    r"\",
    r"\b{start}x{2}{3}",
    r"a\",
];

fn compiled(expression: &str) -> Regex {
    regex(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

fn refusal(expression: &str) -> String {
    match regex(expression) {
        Ok(regex) => panic!("{expression} became {regex}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn it_matches_what_go_matches() {
    for (expression, found, not_found) in FOUND {
        let regex = compiled(expression);
        for text in *found {
            assert!(regex.is_match(text), "{expression} as {regex} on {text:?}");
        }
        for text in *not_found {
            assert!(!regex.is_match(text), "{expression} as {regex} on {text:?}");
        }
    }
    assert!(compiled("^(?:x{2}){500}$").is_match(&"x".repeat(1000)));
}

#[test]
fn what_go_refuses_is_refused() {
    for expression in REFUSED {
        let refused = regex(expression);
        assert!(
            matches!(&refused, Err(ExpressionError::Syntax { .. })),
            "{expression}: {refused:?}"
        );
    }
}

#[test]
fn a_refusal_names_the_construct() {
    for (expression, message) in [
        ("^/a++$", "`++` repeats a repetition: put the first one into a group"),
        ("^/(?x)a", "`(?x` begins nothing that Go knows: flags are i, m, s and U"),
        ("^/[a--b]", "`a--` is a range that ends before it begins"),
        ("^/[[:nope:]]", "`[:nope:]` is no class that Go knows"),
        (r"^/\p{Alphabetic}", r"`\p{Alphabetic}` is no category or script that Go knows"),
        (r"^/\u0041", r"`\u` is no escape of Go's syntax"),
        ("^/(open", "`(open` has an opening ( that nothing closes"),
        (
            "^/a{1001}",
            "`{1001}` repeats more than 1000 times, or has its numbers the wrong way round",
        ),
    ] {
        assert_eq!(refusal(expression), message);
    }
}

/// Go takes these. Halves of surrogate pairs match nothing there, or U+FFFD; the rest is a matter of size.
#[test]
fn what_is_refused_beyond_that() {
    for expression in [r"a\x{D800}", r"[\x{D800}-\x{DFFF}]"] {
        assert!(refusal(expression).contains("surrogate"), "{expression}");
    }
    assert!(refusal(r"\pL{1000}").contains("1 MiB"));
    assert!(refusal(&format!("{}a{}", "(".repeat(300), ")".repeat(300))).contains("250"));
}

#[test]
fn groups_keep_their_numbers_and_usable_names() {
    let regex = compiled("^(?:/)(?P<1>a)(?<n>b)(?P<n>c)(?i)(d)$");
    assert_eq!(regex.replace("/abcD", "$1-${n}-$3-$4"), "a-b-c-D");
}

#[test]
fn repetitions_take_as_much_as_in_go() {
    for (expression, first) in
        [("(a+)", "aa"), ("(a+?)", "a"), ("(?U)(a+)", "a"), ("(?U)(a+?)", "aa"), ("(a{1,}?)", "a")]
    {
        let regex = compiled(expression);
        assert_eq!(regex.find("aa").map(|found| found.as_str()), Some(first), "{expression}");
    }
}

proptest! {
    #[test]
    fn any_text_is_translated_or_refused(text in any::<String>(), soup in soup()) {
        for text in [text, soup] {
            if let Err(ExpressionError::Size(why)) = regex(&text) {
                let ours = why.contains("1 MiB") || why.contains("250");
                prop_assert!(ours, "{:?} became what the engine refuses: {}", text, why);
            }
        }
    }

    #[test]
    fn a_literal_finds_itself(text in any::<String>()) {
        prop_assume!(!text.contains(r"\E"));
        let expression = format!(r"^\Q{text}\E$");
        prop_assert!(compiled(&expression).is_match(&text));
    }

    #[test]
    fn nothing_beyond_ascii_is_a_digit_a_blank_or_a_word(text in "[^\x00-\x7f]{1,3}") {
        prop_assert!(!compiled(r"[\d\s\w]|\b|[[:alpha:]]").is_match(&text));
        prop_assert!(compiled(r"^[^\d]\W*\D*$").is_match(&text));
    }
}

fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "é",
        "-",
        "&&",
        "[",
        "[^",
        "]",
        "[:alpha:]",
        "(",
        "(?i)",
        "(?P<n>",
        "(?:",
        ")",
        "|",
        "^",
        "$",
        ".",
        "*",
        "+",
        "?",
        "{2}",
        "{",
        "{,2}",
        r"\d",
        r"\W",
        r"\b",
        r"\Q",
        r"\E",
        r"\pL",
        r"\x41",
        r"\07",
        r"\",
        "<",
        "~~",
        "--",
        " ",
        "#",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
