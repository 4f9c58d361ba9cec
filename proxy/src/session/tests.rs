//! Sealing, reading and ageing sessions.

use super::*;
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;
use proxy_config::SessionFormat;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NAME: &str = "_oauth2_proxy";
const MAX: usize = 80_000;

#[test]
fn what_the_log_calls_a_session_tells_it_apart_and_shows_nothing_of_its_id() {
    let session = |id| {
        let binding = Some(Binding { id, issuer: Fingerprint::of("https://id.example") });
        Session { binding, ..Session::new("main", Timestamp::UNIX_EPOCH) }
    };
    let (one, other) = (session([1; 16]).shown_id(), session([2; 16]).shown_id());
    assert_ne!(one, other);
    for (shown, id) in [(one, "0101"), (other, "0202")] {
        assert!(shown.len() == 10 && shown.bytes().all(|byte| byte.is_ascii_hexdigit()), "{shown}");
        assert!(!shown.contains(id), "{shown}");
    }
    assert_eq!(Session { binding: None, ..session([1; 16]) }.shown_id(), "-");
}

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
    fn login()(
        at in time(),
        credentials: u32,
        texts in (token(), token(), token()),
        times in proptest::option::of((any::<i64>(), any::<i64>())),
        amr in proptest::collection::vec(".{0,9}", 0..4),
    ) -> Login {
        let (subject, provider_session, acr) = texts;
        let (issued_at, auth_time) = times.unzip();
        Login { at, credentials, subject, provider_session, issued_at, auth_time, acr, amr }
    }
}

prop_compose! {
    fn session()(
        provider in "[a-z]{0,10}",
        ids in (any::<[u8; 16]>(), any::<[u8; 8]>(), proptest::option::of(any::<[u8; 32]>())),
        login in login(),
        times in (time(), time(), proptest::option::of(time())),
        tokens in (token(), token(), token()),
        left in any::<(bool, bool, bool)>(),
        identity in identity(),
        asked in proptest::collection::vec(".{0,9}", 0..4),
        values in proptest::collection::btree_map(".{0,9}", proptest::collection::vec(".{0,9}", 0..4), 0..4),
    ) -> Session {
        let (id, issuer, nonce) = ids;
        let (created_at, seen_at, expires_at) = times;
        let [access_token, id_token, refresh_token] =
            [tokens.0, tokens.1, tokens.2].map(|text| text.map(Token::new));
        let left_out = TokenKinds { access_token: left.0, id_token: left.1, refresh_token: left.2 };
        Session {
            provider,
            binding: Some(Binding { id, issuer: Fingerprint(issuer) }),
            login, created_at, seen_at, expires_at, access_token, id_token, refresh_token, left_out, nonce,
            identity,
            claims: Captured { asked, values },
        }
    }
}

/// What the first format holds of a session, as it is read from it.
fn first(session: &Session) -> Session {
    let mut login = Login { at: session.created_at, ..Login::default() };
    login.subject = Some(session.identity.user.clone());
    Session {
        binding: None,
        login,
        seen_at: session.created_at,
        left_out: TokenKinds::default(),
        claims: Captured::default(),
        ..session.clone()
    }
}

