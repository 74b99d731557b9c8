package scripting

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// spellings returns ways to write a path that some server takes for it, or for one below it.
func spellings(path string) (list []string) {
	name := path[1:]
	first, rest := fmt.Sprintf("%%%02x", name[0]), name[1:]
	upper := strings.ToUpper(first)
	for _, format := range []string{
		"/N", "/N?x", "/N?", "/N/", "/N//", "/N/.", "/N/x", "/N/./x", "/N;x", "/N;x=1/y", "/N;", "/N%3fx", "/N%2f", "/N%2Fx", "/N%5cx", `/N\x`, "/N%20", "/N%09", "/N.", "/N%2e", "/N%00", "/N%23x",
		"//N", "///N", "//N//x", "/.//N", "/./N", "/././N", "/%2e/N", "/%2E/N", "/;/N", "/;x/N", "/;x=1;y/N", "/.;/N",
		"/x/../N", "/../N", "/../../N", "/x/y/../../N", "/x/./../N", "/x/%2e%2e/N", "/x/.%2e/N", "/x/%2e./N", "/x/%2E%2E/N", "/x;y/../N", "/N/../N", "/x/../N/../N",
		"/FR", "/UR", "/./FR", "//FR", "/x/../FR", "/%2fN", "/%2FN", "/%2f%2fN", "/.%2fN", `/\N`, `\N`, "/%5cN", "/%5CN", `/.\N`, "%2fN",
		"/x/..%2fN", "/x%2f../N", "/x%2f..%2fN", "/x%2f%2e%2e%2fN", `/x\..\N`, `/x/..\N`, "/x%5c..%5cN", "/x/..%5cN", "/x/..;/N", "/x/..;y=z/N", "/x/%2e%2e;/N", "//../N", "/x//../N", "/x/;/../N", "/%00/../N", "/x%00/../N",
		"http://a/N", "http://A:80//N", "http://a./x/../N",
	} {
		list = append(list, strings.NewReplacer("N", name, "FR", first+rest, "UR", upper+rest).Replace(format))
	}
	return list
}

// blockOf returns the block of code of a page that has a text in it.
func blockOf(t *testing.T, page, text string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```lua\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		if strings.Contains(block[1], text) {
			return block[1]
		}
	}
	t.Fatalf("%s has no code with %q", page, text)
	return ""
}

// No spelling of a path gets past a script that compares it: those of the documents and
// the examples.
func TestSpellingsOfPaths(t *testing.T) {
	readme := blockOf(t, "README.md", "-- hello.lua")
	page := blockOf(t, "docs/reference/lua.md", `find("^/private/")`)
	for name, test := range map[string]struct {
		gateway *gateway
		path    string
	}{
		"README":    {newHTTPGateway(t, "", func(s *Settings) { s.Source = readme }), "/secret"},
		"lua.md":    {newHTTPGateway(t, page), "/private/x"},
		"map_local": {httpExample(t, "map_local.lua", Allow{Read: []string{"www/"}}, map[string]any{"prefix": "/static/", "dir": "www/"}), "/static/a.css"},
		"by segments": {newHTTPGateway(t, `function M.on_request(_, req)
			local first = req.path:match("^/([^/]*)")
			if first == "api" then return fwx.respond(403) end
		end`), "/api/x"},
	} {
		list := spellings(test.path)
		if len(list) < 45 {
			t.Fatalf("there are only %d spellings", len(list))
		}
		for _, target := range list {
			host := "a"
			if p, body := test.gateway.fetch("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); strings.HasPrefix(body, "GET ") {
				t.Errorf("%s: %s gets past it: %s %q", name, target, p.Status, body)
			}
		}
		for _, target := range []string{"/", "/x", "/secre", "/x/secret", "/secret/../x", "/?/secret", "/%2573ecret", "/...", "/privat/x", "/private/../x", "/stati/c", "/ap/i"} {
			if p, body := test.gateway.fetch("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"); body != "GET a "+target+" []" {
				t.Errorf("%s: %s does not get past it: %s %q", name, target, p.Status, body)
			}
		}
	}
}

// No spelling of a host gets past a script that compares it.
func TestSpellingsOfHosts(t *testing.T) {
	g := httpExample(t, "header_policy.lua", Allow{}, map[string]any{"hosts": []any{"example.com"}})
	for host, status := range map[string]int{
		"example.com": 200, "EXAMPLE.com": 200, "example.com.": 200, "example.com:": 200, "example.com:80": 200, "Example.Com.:8080": 200,
		"example.com..": 400, ".example.com": 400, "example..com": 400, "x@example.com": 400, "example.com%2e": 400, "example.org": 421, "a.example.com": 421, "[::1]": 421,
	} {
		if p, _ := g.fetch("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); p.StatusCode != status {
			t.Errorf("%s: %s, want %d", host, p.Status, status)
		}
	}
}
