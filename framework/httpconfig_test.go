package framework

import (
	"strings"
	"testing"
)

func TestHTTPConfigMistakes(t *testing.T) {
	config, err := ParseConfig("gateway.toml", []byte(`
[[upstream]]
name    = "site"
servers = ["127.0.0.1:1"]

[[listener]]
name     = "web"
listen   = "127.0.0.1:0"
protocol = "http"
upstream = "site"
[listener.http]
header_timeout = "-1s"
max_header     = "10MiB"
forwarded      = "prepend"
acess_log      = true
send_timeout   = "-1s"
send_rate      = -1
[[listener.route]]
host     = "a:80"
path     = "api"
methods  = ["G T"]
upstream = "sit"
redirect = "https://b"
[listener.route.request_fields]
set    = { "Content-Length" = "3", "X" = "a\nb" }
remove = ["a b"]
[[listener.route]]
redirect = "https://b"
status   = 200

[[listener]]
name     = "raw"
listen   = "127.0.0.1:0"
upstream = "site"
[listener.http]
`))
	check(t, err)
	_, err = New(config, nil)
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, want := range []string{
		"gateway.toml:12:1: listener.http.header_timeout: wants a positive duration",
		"gateway.toml:16:1: listener.http.send_timeout: wants a positive duration",
		"gateway.toml:17:1: listener.http.send_rate: wants a number from 1 to",
		"gateway.toml:13:1: listener.http.max_header: wants a number from 64 to 1048576",
		`listener.http.forwarded: unknown way with forwarded fields "prepend"`,
		`listener.http.acess_log: unknown key; did you mean "access_log"?`,
		`gateway.toml:19:1: listener.route.host: "a:80": wants a host without a port`,
		`listener.route.path: "api": a path begins with /`,
		`listener.route.methods[0]: "G T" is not a method`,
		`listener.route.upstream: unknown upstream "sit"; did you mean "site"?`,
		"listener.route.upstream: a route goes to an upstream, or redirects, or answers",
		`listener.route.request_fields.remove: "a b" is not the name of a field`,
		`listener.route.request_fields.set: "Content-Length" is a field that the gateway writes itself`,
		"listener.route.request_fields.set.X: has a control character",
		"listener.route.redirect: a redirection has a status from 300 to 399",
		`listener.http: is for a listener with protocol = "http"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}
