//! What an OpenID Connect provider reads of the sessions that it made.

use crate::session::{TokenKinds, Uses};
use proxy_config::{Config, Provider};

/// Of the sessions of `provider`, which is one of `config`.
pub(crate) fn uses(provider: &Provider, config: &Config) -> Uses {
    let refreshes = !config.session.refresh.is_zero();
    // `{id_token}` in a target is filled in only where the target may lead to another host at all.
    let may_leave = !config.http.whitelist_domains.is_empty();
    Uses {
        always: TokenKinds {
            access_token: false,
            // A sign-out at the provider sends it along.
            id_token: provider.rp_initiated_logout || may_leave,
            refresh_token: refreshes,
        },
        // A validation endpoint is asked only with an access token that was had a moment ago.
        unrefreshed: TokenKinds { id_token: refreshes, ..TokenKinds::default() },
        nonce: refreshes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_config::Duration;

    fn config() -> Config {
        let text = include_str!("../../config/golden/smallest.json");
        let mut config: Config = serde_json::from_str(text).unwrap();
        config.session.refresh = Duration::ZERO;
        config
    }

    #[test]
    fn without_refreshes_and_sign_outs_nothing_is_read() {
        let config = config();
        assert_eq!(uses(&config.providers[0], &config), Uses::default());
    }

    #[test]
    fn refreshes_read_the_refresh_token_and_the_nonce_and_without_that_token_the_id_token() {
        let mut config = config();
        config.session.refresh = Duration::from_secs(60);
        for validate in [None, Some("https://id.example/v".to_owned())] {
            config.providers[0].endpoints.validate = validate;
            let found = uses(&config.providers[0], &config);
            let (refresh_token, id_token) = (true, true);
            let expected = Uses {
                always: TokenKinds { refresh_token, ..TokenKinds::default() },
                unrefreshed: TokenKinds { id_token, ..TokenKinds::default() },
                nonce: true,
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_id_token_is_kept_for_a_sign_out_at_this_provider_or_one_that_a_target_may_name() {
        let mut config = config();
        config.providers.push(config.providers[0].clone());
        config.providers[1].rp_initiated_logout = true;
        let sent = |config: &Config| {
            config.providers.iter().map(|it| uses(it, config).always.id_token).collect::<Vec<_>>()
        };
        assert_eq!(sent(&config), [false, true]);
        config.http.whitelist_domains = vec!["id.example".to_owned()];
        assert_eq!(sent(&config), [true, true], "{{id_token}} may be asked for");
    }
}
