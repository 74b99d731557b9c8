package scripting

import (
	"crypto/tls"
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// helloFields are what on_client_hello is given, tlsFields what conn.tls is: the same
// of the framework, as it is offered and as it came out.
var helloFields = []binding{
	{"sni", tlsField(serverName), "string?", "The name of the server that the client wants, in small letters; `nil` if it does not say."},
	{
		"alpn", tlsField(func(s *state, t *framework.TLSInfo) lua.LValue { return s.words(t.Hello.ALPN) }), "string[]",
		"The application protocols, `\"h2\"`, the preferred first.",
	},
	{
		"versions", tlsField(func(s *state, t *framework.TLSInfo) lua.LValue {
			names := make([]string, len(t.Hello.Versions))
			for i, v := range t.Hello.Versions {
				names[i] = versionName(v)
			}
			return s.words(names)
		}), "string[]",
		"The versions of TLS, `\"1.3\"`; one without a name is hexadecimal, `\"0x7a7a\"`.",
	},
	{
		"cipher_suites", tlsField(func(s *state, t *framework.TLSInfo) lua.LValue { return s.integers(t.Hello.CipherSuites) }), "integer[]",
		"The cipher suites, by their numbers of IANA.",
	},
	{
		"extensions", tlsField(func(s *state, t *framework.TLSInfo) lua.LValue { return s.integers(t.Hello.Extensions) }), "integer[]",
		"The extensions, by theirs, in the client's order.",
	},
	{
		"groups", tlsField(func(s *state, t *framework.TLSInfo) lua.LValue { return s.integers(t.Hello.Groups) }), "integer[]",
		"The groups for the key exchange, by theirs: 4588 is X25519MLKEM768.",
	},
	{"fingerprint", tlsField(fingerprint), "string", "The JA4 fingerprint of the client."},
}

var tlsFields = []binding{
	{"sni", tlsField(serverName), "string?", "As in the hello."},
	{"fingerprint", tlsField(fingerprint), "string", "As in the hello."},
	{
		"terminated", tlsField(func(_ *state, t *framework.TLSInfo) lua.LValue { return lua.LBool(t.Terminated) }), "boolean",
		"The gateway is the TLS server, and the handshake is done. The fields that follow are `nil` otherwise.",
	},
	{
		"version", agreedField(func(t *framework.TLSInfo) string { return versionName(t.Version) }), "string?",
		"The version that was agreed on, `\"1.3\"`.",
	},
	{
		"cipher", agreedField(func(t *framework.TLSInfo) string { return tls.CipherSuiteName(t.CipherSuite) }), "string?",
		"The cipher suite, `\"TLS_AES_128_GCM_SHA256\"`.",
	},
	{
		"alpn", agreedField(func(t *framework.TLSInfo) string { return t.Protocol }), "string?",
		"The application protocol that was agreed on; `nil` if none was.",
	},
	{
		"client_subject", agreedField(func(t *framework.TLSInfo) string {
			if t.ClientCertificate == nil {
				return ""
			}
			return t.ClientCertificate.Subject.String()
		}), "string?",
		"The subject of the client's certificate, which was verified, `\"CN=alice,O=Example\"`; `nil` if it has shown none.",
	},
	{
		"resumed", tlsField(func(_ *state, t *framework.TLSInfo) lua.LValue { return lua.LBool(t.Resumed) }), "boolean",
		"The client came back with a session ticket.",
	},
}

// tlsField makes a field of the function that returns it.
func tlsField(get func(*state, *framework.TLSInfo) lua.LValue) func(*state, *lua.LState) int {
	return func(s *state, L *lua.LState) int {
		return give(L, get(s, argObject[*framework.TLSInfo](L, 1, "tls")))
	}
}

// agreedField makes one of a text that is there behind the handshake; nil if it is empty.
func agreedField(get func(*framework.TLSInfo) string) func(*state, *lua.LState) int {
	return tlsField(func(_ *state, t *framework.TLSInfo) lua.LValue {
		if t.Terminated {
			if text := get(t); text != "" {
				return lua.LString(text)
			}
		}
		return lua.LNil
	})
}

func serverName(_ *state, t *framework.TLSInfo) lua.LValue {
	if t.Hello.ServerName == "" {
		return lua.LNil
	}
	return lua.LString(t.Hello.ServerName)
}

func fingerprint(_ *state, t *framework.TLSInfo) lua.LValue { return lua.LString(t.Fingerprint()) }

// versionName returns "1.3" for the version of TLS 1.3.
func versionName(v uint16) string { return strings.TrimPrefix(tls.VersionName(v), "TLS ") }

// words returns a list of strings.
func (s *state) words(list []string) lua.LValue {
	t := s.L.NewTable()
	for _, text := range list {
		s.meter.chargeBytes(len(text))
		t.Append(lua.LString(text))
	}
	return t
}

// integers returns a list of numbers.
func (s *state) integers(list []uint16) lua.LValue {
	t := s.L.NewTable()
	for _, n := range list {
		t.Append(lua.LNumber(n))
	}
	s.meter.chargeBytes(len(list))
	return t
}

// tls returns what is known of TLS with the client.
func (c *conn) tls() lua.LValue {
	if info := c.connection.TLS(); info != nil {
		return c.state.object(c.state.types.tls, info)
	}
	return lua.LNil
}

// greeting calls on_client_hello.
func (s *state) greeting(ev *framework.Event) framework.Verdict {
	if s.handlers.hello == nil {
		return framework.Pass
	}
	c := s.connOf(ev.Connection)
	if !s.breaker.admits(s.worker.Now()) {
		return c.onError(s.breaker.reason())
	}
	return c.event.call(c, ev, handlerHello, s.handlers.hello, c.object, s.object(s.types.hello, c.connection.TLS()))
}

func connSetUpstream(_ *state, L *lua.LState) int {
	c, name := argConn(L), argString(L, 2)
	err := c.connection.SetUpstream(name)
	if _, unknown := errors.AsType[*framework.UnknownNameError](err); unknown {
		err = &codedError{err.Error(), codeUnknown}
	}
	return giveDone(L, err)
}

func connSetTLSMode(_ *state, L *lua.LState) int {
	c, mode := argConn(L), argString(L, 2)
	if mode != framework.TLSTerminate && mode != framework.TLSPassThrough {
		L.ArgError(2, `"terminate" or "passthrough" expected, got "`+mode+`"`)
	}
	return giveDone(L, c.connection.SetTLSMode(mode))
}
