package http1

import (
	"fmt"
	"strings"
	"testing"
)

// parsed returns the request of a head.
func parsed(head string) (*Request, error) {
	r := new(Request)
	_, done, err := r.Parse([]byte(head), &DefaultLimits)
	if err == nil && !done {
		err = fmt.Errorf("%q is no whole head", head)
	}
	return r, err
}

// A host compares the same in every spelling of it; what is none is refused.
func TestHostname(t *testing.T) {
	for given, want := range map[string]string{ // empty: refused
		"example.com": "example.com", "EXAMPLE.com": "example.com", "example.com.": "example.com", "Example.COM.:80": "example.com",
		"example.com:": "example.com", "localhost:": "localhost", "a:0": "a", "a:00080": "a", "a:65535": "a", "a_b": "a_b", "10.0.0.1:8080": "10.0.0.1",
		"[::1]": "[::1]", "[0:0:0:0:0:0:0:1]:80": "[::1]", "[2001:DB8::A]": "[2001:db8::a]", "[::ffff:10.0.0.1]:": "[::ffff:10.0.0.1]",
		"example.com..": "", "..": "", ".": "", ".example.com": "", "a..b": "", "": "", ":80": "", ".:80": "",
		"a:65536": "", "a:99999999999999999999": "", "a:8a": "", "a:-1": "", "a:80:80": "", "user@a": "", "user:pw@a": "", "a%2eb": "", "%61": "", "a/b": "", "a?b": "",
		"[::1": "", "::1": "", "[:::]": "", "[]": "", "[::1].": "", "[::1]x": "", "[fe80::1%25lo]": "", "[fe80::1%lo]": "", "[10.0.0.1]": "", "[v1.a]": "", "a b": "", "a,b": "", "ü": "",
	} {
		r, err := parsed("GET / HTTP/1.1\r\nHost: " + given + "\r\n\r\n")
		if got := string(r.Hostname()); err == nil && got != want || (err == nil) != (want != "") {
			t.Errorf("%q compares as %q, %v; want %q", given, got, err, want)
		}
		r, err = parsed("GET / HTTP/1.1\r\nHost: before.example\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		ok, after := r.SetHost(given), want
		if !ok {
			after = "before.example"
		}
		if got := string(r.Hostname()); ok != (want != "") || got != after {
			t.Errorf("%q set compares as %q, %v; want %q", given, got, ok, after)
		}
	}
}

// The host of an absolute target is that of Host, in any spelling of both.
func TestAbsoluteTargets(t *testing.T) {
	for _, row := range []struct{ method, target, host, path string }{ // no path: refused
		{"GET", "http://a", "a", "/"},
		{"GET", "http://a/b?c", "a", "/b?c"},
		{"GET", "http://a?c", "a", "/?c"},
		{"GET", "HTTP://A.:80/", "a", "/"},
		{"GET", "https://a/", "a:443", "/"},
		{"GET", "http://a:/", "a:080", "/"},
		{"GET", "http://[::1]/", "[::1]:80", "/"},
		{"OPTIONS", "http://a", "a", "*"},
		{"OPTIONS", "http://a:80", "a", "*"},
		{"OPTIONS", "http://a/", "a", "/"},
		{"OPTIONS", "http://a?c", "a", "/?c"},
		{"OPTIONS", "*", "a", "*"},
		{"OPTIONS", "/", "a", "/"},
		{"GET", "*", "a", ""},
		{"GET", "http://a/", "b", ""},
		{"GET", "http://a/", "a:443", ""},
		{"GET", "https://a/", "a:80", ""},
		{"GET", "http://a:81/", "a", ""},
		{"GET", "http://u@a/", "a", ""},
		{"GET", "http:///", "a", ""},
		{"GET", "http://a../", "a", ""},
		{"GET", "ftp://a/", "a", ""},
		{"CONNECT", "a:", "a", ""},
	} {
		r, err := parsed(row.method + " " + row.target + " HTTP/1.1\r\nHost: " + row.host + "\r\n\r\n")
		if got := string(r.Path()); err == nil && got != row.path || (err == nil) != (row.path != "") {
			t.Errorf("%s %s with Host %s: %q, %v; want %q", row.method, row.target, row.host, got, err, row.path)
		}
	}
}

// cleanPaths are targets with the path that they compare as; empty: they are refused.
var cleanPaths = map[string]string{
	"/secret": "/secret", "/secret/": "/secret/", "/secret?x": "/secret", "/?/secret": "/", "//secret": "/secret", "///secret//x": "/secret/x",
	"/./secret": "/secret", "/.//secret": "/secret", "/x/../secret": "/secret", "/../secret": "/secret", "/x/./../secret": "/secret", "/x/y/../../secret": "/secret",
	"/%73ecret": "/secret", "/%73%65%63%72%65%74": "/secret", "/%2e/secret": "/secret", "/x/%2e%2e/secret": "/secret", "/x/.%2E/secret": "/secret",
	"/%2fsecret": "/secret", "/%2Fsecret": "/secret", "%2fsecret": "", "/.%2fsecret": "/secret", "/secret%2f": "/secret/", "/secret%2Fx": "/secret/x",
	`/\secret`: "/secret", "/%5csecret": "/secret", `/secret\x`: "/secret/x", "/;x/secret": "/secret", "/secret;x": "/secret", "/secret;x/y": "/secret/y", "/;/secret": "/secret",
	"/secret;x=1;y=2": "/secret", "/secret%3Bx": "/secret;x", "/secret%20": "/secret ", "/secret.": "/secret.", "/secret%2e": "/secret.", "/secret...": "/secret...",
	"/secret%3fx": "/secret?x", "/secret%23": "/secret#", "/%2573ecret": "/%73ecret", "/SECRET": "/SECRET", "/...": "/...", "/..x": "/..x", "/x..": "/x..", "/x/..": "/", "/.": "/", "/..": "/",
	"/secret%00": "", "/%00secret": "", "/x%2f../secret": "", "/x/..%2fsecret": "", "/x%2f..%2fsecret": "", `/x\..\secret`: "", "/x%5c..%5csecret": "", "/x/..%5csecret": "", `/x/..\secret`: "",
	"/x/..;/secret": "", "/x/..;a=b/secret": "", "/x/%2e%2e;/secret": "", "/x/;/../secret": "", "//../secret": "", "/x//../secret": "", "/x/%2e%2e%2fsecret": "", "/x;%2f../secret": "",
	"/x%2f..": "", "/x/..;": "", "/%": "", "/%7": "", "/%7g": "", "/%c0%af": "/\xc0\xaf", "/a b": "",
}

// A path compares the same in every spelling of it. One that servers take for different
// paths is refused, and one that is set reads as it was set.
func TestCleanPath(t *testing.T) {
	for given, want := range cleanPaths {
		r, err := parsed("GET " + given + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v; want %q", given, err, want)
			continue
		}
		if err != nil {
			continue
		}
		if got := string(AppendCleanPath(nil, r.Path())); got != want {
			t.Errorf("%q compares as %q, want %q", given, got, want)
		}
		_, query, _ := strings.Cut(given, "?")
		if !r.SetCleanPath(want) {
			t.Errorf("%q cannot be set", want)
		}
		sent := string(r.Path())
		if _, kept, _ := strings.Cut(sent, "?"); kept != query {
			t.Errorf("the query of %q becomes %q", given, kept)
		}
		if got := string(AppendCleanPath(nil, r.Path())); got != want {
			t.Errorf("%q set is sent as %q, which compares as %q", want, sent, got)
		}
	}
	r, err := parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	if err != nil || string(AppendCleanPath(nil, r.Path())) != "*" {
		t.Errorf("* compares as %q, %v", AppendCleanPath(nil, r.Path()), err)
	}
	for _, path := range []string{"", "a", "/a\x00", "*", "/a//../b"} {
		if r.SetCleanPath(path) {
			t.Errorf("%q is set as %q", path, r.Path())
		}
	}
}
