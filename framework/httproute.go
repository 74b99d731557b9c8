package framework

import (
	"slices"
	"strings"

	"fwx/framework/wire/http1"
)

// route is a RouteConfig ready for use.
type route struct {
	config            RouteConfig
	upstream          *upstream // nil: the listener's upstream
	suffix            bool      // host is a suffix of the request's host
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

// fits reports whether a request matches the route. path is the clean path.
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
	host := request.Hostname()
	if r.suffix && len(host) > len(r.host) {
		host = host[len(host)-len(r.host):]
	}
	return string(host) == r.host
}

// route finds the route of a request; nil if none matches.
func (l *listener) route(x *Exchange) *route {
	if len(l.routes) == 0 {
		return nil
	}
	path := x.cleanPath()
	for _, r := range l.routes {
		if r.fits(&x.request, path) {
			return r
		}
	}
	return nil
}

// cleanPath returns the path that routes compare.
func (x *Exchange) cleanPath() []byte {
	x.clean = http1.AppendCleanPath(x.clean[:0], x.request.Path())
	return x.clean
}

// answer sends the response that the route specifies.
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
			x.fail(status, ByGateway, "the route says so")
			return
		}
		x.respond(status, []Field{{"Content-Type", kind}}, []byte(c.Body))
		return
	}
	status := c.Status
	if status == 0 {
		status = 302
	}
	target := strings.NewReplacer("{host}", string(x.request.Hostname()), "{path}", string(x.request.Path())).Replace(c.Redirect)
	x.respond(status, []Field{{"Location", target}}, nil)
}
