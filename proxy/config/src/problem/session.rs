//! Sessions, cookies, keys.

use super::Problems;
use super::text::is_token;
use crate::{Cookie, Secret, Session, SessionFormat, Store};

pub(super) fn check(session: &Session, problems: &mut Problems) {
    problems.add_if(
        session.keys.is_empty(),
        "session.keys",
        "at least one key is needed: a file with a random text of 32 bytes or more",
    );
    for (i, key) in session.keys.iter().enumerate() {
        let field = format!("session.keys[{i}]");
        let twice = key.file().is_some() && session.keys.iter().take(i).any(|other| other == key);
        problems.add_if(twice, &field, "the same file is in the ring already");
        file(key, &field, problems);
    }
    if !session.lifetime.is_zero() && session.refresh >= session.lifetime {
        problems.add(
            "session.refresh",
            format!(
                "{} must be shorter than the lifetime of a session, {}",
                session.refresh, session.lifetime
            ),
        );
    }
    if !session.absolute.is_zero() && session.refresh >= session.absolute {
        problems.add(
            "session.refresh",
            format!(
                "{} must be shorter than session.absolute, {}",
                session.refresh, session.absolute
            ),
        );
    }
    problems.add_if(
        !session.absolute.is_zero() && session.format == SessionFormat::V1,
        "session.absolute",
        "sessions that session.format v1 writes do not hold when the login was: leave session.format out",
    );
    problems.add_if(session.replicas == 0, "session.replicas", "there is one at least");
    cookie(&session.cookie, problems);
    if let Store::Redis(redis) = &session.store {
        file(&redis.url, "session.store.redis.url", problems);
    }
}

fn file(secret: &Secret, field: &str, problems: &mut Problems) {
    let empty = secret.file().is_some_and(|path| path.as_os_str().is_empty());
    problems.add_if(empty, field, "the path of the file is empty");
}

fn cookie(cookie: &Cookie, problems: &mut Problems) {
    let name = &cookie.name;
    if name.len() > 256 {
        problems.add(
            "session.cookie.name",
            format!("the name has {} bytes, and 256 are the most", name.len()),
        );
    } else if !is_token(name) {
        problems.add(
            "session.cookie.name",
            format!("{name:?} is no cookie name: use letters, digits and -_."),
        );
    }
    let bound = cookie.path == "/" && cookie.domains.is_empty();
    problems.add_if(
        name.starts_with("__Secure-") && !cookie.secure || name.starts_with("__Host-") && !(cookie.secure && bound),
        "session.cookie.name",
        "browsers refuse it: __Secure- needs a secure cookie, __Host- also the path / and no domains",
    );
    let bad_path = !cookie.path.is_empty() && !cookie.path.starts_with('/');
    problems.add_if(
        bad_path
            || cookie.path.contains([';', ','])
            || cookie.path.chars().any(|c| !c.is_ascii_graphic()),
        "session.cookie.path",
        "a cookie path starts with / and has no blanks, commas or semicolons",
    );
    for (i, domain) in cookie.domains.iter().enumerate() {
        if !super::text::is_domain(domain.strip_prefix('.').unwrap_or(domain)) {
            problems.add(
                format!("session.cookie.domains[{i}]"),
                format!("{domain:?} is no domain: write example.com"),
            );
        }
    }
}
