package framework

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestAddedFields sees what the gateway adds to requests and responses, and that each can be
// left out. The client sends all of them itself.
func TestAddedFields(t *testing.T) {
	no, yes := false, true
	names := []string{"Via", "X-Request-Id", "X-Id", "X-Forwarded-Proto"}
	server := httpServerOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Request-Id"], w.Header()["X-Id"] = []string{"server"}, []string{"server"}
		for _, name := range names {
			fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.Header[name], "|")) //nolint:gosec // the client of the test tells
		}
	})
	for _, tt := range []struct {
		name     string
		config   HTTPConfig
		route    FieldsConfig
		request  [4]string // as names
		response [2]string // X-Request-Id, X-Id
	}{
		{"all", HTTPConfig{}, FieldsConfig{}, [4]string{"client|1.1 fwx", "ID", "client", "http"}, [2]string{"ID", "server"}},
		{"via = true", HTTPConfig{Via: &yes}, FieldsConfig{}, [4]string{"client|1.1 fwx", "ID", "client", "http"}, [2]string{"ID", "server"}},
		{"no via", HTTPConfig{Via: &no}, FieldsConfig{}, [4]string{"client", "ID", "client", "http"}, [2]string{"ID", "server"}},
		{"no via at all", HTTPConfig{Via: &no}, FieldsConfig{Remove: []string{"via"}}, [4]string{"", "ID", "client", "http"}, [2]string{"ID", "server"}},
		{"another id", HTTPConfig{RequestID: "X-Id"}, FieldsConfig{}, [4]string{"client|1.1 fwx", "client", "ID", "http"}, [2]string{"server", "ID"}},
		{"no id", HTTPConfig{RequestID: NoField}, FieldsConfig{}, [4]string{"client|1.1 fwx", "client", "client", "http"}, [2]string{"server", "server"}},
		{"no id at all", HTTPConfig{RequestID: NoField}, FieldsConfig{Remove: []string{"X-Request-Id"}}, [4]string{"client|1.1 fwx", "", "client", "http"}, [2]string{"server", "server"}},
		{"nothing", HTTPConfig{Via: &no, RequestID: NoField, Forwarded: ForwardedOff}, FieldsConfig{Remove: names}, [4]string{}, [2]string{"server", "server"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := startHTTP(t, server, func(c *Config) {
				c.Listeners[0].HTTP = &tt.config
				c.Listeners[0].Routes = []RouteConfig{{Path: "/", Request: tt.route}}
			})
			client, url := g.httpClient(t)
			r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))(t)
			for _, name := range names {
				r.Header[name] = []string{"client"}
			}
			p := must(client.Do(r))(t)
			defer p.Body.Close()
			body := string(must(io.ReadAll(p.Body))(t))
			id := func(s string) string {
				if len(s) == 16 {
					return "ID"
				}
				return s
			}
			for i, name := range names {
				got, _, _ := strings.Cut(strings.SplitAfter(body, name+": ")[1], "\n")
				if id(got) != tt.request[i] {
					t.Errorf("%s of the request is %q, not %q", name, got, tt.request[i])
				}
			}
			for i, name := range names[1:3] {
				if got := strings.Join(p.Header[name], "|"); id(got) != tt.response[i] {
					t.Errorf("%s of the response is %q, not %q", name, got, tt.response[i])
				}
			}
		})
	}
}

// TestAddedFieldMistakes sees that a change of a field which the gateway makes vain is a mistake,
// and how the field is left out.
func TestAddedFieldMistakes(t *testing.T) {
	const request, response = "request_fields", "response_fields"
	for _, tt := range []struct{ settings, where, change, want string }{
		{"", request, `remove = ["Via"]`, "via = false"},
		{"", request, `remove = ["via"]`, "via = false"},
		{"via = false", request, `remove = ["Via"]`, ""},
		{"", request, `add = { Via = "1.1 a" }`, ""},
		{"", request, `set = { Via = "1.1 a" }`, ""},
		{"", request, `remove = ["X-Request-Id"]`, "request_id = false"},
		{"", request, `set = { X-Request-Id = "1" }`, "request_id = false"},
		{"", request, `add = { X-Request-Id = "1" }`, "request_id = false"},
		{"request_id = false", request, `remove = ["X-Request-Id"]`, ""},
		{`request_id = "X-Id"`, request, `remove = ["X-Request-Id"]`, ""},
		{`request_id = "X-Id"`, request, `remove = ["X-ID"]`, "request_id = false"},
		{"request_id = true", request, `remove = ["X-Request-Id"]`, "request_id = false"},
		{"", response, `remove = ["X-Request-Id"]`, "request_id = false"},
		{"", response, `set = { X-Request-Id = "1" }`, "request_id = false"},
		{"", response, `remove = ["Via"]`, ""},
		{"", response, `remove = ["Forwarded"]`, ""},
		{"", request, `remove = ["Forwarded"]`, `forwarded = "off"`},
		{"", request, `remove = ["X-Forwarded-For"]`, `forwarded = "off"`},
		{"", request, `set = { X-Forwarded-Proto = "https" }`, `forwarded = "off"`},
		{`forwarded = "append"`, request, `set = { X-Forwarded-Host = "a" }`, ""},
		{`forwarded = "append"`, request, `remove = ["X-Forwarded-Host"]`, `forwarded = "off"`},
		{`forwarded = "off"`, request, `remove = ["X-Forwarded-Host"]`, ""},
	} {
		t.Run(tt.settings+" "+tt.where+" "+tt.change, func(t *testing.T) {
			key, _, _ := strings.Cut(tt.change, " ")
			want := ""
			if tt.want != "" {
				want = "c.toml:12:" + strconv.Itoa(len(tt.where)+2) + ": listener.route." + tt.where + "." + key + `: "NAME" is added by the gateway after the changes of the route, which do nothing to it: ` +
					tt.want + " in [listener.http] leaves it out"
			}
			got := mistakesOf(routesText + "[listener.http]\n" + tt.settings + "\n[[listener.route]]\n" + tt.where + "." + tt.change + "\n")
			if name := strings.SplitN(got, `"`, 3); len(name) == 3 {
				got = strings.Replace(got, `"`+name[1]+`"`, `"NAME"`, 1)
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	for setting, want := range map[string]string{
		`request_id = "a b"`:            `listener.http.request_id: "a b": is not the name of a field; false means that none is added`,
		`request_id = ""`:               `listener.http.request_id: "": is not the name of a field; false means that none is added`,
		`request_id = "-"`:              `listener.http.request_id: "-": is not the name of a field; false means that none is added`,
		`request_id = 1`:                `listener.http.request_id: wants a string, not an integer`,
		`request_id = "content-length"`: `listener.http.request_id: "content-length" is a field that the gateway writes itself`,
		`via = "no"`:                    `listener.http.via: wants true or false, not a string`,
	} {
		if got := mistakesOf(routesText + "[listener.http]\n" + setting + "\n"); !strings.HasSuffix(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestRequestIDMistakes sees that the id of a request is not written into a field that has
// something else.
func TestRequestIDMistakes(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"X-Trace", ""},
		{"", "is not the name of a field"},
		{"a b", "is not the name of a field"},
		{"Content-Length", "is a field that the gateway writes itself"},
		{"via", "is a field that the gateway writes itself"},
		{"x-forwarded-for", "is a field that the gateway writes itself"},
		{"Forwarded", "is a field that the gateway writes itself"},
	} {
		got := mistakesOf(routesText + "[listener.http]\nrequest_id = \"" + tt.name + "\"\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.name, got, tt.want)
		}
	}
}
