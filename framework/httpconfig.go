package framework

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"fwx/framework/strict"
	"fwx/framework/wire/http1"
)

// HTTPConfig configures a listener with protocol "http".
type HTTPConfig struct {
	// HeaderTimeout bounds the time in which a client sends the head of a request, from
	// its first byte to its last; 0 means 10 s.
	HeaderTimeout time.Duration `toml:"header_timeout"`
	// BodyTimeout bounds how long a client may keep its body from making progress: each
	// BodyRate bytes give it another second. 0 means 20 s.
	BodyTimeout time.Duration `toml:"body_timeout"`
	// BodyRate is the lowest rate, in bytes per second, at which a client may send a body
	// indefinitely; 0 means 500.
	BodyRate int `toml:"body_rate"`
	// SendTimeout bounds how long a client may keep what is sent to it from making progress,
	// also in a tunnel: each SendRate bytes give it another second. 0 means 20 s.
	SendTimeout time.Duration `toml:"send_timeout"`
	// SendRate is the lowest rate, in bytes per second, at which a client may read a response
	// indefinitely; 0 means 1,000.
	SendRate int `toml:"send_rate"`
	// ResponseTimeout bounds how long a server may be silent when it is its turn: until its
	// response begins, and between two parts of it. 0 means 60 s.
	ResponseTimeout time.Duration `toml:"response_timeout"`
	// KeepAlive is how long a client's connection is kept open between requests; 0 means 60
	// s.
	KeepAlive time.Duration `toml:"keep_alive"`
	// MaxBody bounds the body of a request; a longer one is answered with 413. 0 means
	// unlimited.
	MaxBody strict.Size `toml:"max_body"`
	// MaxDecoded bounds the content of a body that filters want decoded; a longer one is
	// answered with 413, or 502 for a response. 0 means 64 MiB.
	MaxDecoded strict.Size `toml:"max_decoded"`
	// MaxMessage bounds a message of a WebSocket that filters see; for a longer one the
	// WebSocket is closed with 1009. 0 means 1 MiB.
	MaxMessage strict.Size `toml:"max_message"`
	// MaxRequestLine, MaxHeader and MaxFields bound the head of a request: beyond, 414
	// or 431. 0 means 16 KiB, 64 KiB and 128. They hold for answers, too.
	MaxRequestLine strict.Size `toml:"max_request_line"`
	MaxHeader      strict.Size `toml:"max_header"`
	MaxFields      int         `toml:"max_fields"`
	// Forwarded says what is done with the fields that describe the client to the server
	// (X-Forwarded-For, -Host and -Proto, and Forwarded): "replace", the default, replaces
	// those received by the gateway's own, "append" adds the gateway's own after them, "off"
	// leaves them alone.
	Forwarded string `toml:"forwarded"`
	// Underscores says what is done with a request's fields whose name has an underscore:
	// "pass", the default, passes on those that no server can take for one that the gateway,
	// the route or a filter sets or removes; "drop" drops all of them; "reject" answers a
	// request that has one with 400.
	Underscores string `toml:"underscores"`
	// Via adds the gateway to the Via field of requests; nil means true.
	Via *bool `toml:"via"`
	// RequestID is the name of the field with the id of a request, for the server and the
	// client; empty means "X-Request-Id", NoField that none is added.
	RequestID AddedField `toml:"request_id"`
	// Upgrades are the protocols to which connections may be upgraded; nil means only
	// "websocket". Others are removed from requests.
	Upgrades []string `toml:"upgrades"`
	// AccessLog logs each request in one line.
	AccessLog bool `toml:"access_log"`

	// Spool says where bodies are stored that are too long for memory.
	Spool SpoolConfig `toml:"spool"`

	Table strict.Table `toml:"."`

	limits        http1.Limits // of responses
	requestLimits http1.Limits
}

// AddedField is the name of a field that the gateway adds to messages. In a file it is a
// string, or false for NoField.
type AddedField string

// NoField means that the gateway does not add the field.
const NoField AddedField = "-"

// UnmarshalText accepts a name.
func (f *AddedField) UnmarshalText(text []byte) error {
	if !http1.ValidName(string(text)) || AddedField(text) == NoField {
		return errors.New("is not the name of a field; false means that none is added")
	}
	*f = AddedField(text)
	return nil
}

