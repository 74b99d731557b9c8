package framework

import (
	"bytes"
	"slices"
	"strings"

	"fwx/framework/wire/http1"
)

// route is a RouteConfig ready for use.
type route struct {
	config            RouteConfig
	upstream          *upstream // nil: the listener's
	suffix            bool      // host is what the request's ends with
	host              string    // in lower case
	request, response []fieldChange
}

// fieldChange is one step of a FieldsConfig.
type fieldChange struct {
	name, value string
	apply       func(h *http1.Header, name, value string)
}

func removeField(h *http1.Header, name, _ string)  { h.Remove(name) }
func setField(h *http1.Header, name, value string) { h.Set(name, value) }
func addField(h *http1.Header, name, value string) { h.Add(name, value) }

func (f *FieldsConfig) changes() (list []fieldChange) {
	for _, name := range f.Remove {
		list = append(list, fieldChange{name, "", removeField})
	}
	for _, name := range sortedKeys(f.Set) {
		list = append(list, fieldChange{name, f.Set[name], setField})
	}
	for _, name := range sortedKeys(f.Add) {
		list = append(list, fieldChange{name, f.Add[name], addField})
	}
	return list
}

func applyChanges(h *http1.Header, changes []fieldChange) {
	for i := range changes {
		changes[i].apply(h, changes[i].name, changes[i].value)
	}
}

// makeRoute makes a route of the generation.
func (g *generation) makeRoute(config RouteConfig) *route {
	r := &route{config: config, request: config.Request.changes(), response: config.Response.changes()}
	r.host, r.suffix = strings.CutPrefix(strings.ToLower(config.Host), "*")
	if config.Upstream != "" {
		r.upstream = g.upstreams[g.config.upstream(config.Upstream)]
	}
	return r
}

// answers reports whether the gateway itself answers the route's requests.
func (r *route) answers() bool {
	return r != nil && (r.config.Redirect != "" || r.config.Status != 0 || r.config.Body != "")
}

// fits reports whether a request belongs to the route. path is the clean path.
func (r *route) fits(request *http1.Request, path []byte) bool {
	if len(r.config.Methods) > 0 && !slices.ContainsFunc(r.config.Methods, request.Is) {
		return false
	}
	if r.config.Path != "" && (len(path) < len(r.config.Path) || string(path[:len(r.config.Path)]) != r.config.Path) {
		return false
	}
	if r.host == "" {
		return true
	}
	host := withoutPort(request.Host())
	if r.suffix && len(host) > len(r.host) {
		host = host[len(host)-len(r.host):]
	}
	return http1.EqualFold(host, r.host)
}

// withoutPort returns a host without its port.
func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i > bytes.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}

// route finds the route of a request; nil: none fits.
func (l *listener) route(x *Exchange) *route {
	if len(l.routes) == 0 {
		return nil
	}
	x.clean = appendCleanPath(x.clean[:0], x.request.Path())
	for _, r := range l.routes {
		if r.fits(&x.request, x.clean) {
			return r
		}
	}
	return nil
}

// appendCleanPath appends the path of a target as a server may understand it, so that
// nobody gets past a route by another spelling: without the query, with %-encoding
// resolved, without "." and empty segments, and with ".." resolved.
func appendCleanPath(dst, target []byte) []byte {
	path, _, _ := bytes.Cut(target, []byte("?"))
	if bytes.IndexByte(path, '%') < 0 && !bytes.Contains(path, []byte("/.")) && !bytes.Contains(path, []byte("//")) {
		return append(dst, path...)
	}
	start := len(dst)
	for i := 0; i < len(path); i++ {
		b := path[i]
		if b == '%' { // two hexadecimal digits follow: that was checked
			b = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
		}
		dst = append(dst, b)
	}
	return append(dst[:start], resolveDots(dst[start:])...)
}

func unhex(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b | 0x20 - 'a' + 10
}

// resolveDots resolves the segments "", "." and ".." in place.
func resolveDots(path []byte) []byte {
	out := path[:0]
	for len(path) > 0 {
		segment := path[1:]
		if i := bytes.IndexByte(segment, '/'); i >= 0 {
			segment = segment[:i]
		}
		last := 1+len(segment) == len(path)
		path = path[1+len(segment):]
		switch string(segment) {
		case "..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
		case "", ".":
		default:
			out = append(append(out, '/'), segment...)
			continue
		}
		if last {
			out = append(out, '/')
		}
	}
	return out
}

// answer makes the route's own answer.
func (r *route) answer(x *Exchange) {
	c := &r.config
	if c.Redirect == "" {
		status := c.Status
		if status == 0 {
			status = 200
		}
		kind := c.Type
		if kind == "" {
			kind = "text/plain; charset=utf-8"
		}
		if c.Body == "" && status >= 400 {
			x.fail(status, "the route says so")
			return
		}
		x.respond(status, []Field{{"Content-Type", kind}}, []byte(c.Body))
		return
	}
	status := c.Status
	if status == 0 {
		status = 302
	}
	target := strings.NewReplacer("{host}", string(withoutPort(x.request.Host())), "{path}", string(x.request.Path())).Replace(c.Redirect)
	x.respond(status, []Field{{"Location", target}}, nil)
}
