//! Routes and their targets.

use super::Problems;
use super::text::{path_problem, web_url};
use crate::{Target, Upstream};
use std::path::Path;

pub(super) fn check(upstreams: &[Upstream], problems: &mut Problems) {
    for (i, upstream) in upstreams.iter().enumerate() {
        let field = format!("upstreams[{i}]");
        let before = || upstreams.iter().take(i);
        if upstream.id.is_empty() {
            problems.add(format!("{field}.id"), "missing setting: the upstream needs an id");
        } else if before().any(|other| other.id == upstream.id) {
            problems.add(
                format!("{field}.id"),
                format!("there are several upstreams with the id {:?}", upstream.id),
            );
        }
        let path = &upstream.path;
        if path.is_empty() {
            problems.add(format!("{field}.path"), "missing setting: the upstream needs a path");
        } else if before().any(|other| other.path == *path) {
            problems.add(
                format!("{field}.path"),
                format!("there are several upstreams with the path {path:?}"),
            );
        } else if let (None, Some(what)) = (&upstream.rewrite_target, route_problem(path)) {
            problems.add(format!("{field}.path"), format!("{path:?} is no path: {what}"));
        }
        target(&upstream.target, &format!("{field}.target"), problems);
    }
}

/// A path in which `{name}` stands for a segment and `{name:expression}` for what the expression matches.
fn route_problem(path: &str) -> Option<&'static str> {
    let (mut literal, mut inside, mut depth) = (String::new(), String::new(), 0_u32);
    for character in path.chars() {
        match character {
            '{' if depth == 0 => inside.clear(),
            '}' if depth == 0 => return Some("a } closes nothing"),
            '}' if depth == 1 && !is_placeholder(&inside) => {
                return Some("a placeholder is {name} or {name:expression}");
            }
            _ if depth == 0 => literal.push(character),
            _ => inside.push(character),
        }
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    if depth > 0 { Some("a { is not closed") } else { path_problem(&literal) }
}

fn is_placeholder(text: &str) -> bool {
    let (name, expression) = text.split_once(':').unwrap_or((text, "[^/]+"));
    !name.is_empty() && !expression.is_empty()
}

fn target(target: &Target, field: &str, problems: &mut Problems) {
    match target {
        Target::Http {
            uri,
            insecure_skip_tls_verify: _,
            pass_host_header: _,
            proxy_web_sockets: _,
            timeout: _,
        } => {
            if let Err(what) = web_url(uri) {
                problems.add(format!("{field}.uri"), what);
            }
        }
        Target::Unix { socket, pass_host_header: _, proxy_web_sockets: _, timeout: _ } => {
            absolute(socket, &format!("{field}.socket"), problems);
        }
        Target::File { root } => absolute(root, &format!("{field}.root"), problems),
        Target::Static { code } => {
            let message = format!("{code} is no status of a response: 200 to 599 are");
            problems.add_if(!(200..600).contains(code), &format!("{field}.code"), &message);
        }
    }
}

fn absolute(path: &Path, field: &str, problems: &mut Problems) {
    let message = format!("{:?} is no absolute path", path.display().to_string());
    problems.add_if(!path.is_absolute(), field, &message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_of_a_route_are_whole_placeholders() {
        for path in ["/a/{id}", r"/a/{id:\d{2}}/", "/{a}-{b}/"] {
            assert_eq!(route_problem(path), None, "{path}");
        }
        for path in ["/a{b", "/a}b", "/{}", "/{a:}", "/{:b}", "/{a{b}", "/a?{b}", r"/a\{b}"] {
            assert!(route_problem(path).is_some(), "{path}");
        }
    }
}
