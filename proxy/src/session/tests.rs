//! Sealing, reading and ageing sessions.

use super::*;
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NAME: &str = "_oauth2_proxy";
const MAX: usize = 80_000;

fn ring(secrets: &[&str]) -> KeyRing {
    KeyRing::new(secrets).unwrap()
}

/// As text: a token can not be printed.
fn token() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(".{0,200}")
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-62_000_000_000_000_i64..253_000_000_000_000)
        .prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

prop_compose! {
    fn identity()(
        user in ".{0,40}",
        email in proptest::option::of(".{0,40}"),
        groups in proptest::collection::vec(".{0,20}", 0..20),
        preferred_username in proptest::option::of(".{0,20}"),
    ) -> Identity {
        Identity { user, email, groups, preferred_username }
    }
}

prop_compose! {
    fn session()(
        provider in "[a-z]{0,10}",
        times in (time(), proptest::option::of(time())),
        tokens in (token(), token(), token()),
        nonce in proptest::option::of(any::<[u8; 32]>()),
        identity in identity(),
    ) -> Session {
        let (created_at, expires_at) = times;
        let [access_token, id_token, refresh_token] =
            [tokens.0, tokens.1, tokens.2].map(|text| text.map(Token::new));
        Session { provider, created_at, expires_at, access_token, id_token, refresh_token, nonce, identity }
    }
}

proptest! {
    #[test]
    fn a_session_comes_back_as_it_was_sealed(session in session()) {
        let ring = ring(&[SECRET]);
        let text = ring.seal(Purpose::Session, NAME, &encode(&session));
        let plain = ring.open(Purpose::Session, NAME, &text, MAX).unwrap();
        prop_assert!(decode(&plain) == Ok(session));
    }

    #[test]
    fn a_record_comes_back_as_it_was_sealed(session in session(), secret: [u8; 32]) {
        let sealed = seal_record(&secret, "name-00", &encode(&session));
        prop_assert!(decode(&open_record(&secret, "name-00", &sealed).unwrap()) == Ok(session));
        prop_assert_eq!(open_record(&secret, "name-01", &sealed), Err(SealError::Forged));
    }

    #[test]
    fn any_changed_bit_is_refused(plain in proptest::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, bit in 0..8_u8) {
        let ring = ring(&[SECRET]);
        let text = ring.seal(Purpose::Session, NAME, &plain);
        let mut bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(&text).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let changed = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&bytes);
        prop_assert!(ring.open(Purpose::Session, NAME, &changed, MAX).is_err());
    }

    #[test]
    fn any_text_is_opened_or_refused_without_a_panic(text in "\\PC{0,400}", bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let ring = ring(&[SECRET]);
        prop_assert!(ring.open(Purpose::Session, NAME, &text, MAX).is_err());
        prop_assert!(open_record(&[7; 32], "id", &bytes).is_err());
        let _ = decode(&bytes);
    }

    #[test]
    fn a_cut_record_is_refused(session in session(), cut: prop::sample::Index) {
        let bytes = encode(&session);
        let cut = cut.index(bytes.len());
        prop_assert!(decode(&bytes[..cut]).is_err());
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        prop_assert!(decode(&longer) == Err(record::RecordError::Malformed));
    }
}

#[test]
fn a_sealed_text_opens_only_for_its_purpose_and_name() {
    let ring = ring(&[SECRET]);
    let text = ring.seal(Purpose::Session, NAME, b"plain");
    assert_eq!(ring.open(Purpose::Session, NAME, &text, MAX).unwrap().as_slice(), b"plain");
    assert_eq!(ring.open(Purpose::Ticket, NAME, &text, MAX), Err(SealError::Forged));
    assert_eq!(ring.open(Purpose::Login, NAME, &text, MAX), Err(SealError::Forged));
    assert_eq!(ring.open(Purpose::Session, "_oauth2_proxy_0", &text, MAX), Err(SealError::Forged));
    assert_eq!(ring.open(Purpose::Session, NAME, &text, text.len() - 1), Err(SealError::TooLong));
}

#[test]
fn the_first_key_seals_and_all_open() {
    let (old, new) = ("an old secret, long enough", "a new secret, long enough");
    let before = ring(&[old]).seal(Purpose::Session, NAME, b"plain");
    let both = ring(&[new, old]);
    assert!(both.open(Purpose::Session, NAME, &before, MAX).is_ok());
    let after = both.seal(Purpose::Session, NAME, b"plain");
    assert!(ring(&[new]).open(Purpose::Session, NAME, &after, MAX).is_ok());
    assert_eq!(ring(&[old]).open(Purpose::Session, NAME, &after, MAX), Err(SealError::UnknownKey));
    assert_eq!(ring(&[new]).open(Purpose::Session, NAME, &before, MAX), Err(SealError::UnknownKey));
}

