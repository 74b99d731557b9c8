package framework

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"fwx/framework/strict"
	"fwx/framework/wire/http1"
)

// routesText is a configuration with a listener whose routes begin in line 9.
const routesText = `[[upstream]]
name = "site"
servers = ["127.0.0.1:1"]
[[listener]]
name = "web"
listen = "127.0.0.1:0"
protocol = "http"
upstream = "site"
`

// TestRouteConditions sees that a condition which no request fits is a mistake, and says what
// to write instead.
func TestRouteConditions(t *testing.T) {
	for _, tt := range []struct{ route, want string }{
		{`methods = ["GET", "POST", "PROPFIND", "purge"]`, ""},
		{`methods = ["GET", "post"]`, `c.toml:10:19: listener.route.methods[1]: "post" fits no request, since the case of a method counts: write "POST"`},
		{`methods = ["Get"]`, `c.toml:10:12: listener.route.methods[0]: "Get" fits no request, since the case of a method counts: write "GET"`},
		{`methods = ["CONNECT"]`, `c.toml:10:12: listener.route.methods[0]: "CONNECT" fits no request: the gateway answers it with 501 itself`},
		{`methods = []`, `c.toml:10:1: listener.route.methods: fits no method: leave the key out for all`},
		{`path = "/a b/ü"`, ""},
		{`path = "/."`, ""},
		{`path = "/.."`, ""},
		{`path = "/a/...b"`, ""},
		{`path = "/100%"`, ""},
		{`path = "/a%2"`, ""},
		{`path = "/a%20b"`, cleanMistake("/a%20b", "/a b")},
		{`path = "/a%2fb"`, cleanMistake("/a%2fb", "/a/b")},
		{`path = "//b"`, cleanMistake("//b", "/b")},
		{`path = "/b//"`, cleanMistake("/b//", "/b/")},
		{`path = "/a/../b"`, cleanMistake("/a/../b", "/b")},
		{`path = "/a/./b"`, cleanMistake("/a/./b", "/a/b")},
		{`path = "/%2e%2e/b"`, cleanMistake("/%2e%2e/b", "/b")},
		{`path = "/a?x"`, `c.toml:10:1: listener.route.path: "/a?x" fits no request, since the query "?x" is not looked at: write "/a"`},
		{`path = "/a\u0000"`, `c.toml:10:1: listener.route.path: "/a\x00" fits no request: a path with a NUL is answered with 400`},
		{`path = "a"`, `c.toml:10:1: listener.route.path: "a": a path begins with /`},
		{`path = ""`, `c.toml:10:1: listener.route.path: must not be empty: leave the key out`},
		{`host = "EXAMPLE.com"`, ""},
		{`host = "*.example.com"`, ""},
		{`host = "a_b.example"`, ""},
		{`host = "[2001:db8::1]"`, ""},
		{`host = "10.0.0.1"`, ""},
		{`host = "2001:db8::1"`, hostMistake("2001:db8::1", "[2001:db8::1]")},
		{`host = "[2001:db8:0::1]"`, hostMistake("[2001:db8:0::1]", "[2001:db8::1]")},
		{`host = "example.com:80"`, `c.toml:10:1: listener.route.host: "example.com:80": wants a host without a port, or *. and a domain`},
		{`host = "example.com."`, `c.toml:10:1: listener.route.host: "example.com.": write it without the dot at its end: "example.com"; requests with and without one fit it`},
		{`host = "*.example.com."`, `c.toml:10:1: listener.route.host: "*.example.com.": write it without the dot at its end: "*.example.com"; requests with and without one fit it`},
		{`host = "a*.example"`, `c.toml:10:1: listener.route.host: "a*.example": a * stands at the beginning only, before a dot and a domain`},
		{`host = "a b"`, `c.toml:10:1: listener.route.host: "a b" is neither the name of a host nor an IP address`},
		{`host = "a..b"`, `c.toml:10:1: listener.route.host: "a..b" is neither the name of a host nor an IP address`},
		{`host = ""`, `c.toml:10:1: listener.route.host: must not be empty: leave the key out`},
		{`body = ""`, `c.toml:10:1: listener.route.body: is empty, and so the route does not answer: write status = 200 for an empty answer`},
		{`status = 0`, `c.toml:10:1: listener.route.status: wants a number from 200 to 599, not 0`},
		{`upstream = ""`, `c.toml:10:1: listener.route.upstream: must not be empty: leave the key out`},
		{`redirect = ""`, `c.toml:10:1: listener.route.redirect: must not be empty: leave the key out`},
	} {
		t.Run(tt.route, func(t *testing.T) {
			if got := mistakesOf(routesText + "[[listener.route]]\n" + tt.route + "\n"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func cleanMistake(path, want string) string {
	return fmt.Sprintf("c.toml:10:1: listener.route.path: %q fits no request: routes compare the path after %%-encoding, dots, empty segments and parameters have been resolved; write %q", path, want)
}

func hostMistake(host, want string) string {
	return fmt.Sprintf("c.toml:10:1: listener.route.host: %q fits no request: an address of IPv6 is written %q", host, want)
}

// TestRouteReached sees that a route behind one that fits everything that it fits is a mistake.
func TestRouteReached(t *testing.T) {
	for _, tt := range []struct {
		name   string
		routes []string
		hidden int // the route that no request comes to; 0: none
		by     int
	}{
		{"one for all first", []string{`status = 404`, `path = "/a"`}, 2, 1},
		{"one for all last", []string{`path = "/a"`, `status = 404`}, 0, 0},
		{"a shorter path", []string{`path = "/"`, `path = "/a"`}, 2, 1},
		{"a longer path", []string{`path = "/a/"`, `path = "/a"`}, 0, 0},
		{"a path and any", []string{`path = "/"`, `status = 404`}, 0, 0}, // which OPTIONS * comes to
		{"the same host", []string{`host = "a.example"`, "host = \"A.example\"\npath = \"/b\""}, 2, 1},
		{"a domain", []string{`host = "*.example"`, `host = "a.b.example"`}, 2, 1},
		{"a domain in a domain", []string{`host = "*.example"`, `host = "*.b.example"`}, 2, 1},
		{"a domain itself", []string{`host = "*.example"`, `host = "example"`}, 0, 0},
		{"another domain", []string{`host = "*.example"`, `host = "a.anexample"`}, 0, 0},
		{"a host and all", []string{`host = "a.example"`, `path = "/"`}, 0, 0},
		{"methods", []string{`methods = ["GET", "HEAD"]`, `methods = ["HEAD"]`}, 2, 1},
		{"more methods", []string{`methods = ["HEAD"]`, `methods = ["GET", "HEAD"]`}, 0, 0},
		{"methods and all", []string{`methods = ["GET"]`, `path = "/"`}, 0, 0},
		{"methods together", []string{`methods = ["GET"]`, `methods = ["HEAD"]`, `methods = ["GET", "HEAD"]`}, 3, 2},
		{"methods together, elsewhere", []string{"methods = [\"GET\"]\npath = \"/a\"", `methods = ["HEAD"]`, `methods = ["GET", "HEAD"]`}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, want, lines := routesText, "", []int{}
			for _, r := range tt.routes {
				lines = append(lines, 1+strings.Count(text, "\n"))
				text += "[[listener.route]]\n" + r + "\n"
			}
			if tt.hidden > 0 {
				want = fmt.Sprintf("c.toml:%d:1: listener.route: no request comes to this route: whatever fits it fits route %d before it, in line %d; put it before that one",
					lines[tt.hidden-1], tt.by, lines[tt.by-1])
			}
			if got := mistakesOf(text); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestRouteReachedAtRandom compares what the check says of random routes with where random
// requests go.
func TestRouteReachedAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	hosts := []string{"", "", "a.x", "*.x", "*.a.x", "b.a.x", "x"}
	g := &generation{}
	dead, live := 0, 0
	for range 2000 {
		var l listener
		routes := 2 + random.IntN(4)
		configs := make([]RouteConfig, 0, routes)
		for range routes {
			c := RouteConfig{Host: pick(hosts...), Path: pick("", "", "/", "/a", "/a/b", "/b")}
			for _, m := range []string{"GET", "POST", "HEAD"} {
				if random.IntN(3) == 0 {
					c.Methods = append(c.Methods, m)
				}
			}
			configs = append(configs, c)
			l.routes = append(l.routes, g.makeRoute(c))
		}
		hit := make(map[*route]bool)
		for _, method := range []string{"GET", "POST", "HEAD", "PUT", "OPTIONS"} {
			for _, host := range []string{"a.x", "b.a.x", "c.b.a.x", "x", "y"} {
				for _, path := range []string{"/", "/a", "/a/b", "/b", "*"} {
					if path == "*" && method != "OPTIONS" {
						continue
					}
					x := &Exchange{}
					head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, path, host)
					if _, done, err := x.request.Parse([]byte(head), &http1.DefaultLimits); err != nil || !done {
						t.Fatalf("%q: %v", head, err)
					}
					hit[l.route(x)] = true
				}
			}
		}
		for i := range configs {
			var mistakes strict.Errors
			configs[i].checkReached(strict.NewChecker(&mistakes).Sub("route", strict.Table{}), configs[:i])
			if len(mistakes) > 0 && hit[l.routes[i]] {
				t.Fatalf("route %d of %+v is called dead and is not", i+1, configs)
			}
			if len(mistakes) > 0 {
				dead++
			} else if hit[l.routes[i]] {
				live++
			}
		}
	}
	if dead < 500 || live < 500 {
		t.Errorf("%d routes were dead and %d live", dead, live)
	}
}
