package scripting

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var urlFunctions = []binding{
	{
		"parse", urlParse, "(text: bytes) -> " + urlParts + " or fail",
		"Takes a URL, absolute or relative, apart. `path`, `query` and `fragment` stay escaped. `\"EINVAL\"`: it is none.",
	},
	{
		"build", urlBuild, "(parts: " + urlParts + ") -> string or fail",
		"The reverse. `\"EINVAL\"`: the parts make no URL that would be parsed into them.",
	},
	{"escape", urlEscape, "(text: bytes) -> string", "Escapes everything but letters, digits and `-._~`."},
	{"unescape", urlUnescape, "(text: bytes) -> string or fail", "`+` stays. `\"EINVAL\"`: a `%` without two digits."},
	{
		"parse_query", urlParseQuery, "(query: bytes) -> table<string, string[]> or fail",
		"The values of each name of a query, or of a form, in their order; `+` is a space. At most 1000 values. `\"EINVAL\"`: a " +
			"wrong escape, or a `;`.",
	},
	{
		"encode_query", urlEncodeQuery, "(values: table<string, bytes|number|boolean|string[]>) -> string",
		"A query of names, in order, and values.",
	},
}

const (
	urlParts = "{scheme?: string, user?: string, password?: string, host?: string, port?: integer, " +
		"path?: string, query?: string, fragment?: string}"
	maxQueryValues = 1000
	maxEscaped     = 3 // bytes that one becomes
)

// webURL is the parts of a URL. What is missing is empty.
type webURL struct{ scheme, user, password, host, port, path, query, fragment string }

// fields are the names and places of the parts.
func (p *webURL) fields() map[string]*string {
	return map[string]*string{
		"scheme": &p.scheme, "user": &p.user, "password": &p.password, "host": &p.host, "port": &p.port,
		"path": &p.path, "query": &p.query, "fragment": &p.fragment,
	}
}

// splitURL takes a URL apart.
func splitURL(text string) (p webURL, err error) {
	u, err := url.Parse(text)
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		return p, wrong.Err // without the text
	}
	if err != nil {
		return p, err
	}
	p = webURL{
		scheme: u.Scheme, user: u.User.Username(), host: u.Hostname(), port: u.Port(),
		path: u.EscapedPath() + u.Opaque, query: u.RawQuery, fragment: u.EscapedFragment(),
	}
	p.password, _ = u.User.Password()
	if n, err := strconv.Atoi(p.port); p.port != "" && (err != nil || n > maxPort) {
		return p, fmt.Errorf("the port %s is none", p.port)
	}
	return p, nil
}

// join is the reverse of splitURL, if it is checked with it.
func (p *webURL) join() string {
	var b strings.Builder
	if p.scheme != "" {
		b.WriteString(p.scheme + ":")
	}
	if p.host+p.port+p.user+p.password != "" {
		b.WriteString("//" + p.authority())
	}
	b.WriteString(p.path)
	if p.query != "" {
		b.WriteString("?" + p.query)
	}
	if p.fragment != "" {
		b.WriteString("#" + p.fragment)
	}
	return b.String()
}

func (p *webURL) authority() string {
	text := p.host
	if strings.Contains(p.host, ":") {
		text = "[" + p.host + "]"
	}
	if p.port != "" {
		text += ":" + p.port
	}
	switch {
	case p.password != "":
		text = url.UserPassword(p.user, p.password).String() + "@" + text
	case p.user != "":
		text = url.User(p.user).String() + "@" + text
	}
	return text
}

func urlParse(s *state, L *lua.LState) int {
	s.meter.charge(urlCost)
	p, err := splitURL(string(s.argPaid(L, 1, 4)))
	if err != nil {
		return giveError(L, invalid("fwx.url.parse: "+err.Error()))
	}
	t := L.NewTable()
	for name, place := range p.fields() {
		if *place != "" {
			t.RawSetString(name, lua.LString(*place))
		}
	}
	if p.port != "" {
		port, _ := strconv.Atoi(p.port) // it has been checked
		t.RawSetString("port", lua.LNumber(port))
	}
	return give(L, t)
}

