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
        } else if let (None, Some(what)) = (&upstream.rewrite_target, path_problem(path)) {
            problems.add(format!("{field}.path"), format!("{path:?} is no path: {what}"));
        }
        target(&upstream.target, &format!("{field}.target"), problems);
    }
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