// UnmarshalBool accepts false for NoField, and true for the default.
func (f *AddedField) UnmarshalBool(value bool) error {
	*f = ""
	if !value {
		*f = NoField
	}
	return nil
}

// The values of HTTPConfig.Forwarded.
const (
	ForwardedReplace = "replace"
	ForwardedAppend  = "append"
	ForwardedOff     = "off"
)

// RouteConfig says where some requests of a listener with protocol "http" go. The first route
// that matches a request applies; a request that matches none goes to the listener's upstream.
type RouteConfig struct {
	// Host is the host that the request is for, without its port: "example.com", or
	// "*.example.com" for all below it. Empty: any.
	Host string `toml:"host"`
	// Path is a prefix of the path, after %-encoding and dots have been resolved. Empty: any.
	Path string `toml:"path"`
	// Methods are the methods; none: any.
	Methods []string `toml:"methods"`

	// Upstream is the name of the upstream that the requests go to; empty: the listener's.
	Upstream string `toml:"upstream"`
	// Redirect answers with a redirection to this URL, in which "{path}" stands for path and
	// query, and "{host}" for the host without its port.
	Redirect string `toml:"redirect"`
	// Status is the status of the redirection or the response; 0 means 302 or 200.
	Status int `toml:"status"`
	// Body is the body of the response, and Type its Content-Type.
	Body string `toml:"body"`
	Type string `toml:"type"`

	// Request and Response change the fields of the request and the response.
	Request  FieldsConfig `toml:"request_fields"`
	Response FieldsConfig `toml:"response_fields"`

	Table strict.Table `toml:"."`
}

// FieldsConfig is a change of the fields of a message, in the order remove, set, add.
type FieldsConfig struct {
	Remove []string          `toml:"remove"`
	Set    map[string]string `toml:"set"`
	Add    map[string]string `toml:"add"`

	Table strict.Table `toml:"."`
}

const (
	defaultHeaderTimeout   = 10 * time.Second
	defaultBodyTimeout     = 20 * time.Second
	defaultBodyRate        = 500
	defaultSendTimeout     = 20 * time.Second
	defaultSendRate        = 1000
	defaultResponseTimeout = time.Minute
	defaultKeepAlive       = time.Minute
	defaultMaxMessage      = 1 << 20
	defaultMaxDecoded      = 64 << 20
)

// checkHTTP reports mistakes in the HTTP settings of a listener.
func checkHTTP(check strict.Checker, l *ListenerConfig, upstreams names) {
	if l.Protocol != protocolHTTP {
		if l.HTTP != nil {
			check.Errorf("http", "is for a listener with protocol = %q", protocolHTTP)
		}
		if len(l.Routes) > 0 {
			check.Errorf("route", "is for a listener with protocol = %q", protocolHTTP)
		}
		return
	}
	h := HTTPConfig{}
	if l.HTTP != nil {
		h = *l.HTTP // the caller's stay as they are
	}
	l.HTTP = &h
	h.check(check.Sub("http", h.Table))
	l.Routes = slices.Clone(l.Routes)
	for i := range l.Routes {
		r := &l.Routes[i]
		part := check.Sub(fmt.Sprintf("route[%d]", i), r.Table)
		r.check(part, upstreams, &h)
		r.checkReached(part, l.Routes[:i])
	}
}

