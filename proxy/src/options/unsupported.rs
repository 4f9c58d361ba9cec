//! The options of oauth2-proxy v7.15.3 whose parts are not there: known by name and type, so that they are refused rather
//! than ignored.
//!
//! Setting one to its default is accepted: it asks for what happens without it.

use super::row::{Group, Kind, Row, Support};

const fn later(flag: &'static str, key: &'static str, kind: Kind, default: &'static str) -> Row {
    Row { flag, key, kind, default, help: &[], group: Group::Later, support: Support::Later }
}

const fn never(
    flag: &'static str,
    key: &'static str,
    default: &'static str,
    reason: &'static str,
) -> Row {
    Row {
        flag,
        key,
        kind: Kind::Switch,
        default,
        help: &[],
        group: Group::Later,
        support: Support::Never(reason),
    }
}

/// The rows, by key.
pub(crate) static UNSUPPORTED: &[Row] = &[
    later("allow-query-semicolons", "allow_query_semicolons", Kind::Switch, "false"),
    later("allowed-role", "allowed_roles", Kind::List, ""),
    later(
        "auth-logging-format",
        "auth_logging_format",
        Kind::Text,
        "{{.Client}} - {{.RequestID}} - {{.Username}} [{{.Timestamp}}] [{{.Status}}] {{.Message}}",
    ),
    later("azure-graph-group-field", "azure_graph_group_field", Kind::Text, ""),
    later("azure-tenant", "azure_tenant", Kind::Text, "common"),
    later("backend-logout-url", "backend_logout_url", Kind::Text, ""),
    later("banner", "banner", Kind::Text, ""),
    later("basic-auth-password", "basic_auth_password", Kind::Secret, ""),
    later("bitbucket-repository", "bitbucket_repository", Kind::Text, ""),
    later("bitbucket-team", "bitbucket_team", Kind::Text, ""),
    later("custom-sign-in-logo", "custom_sign_in_logo", Kind::Text, ""),
    later("custom-templates-dir", "custom_templates_dir", Kind::Text, ""),
    later("disable-keep-alives", "disable_keep_alives", Kind::Switch, "false"),
    later("display-htpasswd-form", "display_htpasswd_form", Kind::Switch, "true"),
    later("entra-id-allowed-tenant", "entra_id_allowed_tenants", Kind::List, ""),
    later("entra-id-federated-token-auth", "entra_id_federated_token_auth", Kind::Switch, "false"),
    later("errors-to-info-log", "errors_to_info_log", Kind::Switch, "false"),
    later("extra-jwt-issuers", "extra_jwt_issuers", Kind::List, ""),
    later("flush-interval", "flush_interval", Kind::Span, "1s"),
    later("footer", "footer", Kind::Text, ""),
    later("gcp-healthchecks", "gcp_healthchecks", Kind::Switch, "false"),
    later("github-org", "github_org", Kind::Text, ""),
    later("github-repo", "github_repo", Kind::Text, ""),
    later("github-team", "github_team", Kind::Text, ""),
    later("github-token", "github_token", Kind::Secret, ""),
    later("github-user", "github_users", Kind::List, ""),
    later("gitlab-group", "gitlab_groups", Kind::List, ""),
    later("gitlab-project", "gitlab_projects", Kind::List, ""),
    later("google-admin-api-user-scope", "google_admin_api_user_scope", Kind::Text, ""),
    later("google-admin-email", "google_admin_email", Kind::Text, ""),
    later("google-group", "google_group", Kind::List, ""),
    later("google-group", "google_groups", Kind::List, ""),
    later("google-service-account-json", "google_service_account_json", Kind::Text, ""),
    later("google-target-principal", "google_target_principal", Kind::Text, ""),
    later(
        "google-use-application-default-credentials",
        "google_use_application_default_credentials",
        Kind::TextSwitch,
        "false",
    ),
    later("google-use-organization-id", "google_use_organization_id", Kind::TextSwitch, "false"),
    later("htpasswd-file", "htpasswd_file", Kind::Text, ""),
    later("htpasswd-user-group", "htpasswd_user_groups", Kind::List, ""),
    later("jwt-key", "jwt_key", Kind::Secret, ""),
    later("jwt-key-file", "jwt_key_file", Kind::Text, ""),
    later("keycloak-group", "keycloak_groups", Kind::List, ""),
    later("logging-compress", "logging_compress", Kind::Switch, "false"),
    later("logging-filename", "logging_filename", Kind::Text, ""),
    later("logging-local-time", "logging_local_time", Kind::Switch, "true"),
    later("logging-max-age", "logging_max_age", Kind::Int, "7"),
    later("logging-max-backups", "logging_max_backups", Kind::Int, "0"),
    later("logging-max-size", "logging_max_size", Kind::Int, "100"),
    later("metrics-secure-address", "metrics_secure_address", Kind::Text, ""),
    later("metrics-tls-cert-file", "metrics_tls_cert_file", Kind::Text, ""),
    later("metrics-tls-key-file", "metrics_tls_key_file", Kind::Text, ""),
    later("oidc-public-key-file", "oidc_public_key_files", Kind::List, ""),
    later("ping-user-agent", "ping_user_agent", Kind::Text, ""),
    later("pubjwk-url", "pubjwk_url", Kind::Text, ""),
    later("redis-cluster-connection-urls", "redis_cluster_connection_urls", Kind::List, ""),
    later("redis-connection-idle-timeout", "redis_connection_idle_timeout", Kind::Int, "0"),
    later("redis-sentinel-connection-urls", "redis_sentinel_connection_urls", Kind::List, ""),
    later("redis-sentinel-master-name", "redis_sentinel_master_name", Kind::Text, ""),
    later("redis-sentinel-password", "redis_sentinel_password", Kind::Secret, ""),
    later("redis-use-cluster", "redis_use_cluster", Kind::Switch, "false"),
    later("redis-use-sentinel", "redis_use_sentinel", Kind::Switch, "false"),
    later(
        "request-logging-format",
        "request_logging_format",
        Kind::Text,
        "{{.Client}} - {{.RequestID}} - {{.Username}} [{{.Timestamp}}] {{.Host}} {{.RequestMethod}} {{.Upstream}} {{.RequestURI}} {{.Protocol}} {{.UserAgent}} {{.StatusCode}} {{.ResponseSize}} {{.RequestDuration}}",
    ),
    later("resource", "resource", Kind::Text, ""),
    later("session-cookie-minimal", "session_cookie_minimal", Kind::Switch, "false"),
    later("set-basic-auth", "set_basic_auth", Kind::Switch, "false"),
    later("show-debug-on-error", "show_debug_on_error", Kind::Switch, "false"),
    later("signature-key", "signature_key", Kind::Secret, ""),
    never(
        "skip-auth-strip-headers",
        "skip_auth_strip_headers",
        "true",
        "an identity header that a client sends never reaches an upstream",
    ),
    later(
        "standard-logging-format",
        "standard_logging_format",
        Kind::Text,
        "[{{.Timestamp}}] [{{.File}}] {{.Message}}",
    ),
    later("tls-cipher-suite", "tls_cipher_suites", Kind::List, ""),
];
