package framework

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"fwx/framework/completion"
	"fwx/framework/strict"
	"fwx/framework/wire/http1"
)

func (r *RouteConfig) check(check strict.Checker, upstreams names, h *HTTPConfig) {
	r.checkCondition(check)
	if r.Upstream != "" {
		check.Known("upstream", "upstream", r.Upstream, sortedKeys(upstreams))
	}
	if r.Redirect != "" && !http1.ValidValue(r.Redirect) {
		check.Errorf("redirect", "has a control character")
	}
	answers := r.Status != 0 || r.Body != ""
	switch {
	case r.Upstream != "" && (r.Redirect != "" || answers):
		check.Errorf("upstream", "a route goes to an upstream, or redirects, or answers: not more than one of them")
	case r.Redirect != "" && (r.Body != "" || r.Status != 0 && r.Status/100 != 3):
		check.Errorf("redirect", "a redirection has a status from 300 to 399 and no body")
	case r.Redirect == "" && (r.Status != 0 || check.Has("status")) && (r.Status < 200 || r.Status > 599):
		check.Errorf("status", "wants a number from 200 to 599, not %d", r.Status)
	case check.Has("body") && !answers:
		check.Errorf("body", "is empty, and so the route does not answer: write status = 200 for an empty answer")
	}
	if !http1.ValidValue(r.Type) {
		check.Errorf("type", "has a control character")
	}
	r.Request.check(check.Sub("request_fields", r.Request.Table), h.addedToRequests())
	r.Response.check(check.Sub("response_fields", r.Response.Table), h.addedToResponses())
}

// checkCondition reports conditions that no request can meet.
func (r *RouteConfig) checkCondition(check strict.Checker) {
	for key, value := range map[string]string{"host": r.Host, "path": r.Path, "redirect": r.Redirect, "upstream": r.Upstream} {
		if value == "" && check.Has(key) {
			check.Errorf(key, "must not be empty: leave the key out")
		}
	}
	if r.Path != "" {
		checkRoutePath(check, r.Path)
	}
	if r.Host != "" {
		checkRouteHost(check, r.Host)
	}
	if len(r.Methods) == 0 && check.Has("methods") {
		check.Errorf("methods", "fits no method: leave the key out for all")
	}
	for i, m := range r.Methods {
		key, upper := fmt.Sprintf("methods[%d]", i), strings.ToUpper(m)
		switch {
		case !http1.ValidName(m):
			check.Errorf(key, "%q is not a method", m)
		case m != upper && slices.Contains(knownMethods, upper):
			check.Errorf(key, "%q fits no request, since the case of a method counts: write %q", m, upper)
		case m == http.MethodConnect:
			check.Errorf(key, "%q fits no request: the gateway answers it with 501 itself", m)
		}
	}
}

// knownMethods are the methods of RFC 9110 and RFC 5789.
var knownMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace,
	http.MethodPatch,
}

// checkRoutePath reports a path that no clean path can begin with.
func checkRoutePath(check strict.Checker, path string) {
	plain, query, hasQuery := strings.Cut(path, "?")
	switch clean := cleanPrefix(plain); {
	case path[0] != '/':
		check.Errorf("path", "%q: a path begins with /", path)
	case strings.ContainsRune(path, 0):
		check.Errorf("path", "%q fits no request: a path with a NUL is answered with 400", path)
	case hasQuery:
		check.Errorf("path", "%q fits no request, since the query %q is not looked at: write %q", path, "?"+query, clean)
	case clean != path:
		check.Errorf("path", "%q fits no request: routes compare the path after %%-encoding, dots, empty segments and parameters have been resolved; write %q", path, clean)
	}
}

// cleanPrefix returns the clean form of the beginning of a path. Its last segment may be
// incomplete: "/." is the beginning of "/.git".
func cleanPrefix(path string) string {
	target := make([]byte, 0, len(path)+1)
	for i := range len(path) {
		if target = append(target, path[i]); path[i] == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])) {
			target = append(target, "25"...) // a literal percent sign
		}
	}
	const more = "x"
	return string(bytes.TrimSuffix(http1.AppendCleanPath(nil, append(target, more...)), []byte(more)))
}

func isHex(b byte) bool { return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f' }

// checkRouteHost reports a host that is not in the form that routes compare: without a port,
// and an IPv6 address in brackets.
func checkRouteHost(check strict.Checker, host string) {
	name := strings.TrimPrefix(host, "*.")
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil && a.Is6() {
		if want := "[" + a.String() + "]"; !strings.EqualFold(host, want) {
			check.Errorf("host", "%q fits no request: an address of IPv6 is written %q", host, want)
		}
		return
	}
	switch withoutDot, dot := strings.CutSuffix(name, "."); {
	case strings.Contains(name, "*"):
		check.Errorf("host", "%q: a * stands at the beginning only, before a dot and a domain", host)
	case strings.ContainsAny(name, ":/"):
		check.Errorf("host", "%q: wants a host without a port, or *. and a domain", host)
	case completion.CheckHost(name) != nil:
		check.Errorf("host", "%v", completion.CheckHost(name))
	case dot:
		check.Errorf("host", "%q: write it without the dot at its end: %q; requests with and without one fit it", host, strings.TrimSuffix(host, name)+withoutDot)
	}
}

// checkReached reports a route that no request reaches, because an earlier route matches
// first.
func (r *RouteConfig) checkReached(check strict.Checker, before []RouteConfig) {
	left := slices.Clone(r.Methods)
	for i := range before {
		b := &before[i]
		if !b.coversHost(r) || !strings.HasPrefix(r.Path, b.Path) {
			continue
		}
		left = slices.DeleteFunc(left, func(m string) bool { return slices.Contains(b.Methods, m) })
		if len(b.Methods) == 0 || len(r.Methods) > 0 && len(left) == 0 {
			check.Errorf("", "no request comes to this route: whatever fits it fits route %d before it%s; put it before that one", i+1, b.at())
			return
		}
	}
}

// at returns where a route is in its file.
func (r *RouteConfig) at() string {
	if r.Table.IsZero() {
		return ""
	}
	return fmt.Sprintf(", in line %d", r.Table.Errorf("", "").Line)
}

// coversHost reports whether every host that matches another route matches this one.
func (r *RouteConfig) coversHost(other *RouteConfig) bool {
	host, of := strings.ToLower(r.Host), strings.ToLower(other.Host)
	suffix, isSuffix := strings.CutPrefix(host, "*")
	of = strings.TrimPrefix(of, "*")
	switch {
	case host == "":
		return true
	case isSuffix:
		return len(of) >= len(suffix) && strings.HasSuffix(of, suffix)
	default:
		return strings.ToLower(other.Host) == host
	}
}