func (h *HTTPConfig) check(check strict.Checker) {
	check.Duration("header_timeout", &h.HeaderTimeout, defaultHeaderTimeout)
	check.Duration("body_timeout", &h.BodyTimeout, defaultBodyTimeout)
	check.Duration("response_timeout", &h.ResponseTimeout, defaultResponseTimeout)
	check.Duration("keep_alive", &h.KeepAlive, defaultKeepAlive)
	check.Number("body_rate", &h.BodyRate, maxCount, defaultBodyRate)
	check.Duration("send_timeout", &h.SendTimeout, defaultSendTimeout)
	check.Number("send_rate", &h.SendRate, maxCount, defaultSendRate)
	h.limits = http1.DefaultLimits
	check.Number("max_fields", &h.MaxFields, 10_000, h.limits.Fields)
	h.limits.Fields = h.MaxFields
	const head = 1 << 20
	check.Size("max_request_line", &h.MaxRequestLine, minLimit, head, strict.Size(h.limits.Line))
	check.Size("max_header", &h.MaxHeader, minLimit, head, strict.Size(h.limits.Head))
	h.limits.Line, h.limits.Head = int(h.MaxRequestLine), int(h.MaxHeader)
	check.Size("max_message", &h.MaxMessage, minLimit, 64<<20, defaultMaxMessage)
	check.Size("max_decoded", &h.MaxDecoded, 1, math.MaxInt64, defaultMaxDecoded)
	check.Size("max_body", &h.MaxBody, 1, math.MaxInt64, 0)
	h.Spool.check(check.Sub("spool", h.Spool.Table))
	h.checkUpgrades(check)
	check.OneOf("forwarded", &h.Forwarded, "way with forwarded fields", []string{ForwardedReplace, ForwardedAppend, ForwardedOff})
	check.OneOf("underscores", &h.Underscores, "way with underscores", []string{UnderscoresPass, UnderscoresDrop, UnderscoresReject})
	h.requestLimits = h.limits
	h.requestLimits.Underscores = underscores[h.Underscores]
	if h.Via == nil {
		h.Via = new(bool)
		*h.Via = true
	}
	switch name := string(h.RequestID); {
	case name == "":
		h.RequestID = defaultRequestID
	case h.RequestID == NoField:
	case !http1.ValidName(name):
		check.Errorf("request_id", "%q is not the name of a field", name)
	case http1.Reserved(name) || strings.EqualFold(name, "Via") || slices.ContainsFunc(forwardedFields, func(f string) bool { return strings.EqualFold(f, name) }):
		check.Errorf("request_id", "%q is a field that the gateway writes itself", name)
	}
}

// The values of HTTPConfig.Underscores.
const (
	UnderscoresPass   = "pass"
	UnderscoresDrop   = "drop"
	UnderscoresReject = "reject"
)

var underscores = map[string]http1.Underscores{
	UnderscoresDrop:   http1.DropUnderscores,
	UnderscoresReject: http1.RejectUnderscores,
}

// addedField is a field that the gateway adds after the changes of a route.
type addedField struct {
	name     string
	replaces bool   // replaces fields of that name
	without  string // the setting that disables it
}

// addedToRequests returns the fields that the gateway adds to requests.
func (h *HTTPConfig) addedToRequests() []addedField {
	list := h.addedToResponses()
	if *h.Via {
		list = append(list, addedField{"Via", false, "via = false"})
	}
	if h.Forwarded != ForwardedOff {
		for _, name := range forwardedFields {
			list = append(list, addedField{name, h.Forwarded == ForwardedReplace, `forwarded = "off"`})
		}
	}
	return list
}

// addedToResponses returns the fields that the gateway adds to responses.
func (h *HTTPConfig) addedToResponses() []addedField {
	if h.RequestID == NoField {
		return nil
	}
	return []addedField{{string(h.RequestID), true, "request_id = false"}}
}

// forwardedFields are the fields that HTTPConfig.Forwarded concerns.
var forwardedFields = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}

const defaultRequestID = "X-Request-Id"

// minLimit is the lowest limit for heads and messages.
const minLimit = 64

func (f *FieldsConfig) check(check strict.Checker, added []addedField) {
	name := func(where, n string) {
		i := slices.IndexFunc(added, func(a addedField) bool { return strings.EqualFold(a.name, n) })
		switch {
		case i >= 0 && (where == "remove" || added[i].replaces):
			check.Errorf(where, "%q is added by the gateway after the changes of the route, which do nothing to it: %s in [listener.http] leaves it out", n, added[i].without)
		case !http1.ValidName(n):
			check.Errorf(where, "%q is not the name of a field", n)
		case http1.Reserved(n):
			check.Errorf(where, "%q is a field that the gateway writes itself", n)
		}
	}
	for _, n := range f.Remove {
		name("remove", n)
	}
	values := func(where string, values map[string]string) {
		for _, n := range sortedKeys(values) {
			name(where, n)
			if !http1.ValidValue(values[n]) {
				check.Errorf(where+"."+n, "has a control character")
			}
		}
	}
	values("set", f.Set)
	values("add", f.Add)
}
