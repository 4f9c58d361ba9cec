//! Where a login leads back to: the first of oauth2-proxy's candidates that is a target.

use super::claimant::Claimant;
use super::told::{self, Trust};
use crate::routing::NormalPath;
use crate::telemetry::Sparing;
use http::header::HOST;
use url::{Position, Url};

/// The first usable candidate: what the request asks for in its parameters, in their order, the header
/// `X-Auth-Request-Redirect`, what a proxy in front says the person wanted, the request itself. Otherwise `/`.
pub(super) fn of(claimant: &Claimant<'_>, path: &NormalPath, asked: &[Option<&str>]) -> String {
    let usable = |candidate: &&str| claimant.site.policy.whitelist.allows(candidate);
    let header = told::once(&claimant.head.headers, "x-auth-request-redirect")
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let candidates = || asked.iter().copied().chain([header]).flatten();
    if let Some(target) = candidates().find(usable) {
        return target.to_owned();
    }
    candidates().filter(|target| !target.is_empty()).for_each(tell);
    let told = told::uri(&claimant.head.headers, claimant.trust);
    let own = path.target().as_str();
    if let Some(absolute) =
        elsewhere(claimant, told.unwrap_or(own)).filter(|target| usable(&target.as_str()))
    {
        return absolute;
    }
    let target = told.filter(usable).or(Some(own)).filter(usable);
    match target {
        Some(target) if !is_own(claimant, target) => target.to_owned(),
        _ => "/".to_owned(),
    }
}

/// Where a site that begins a login here wants it to lead (`target_link_uri`, OpenID Connect Core 1.0 section 4). That is an
/// absolute URL, of this host as a rule, and then as good as its path. What is left is judged as any target is.
pub(super) fn linked(claimant: &Claimant<'_>, link: &str) -> Option<String> {
    let target = match Url::parse(link) {
        Ok(url) if is_here(claimant, &url) => url[Position::BeforePath..].to_owned(),
        _ => link.to_owned(),
    };
    (!is_own(claimant, &target)).then_some(target)
}

/// Whether `url` is on the host that the browser is at, by whichever of the two schemes.
fn is_here(claimant: &Claimant<'_>, url: &Url) -> bool {
    let here = Url::parse(&format!("{}://{}", url.scheme(), claimant.host()));
    matches!(url.scheme(), "http" | "https") && here.is_ok_and(|here| here.origin() == url.origin())
}

/// Says which host was asked for. The rest of the URL may hold secrets.
pub(super) fn tell(refused: &str) {
    let host = Url::parse(refused).ok().and_then(|url| url.host_str().map(str::to_owned));
    thread_local!(static REFUSED: Sparing = const { Sparing::new() });
    let Some(left_out) = REFUSED.with(Sparing::admit) else { return };
    tracing::warn!(
        host = host.as_deref().unwrap_or("none"),
        left_out,
        "a redirect target was refused and / taken: it is no path, and its host is not in the whitelist domains"
    );
}

/// An absolute URL, if a proxy in front serves another host than the one we are asked by.
fn elsewhere(claimant: &Claimant<'_>, uri: &str) -> Option<String> {
    if claimant.trust == Trust::Nothing {
        return None;
    }
    let host = claimant.host();
    if host.is_empty()
        || claimant.head.headers.get(HOST).is_some_and(|own| own.as_bytes() == host.as_bytes())
    {
        return None;
    }
    let scheme = told::scheme(&claimant.head.headers, claimant.trust)?;
    let path = if is_own(claimant, uri) { "/" } else { uri };
    Some(format!("{scheme}://{host}{path}"))
}

/// Below the prefix of the own endpoints: leading back there would end in a circle.
fn is_own(claimant: &Claimant<'_>, target: &str) -> bool {
    target
        .strip_prefix(claimant.site.config.http.proxy_prefix.as_str())
        .is_some_and(|rest| rest.starts_with('/'))
}
