module oauth2proxy.dev/harness/pause

go 1.26.0