proptest! {
    #[test]
    fn a_session_comes_back_as_it_was_sealed(session in session()) {
        let ring = ring(&[SECRET]);
        let text = ring.seal(Purpose::Session, NAME, &encode(&session, SessionFormat::V2));
        let plain = ring.open(Purpose::Session, NAME, &text, MAX).unwrap();
        prop_assert!(decode(&plain) == Ok(session));
    }

    #[test]
    fn the_first_format_holds_what_it_has_room_for(session in session()) {
        let bytes = encode(&session, SessionFormat::V1);
        prop_assert_eq!(bytes.first(), Some(&1));
        prop_assert!(decode(&bytes) == Ok(first(&session)));
        let unbound = Session { binding: None, ..session };
        prop_assert!(encode(&unbound, SessionFormat::V2) == bytes);
    }

    #[test]
    fn nothing_is_copied_while_a_record_is_written(session in session()) {
        for format in [SessionFormat::V1, SessionFormat::V2] {
            let bytes = encode(&session, format);
            let room = bytes.capacity();
            prop_assert!(room >= bytes.len() && room < 2 * bytes.len() + 4096);
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_sealed(session in session(), secret: [u8; 32]) {
        let sealed = seal_record(&secret, "name-00", &encode(&session, SessionFormat::V2));
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
    fn a_cut_record_is_refused(session in session(), cut: prop::sample::Index, first: bool) {
        let format = if first { SessionFormat::V1 } else { SessionFormat::V2 };
        let bytes = encode(&session, format);
        let cut = cut.index(bytes.len());
        // Of the second version, what is cut between fields may be a record with fewer of them.
        prop_assert!(decode(&bytes[..cut]) != Ok(session.clone()));
        prop_assert!(!first || decode(&bytes[..cut]).is_err());
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        prop_assert!(decode(&longer) == Err(RecordError::Malformed));
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
    assert!(ring.open(Purpose::Session, NAME, &text, text.len()).is_ok());
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
fn the_second_version_of_the_format_is_read_for_ever() {
    let text = include_str!("tests/sealed.v2.txt").trim();
    let ring = ring(&[SECRET]);
    let plain = ring.open(Purpose::Session, NAME, text, MAX).unwrap();
    assert_eq!(plain.first(), Some(&2));
    assert!(decode(&plain) == Ok(recorded_second()));
}

#[test]
fn fields_of_newer_programs_are_left_out_unless_they_must_not_be() {
    let session = recorded_second();
    let plain = encode(&session, SessionFormat::V2);
    let with = |number: u8| [&plain[..], &[number, 2, b'h', b'i']].concat();
    assert!(decode(&with(63)) == Ok(session));
    assert!(decode(&with(64)) == Err(RecordError::Malformed));
    assert!(decode(&[3]) == Err(RecordError::Version));
}

#[test]
fn an_ordinary_session_without_tokens_is_small() {
    let login = Login {
        at: recorded().created_at,
        subject: Some("3f0a1b5e-7c52-4a94-9d3e-2b8f6f0f7a11".to_owned()),
        provider_session: Some("8c1ad6b2-60a8-4c52-8a5e-0c9b1c1c7a55".to_owned()),
        issued_at: Some(1_764_000_000),
        auth_time: Some(1_764_000_000),
        acr: Some("1".to_owned()),
        ..Login::default()
    };
    let session = Session {
        login,
        expires_at: None,
        nonce: None,
        id_token: None,
        access_token: None,
        identity: Identity {
            user: "3f0a1b5e-7c52-4a94-9d3e-2b8f6f0f7a11".to_owned(),
            ..recorded().identity
        },
        ..recorded_second()
    };
    let text = ring(&[SECRET]).seal(Purpose::Session, NAME, &encode(&session, SessionFormat::V2));
    assert!(text.len() < 400, "{}", text.len());
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
    let created_at = "2026-11-23T20:00:00.123Z".parse().unwrap();
    let session = Session {
        expires_at: Some("2026-11-23T20:05:00Z".parse().unwrap()),
        access_token: Some(Token::new("access")),
        id_token: Some(Token::new("id")),
        nonce: Some([7; 32]),
        identity: Identity {
            user: "subject".to_owned(),
            email: Some("kim@vectors.example".to_owned()),
            groups: vec!["staff".to_owned(), "grüppe".to_owned()],
            preferred_username: Some("kim".to_owned()),
        },
        ..Session::new("main", created_at)
    };
    first(&session)
}

fn recorded_second() -> Session {
    let values = [("roles", vec!["a", "b"]), ("empty", vec![]), ("tenant", vec!["7"])];
    let own = |text: &&str| (*text).to_owned();
    Session {
        binding: Some(Binding { id: [9; 16], issuer: Fingerprint::of("https://id.example") }),
        login: Login {
            at: "2026-11-23T12:00:00Z".parse().unwrap(),
            credentials: 3,
            subject: Some("the subject".to_owned()),
            provider_session: Some("sid-1".to_owned()),
            issued_at: Some(1_763_899_200),
            auth_time: Some(1_763_899_100),
            acr: Some("gold".to_owned()),
            amr: vec!["pwd".to_owned(), "otp".to_owned()],
        },
        seen_at: "2026-11-23T20:01:00Z".parse().unwrap(),
        left_out: TokenKinds { refresh_token: true, ..TokenKinds::default() },
        claims: Captured {
            asked: ["roles", "empty", "tenant", "absent"].map(str::to_owned).to_vec(),
            values: values
                .iter()
                .map(|(name, values)| ((*name).to_owned(), values.iter().map(own).collect()))
                .collect(),
        },
        ..recorded()
    }
}

fn lifetime(lifetime: u64, refresh: u64) -> Lifetime {
    absolute(lifetime, refresh, 0)
}

fn absolute(lifetime: u64, refresh: u64, absolute: u64) -> Lifetime {
    Lifetime::new(&proxy_config::Session {
        lifetime: proxy_config::Duration::from_secs(lifetime),
        refresh: proxy_config::Duration::from_secs(refresh),
        absolute: proxy_config::Duration::from_secs(absolute),
        ..crate::store::tests::config(None)
    })
}

#[test]
fn an_absolute_lifetime_counts_from_the_login_whatever_was_refreshed() {
    let mut session = recorded();
    session.refresh_token = Some(Token::new("refresh"));
    let login = session.created_at;
    let at = |seconds: i64| login + seconds.seconds();
    session.created_at = at(5000);
    assert!(absolute(3600, 60, 6000).is_alive(&session, at(5999)));
    assert!(!absolute(3600, 60, 6000).is_alive(&session, at(6000)));
    assert!(absolute(3600, 60, 0).is_alive(&session, at(6000)), "zero means never");
    assert!(!absolute(3600, 60, 600).is_alive(&session, at(5001)), "shortened by a reload");
    let kept = |absolute_seconds| absolute(3600, 60, absolute_seconds).kept_for(&session, at(5000));
    assert_eq!(kept(6000), Some(SignedDuration::from_secs(1000)));
    assert_eq!(kept(60_000), Some(SignedDuration::from_hours(1)));
    assert_eq!(kept(0), Some(SignedDuration::from_hours(1)));
    assert_eq!(kept(4000), Some(SignedDuration::ZERO), "it has ended, and is not kept for ever");
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
    assert!(lifetime(3600, 60).refreshes() && !lifetime(3600, 0).refreshes());
}

#[test]
fn a_session_that_is_due_is_overdue_after_the_grace_and_not_before() {
    let session = recorded();
    let at = |seconds: i64| session.created_at + seconds.seconds();
    let hour_of_grace = lifetime(36_000, 60);
    assert!(!hour_of_grace.is_overdue(&session, at(60 + 3600)));
    assert!(hour_of_grace.is_overdue(&session, at(60 + 3601)));
    assert!(!lifetime(36_000, 0).is_overdue(&session, at(30_000)), "refreshing is off");
}

#[test]
fn a_family_goes_by_the_id_and_in_the_first_format_by_the_nonce_that_becomes_it() {
    let session = |binding: Option<[u8; 16]>, nonce| {
        let binding =
            binding.map(|id| Binding { id, issuer: Fingerprint::of("https://id.example") });
        Session { binding, nonce, ..Session::new("main", Timestamp::UNIX_EPOCH) }
    };
    let mut nonce = [7; 32];
    nonce[..16].fill(1);
    assert_eq!(Family::of(&session(Some([2; 16]), Some(nonce))), Some(Family([2; 16])));
    assert_eq!(Family::of(&session(None, Some(nonce))), Some(Family([1; 16])));
    assert_eq!(Family::of(&session(None, None)), None);
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
}