func urlBuild(s *state, L *lua.LState) int {
	var p webURL
	fields := p.fields()
	o := argOptions(L, 1, slices.Sorted(maps.Keys(fields))...)
	for name, place := range fields {
		if name == "port" {
			if port := o.integer(name, -1, maxPort, -1); port >= 0 {
				*place = strconv.Itoa(port)
			}
			continue
		}
		*place = o.text(name)
		s.meter.chargeBytes(2 * len(*place))
	}
	s.meter.charge(urlCost)
	text := p.join()
	if again, err := splitURL(text); err != nil || again != p {
		return giveError(L, invalid("fwx.url.build: the parts make "+strconv.Quote(text)+", which is not the URL of these parts"))
	}
	return give(L, lua.LString(text))
}

const upperHex = "0123456789ABCDEF"

// isUnreserved reports whether a byte needs no escape in any part of a URL.
func isUnreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("-._~", c) >= 0
}

func appendEscaped(out, text []byte) []byte {
	for _, c := range text {
		if isUnreserved(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return out
}

func urlEscape(s *state, L *lua.LState) int {
	return give(L, textOf(appendEscaped(nil, s.argPaid(L, 1, maxEscaped))))
}

func urlUnescape(s *state, L *lua.LState) int {
	text, err := url.PathUnescape(string(s.argPaid(L, 1, 1)))
	if err != nil {
		return giveError(L, invalid("fwx.url.unescape: "+err.Error()))
	}
	return give(L, lua.LString(text))
}

func urlParseQuery(s *state, L *lua.LState) int {
	query := string(s.argPaid(L, 1, 2))
	if strings.Count(query, "&") >= maxQueryValues {
		return giveError(L, invalid(fmt.Sprintf("fwx.url.parse_query: more than %d values", maxQueryValues)))
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return giveError(L, invalid("fwx.url.parse_query: "+err.Error()))
	}
	t := L.NewTable()
	for name, list := range values {
		s.meter.charge(parameterCost * (1 + len(list)))
		of := L.CreateTable(len(list), 0)
		for _, v := range list {
			of.Append(lua.LString(v))
		}
		t.RawSetString(name, of)
	}
	return give(L, t)
}

func urlEncodeQuery(s *state, L *lua.LState) int {
	q := query{state: s, L: L}
	names := map[string]lua.LValue{}
	L.CheckTable(1).ForEach(func(name, value lua.LValue) {
		if name.Type() != lua.LTString {
			L.ArgError(1, "names that are strings expected, got "+describe(name))
		}
		names[name.String()] = value
	})
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list, ok := names[name].(*lua.LTable)
		if !ok {
			q.add(name, names[name])
			continue
		}
		for i := 1; i <= list.Len(); i++ {
			q.add(name, list.RawGetInt(i))
		}
	}
	return give(L, textOf(q.out))
}

// query is a query of a URL that is being written.
type query struct {
	state *state
	L     *lua.LState
	out   []byte
}

func (q *query) add(name string, value lua.LValue) {
	q.state.meter.charge(4 * instructionsPerCall)
	before := len(q.out)
	if before > 0 {
		q.out = append(q.out, '&')
	}
	q.out = append(appendEscaped(q.out, []byte(name)), '=')
	switch v := value.(type) {
	case lua.LString, lua.LNumber, lua.LBool:
		q.out = appendEscaped(q.out, []byte(plainText(v)))
	default:
		c, ok := userValue(value).(*chunk)
		if !ok {
			q.L.ArgError(1, name+": a string, a number, a boolean or a list of them expected, got "+describe(value))
		}
		q.out = appendEscaped(q.out, c.bytes(q.L))
	}
	q.state.checkSize(q.L, len(q.out)-before)
	if len(q.out) > maxStringSize {
		q.state.checkSize(q.L, len(q.out))
	}
	if q.state.meter.Left < 0 {
		q.L.RaiseError("%s", q.state.meter.Err().Error())
	}
}
