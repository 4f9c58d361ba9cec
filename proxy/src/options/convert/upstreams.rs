//! `--upstream` URLs into routes.

use crate::options::supported::Options;
use percent_encoding::percent_decode_str;
use proxy_config::{Duration, Problems, Target, Upstream, escapes_are_whole};
use url::Url;

pub(super) fn convert(options: &Options, problems: &mut Problems) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    for entry in &options.upstreams {
        match upstream(entry, options) {
            Ok(upstream) => upstreams.push(upstream),
            // A mistyped password is what makes some of them unreadable.
            Err(what) if entry.contains('@') => {
                problems.add("upstream", format!("an entry with an @ {what}"));
            }
            Err(what) => problems.add("upstream", format!("{entry:?} {what}")),
        }
    }
    upstreams
}

fn upstream(entry: &str, options: &Options) -> Result<Upstream, String> {
    let (scheme, rest) = entry.split_once("://").ok_or(
        "is no URL: write http://host:port, unix:///socket, file:///folder/ or static://code",
    )?;
    let (id, path, target) = match scheme.to_ascii_lowercase().as_str() {
        "unix" => unix(rest, options)?,
        "file" => file(rest)?,
        "static" => (entry.to_owned(), "/".to_owned(), fixed(rest)?),
        // What is neither http nor https is refused with the rest of the values, together with what else is wrong.
        _ => http(entry, options)?,
    };
    Ok(Upstream { id, path, rewrite_target: None, reuse_after_body: true, target })
}

type Route = (String, String, Target);

fn http(entry: &str, options: &Options) -> Result<Route, String> {
    Url::parse(entry).map_err(|error| format!("is no URL: {error}"))?;
    // As it is written: the parser turns the backslash of an expression in braces into a slash.
    let location = entry.split_once("://").map_or("", |(_, rest)| path_of(rest));
    let start = location.find('/').unwrap_or(location.len());
    let path = decoded(location.get(start..).unwrap_or_default())?;
    let target = Target::Http {
        uri: entry.to_owned(),
        insecure_skip_tls_verify: options.ssl_upstream_insecure_skip_verify,
        pass_host_header: options.pass_host_header,
        proxy_web_sockets: options.proxy_websockets,
        timeout: timeout(options),
    };
    Ok((path.clone(), path, target))
}

fn unix(rest: &str, options: &Options) -> Result<Route, String> {
    let socket = path_of(rest);
    if socket.is_empty() {
        return Err("names no socket: write unix:///run/app.sock".to_owned());
    }
    let socket = decoded(socket)?;
    let target = Target::Unix {
        socket: socket.clone().into(),
        pass_host_header: options.pass_host_header,
        proxy_web_sockets: options.proxy_websockets,
        timeout: timeout(options),
    };
    Ok((socket, "/".to_owned(), target))
}

/// The path of a file URL is the folder; what follows `#` is the route, else the folder's own path.
fn file(rest: &str) -> Result<Route, String> {
    let (location, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let folder = location.find('/').and_then(|start| location.get(start..)).unwrap_or_default();
    if folder.is_empty() {
        return Err("names no folder: write file:///folder/".to_owned());
    }
    let folder = decoded(folder)?;
    let path = if fragment.is_empty() { folder.clone() } else { decoded(fragment)? };
    Ok((path.clone(), path, Target::File { root: folder.into() }))
}

/// A location without query and fragment.
fn path_of(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

/// A code that is no number is 200, as with oauth2-proxy.
fn fixed(rest: &str) -> Result<Target, String> {
    let code = rest.split('/').next().unwrap_or_default();
    match code.parse::<i64>() {
        Ok(number) => u16::try_from(number)
            .map(|code| Target::Static { code })
            .map_err(|_| "has no HTTP status".to_owned()),
        Err(_) => Ok(Target::Static { code: 200 }),
    }
}

/// Zero and less: for ever.
fn timeout(options: &Options) -> Duration {
    options.upstream_timeout.positive().unwrap_or(Duration::ZERO)
}

fn decoded(path: &str) -> Result<String, String> {
    if !escapes_are_whole(path) {
        return Err("has a % in its path that two hexadecimal digits do not follow".to_owned());
    }
    let text =
        percent_decode_str(path).decode_utf8().map_err(|_| "has a path that is not UTF-8")?;
    Ok(if text.is_empty() { "/".to_owned() } else { text.into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::values::Values;

    fn route(entry: &str) -> Result<(String, String, Target), String> {
        let options = Options::take(&mut Values::default());
        upstream(entry, &options).map(|upstream| (upstream.id, upstream.path, upstream.target))
    }

    #[test]
    fn the_path_of_an_http_url_is_the_route_and_decoded() {
        let path = |entry: &str| route(entry).map(|(id, path, _)| (id, path));
        assert_eq!(path("http://u:8080"), Ok(("/".to_owned(), "/".to_owned())));
        assert_eq!(path("https://u/a%20b/"), Ok(("/a b/".to_owned(), "/a b/".to_owned())));
        assert_eq!(path("http://u?x=/y#/z"), Ok(("/".to_owned(), "/".to_owned())));
        let placeholder = r"/{id:\d+}/";
        assert_eq!(
            path(&format!("http://u{placeholder}?x")),
            Ok((placeholder.to_owned(), placeholder.to_owned()))
        );
    }

    #[test]
    fn a_file_url_serves_its_path_unless_a_fragment_names_the_route() {
        let file = |entry: &str| route(entry).map(|(_, path, target)| (path, target));
        let root = |folder: &str| Target::File { root: folder.into() };
        assert_eq!(file("file:///srv/www/"), Ok(("/srv/www/".to_owned(), root("/srv/www/"))));
        assert_eq!(
            file("file:///srv/www/#/static/"),
            Ok(("/static/".to_owned(), root("/srv/www/")))
        );
    }

    #[test]
    fn static_and_unix_routes_are_at_the_root() {
        assert_eq!(
            route("static://204"),
            Ok(("static://204".to_owned(), "/".to_owned(), Target::Static { code: 204 }))
        );
        assert_eq!(route("static://x").map(|r| r.2), Ok(Target::Static { code: 200 }));
        let socket = route("unix:///run/app.sock").map(|(id, path, _)| (id, path));
        assert_eq!(socket, Ok(("/run/app.sock".to_owned(), "/".to_owned())));
        let socket = route("unix:///run/my%20app.sock?x#y").map(|(id, _, _)| id);
        assert_eq!(socket, Ok("/run/my app.sock".to_owned()));
    }

    #[test]
    fn what_is_no_upstream_is_refused() {
        for entry in [
            "app:8080",
            "http://",
            "http://u:port",
            "http://u/%zz",
            "static://-1",
            "unix://",
            // Without a folder it would be the root of the file system.
            "file://",
            "file://#/files/",
        ] {
            assert!(route(entry).is_err(), "{entry}");
        }
    }
}