#[test]
fn short_secrets_and_no_secrets_make_no_ring() {
    let error = |secrets: &[&str]| KeyRing::new(secrets).err().unwrap();
    assert_eq!(error(&[]), KeyRingError::Empty);
    assert_eq!(error(&[SECRET, "fifteen bytes.."]), KeyRingError::Short { index: 1, length: 15 });
    assert!(error(&[""]).to_string().contains("at least 16"));
}

/// A stored format is never changed: this text was written when it was introduced.
#[test]
fn the_first_version_of_the_format_is_read_for_ever() {
    let text = include_str!("tests/sealed.v1.txt").trim();
    let ring = ring(&[SECRET]);
    let session = decode(&ring.open(Purpose::Session, NAME, text, MAX).unwrap()).unwrap();
    assert!(session == recorded());
    assert!(!text.contains('|'), "the peer's form is told from ours by its separators");
}

fn recorded() -> Session {
    Session {
        provider: "main".to_owned(),
        created_at: "2026-11-23T20:00:00.123Z".parse().unwrap(),
        expires_at: Some("2026-11-23T20:05:00Z".parse().unwrap()),
        access_token: Some(Token::new("access")),
        id_token: Some(Token::new("id")),
        refresh_token: None,
        nonce: Some([7; 32]),
        identity: Identity {
            user: "subject".to_owned(),
            email: Some("kim@vectors.example".to_owned()),
            groups: vec!["staff".to_owned(), "grüppe".to_owned()],
            preferred_username: Some("kim".to_owned()),
        },
    }
}

fn lifetime(lifetime: u64, refresh: u64) -> Lifetime {
    Lifetime::new(
        proxy_config::Duration::from_secs(lifetime),
        proxy_config::Duration::from_secs(refresh),
    )
}

#[test]
fn a_session_ends_when_its_lifetime_is_over() {
    let session = recorded();
    let at = |seconds: i64| session.created_at + seconds.seconds();
    let hour = lifetime(3600, 0);
    assert!(hour.is_alive(&session, at(3599)));
    assert!(!hour.is_alive(&session, at(3600)));
    assert!(lifetime(0, 0).is_alive(&session, at(10_000_000)), "zero means no bound");
}

#[test]
fn a_session_from_the_future_is_not_believed() {
    let session = recorded();
    assert!(lifetime(0, 0).is_alive(&session, session.created_at - 300.seconds()));
    assert!(!lifetime(0, 0).is_alive(&session, session.created_at - 301.seconds()));
}

#[test]
fn a_session_is_due_by_its_age_whatever_became_of_its_access_token() {
    let session = recorded();
    let at =
        |seconds: i64| "2026-11-23T20:00:00.123Z".parse::<Timestamp>().unwrap() + seconds.seconds();
    assert!(lifetime(3600, 60).is_refresh_due(&session, at(61)));
    assert!(!lifetime(3600, 60).is_refresh_due(&session, at(60)));
    assert!(!lifetime(3600, 3000).is_refresh_due(&session, at(3000)), "its token expired at 300");
    assert!(lifetime(3600, 3000).is_refresh_due(&session, at(3001)));
    assert!(!lifetime(3600, 0).is_refresh_due(&session, at(3000)), "refreshing is off");
}

#[test]
fn a_session_that_can_not_be_renewed_ends_with_its_access_token_but_not_before_it_is_due() {
    let mut session = recorded();
    let expiry = session.expires_at.unwrap();
    assert!(!lifetime(3600, 60).is_alive(&session, expiry));
    let due = session.created_at + 600.seconds();
    assert!(lifetime(3600, 600).is_alive(&session, expiry));
    assert!(lifetime(3600, 600).is_alive(&session, due - 1.seconds()));
    assert!(!lifetime(3600, 600).is_alive(&session, due));
    assert!(
        lifetime(3600, 0).is_alive(&session, expiry),
        "with refreshing off the token's expiry means nothing"
    );
    session.refresh_token = Some(Token::new("refresh"));
    assert!(lifetime(3600, 60).is_alive(&session, expiry));
    assert_eq!(lifetime(3600, 60).kept_for(), Some(SignedDuration::from_hours(1)));
}
