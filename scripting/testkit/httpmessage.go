package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/strict"
	"fwx/scripting/internal/fields"
)

// httpMessage is a request or a response that the test sends.
type httpMessage struct {
	after  time.Duration // it is sent
	line   string        // the first
	fields []string
	body   body
	bare   bool // it has no body, and nothing that would announce one
	cut    bool // the connection ends before its end
}

// body is what a message has behind its head.
type body struct {
	parts []part
	whole bool // it is one string, not a list
}

// part is a part of a body that arrives by itself, or a pause.
type part struct {
	text  string
	pause time.Duration
}

// messageOptions are the options that requests and responses have.
var messageOptions = []string{"headers", "body", "cut"}

// parseMessage reads what requests and responses have in common.
func parseMessage(t *lua.LTable) (m httpMessage, err error) {
	if m.fields, err = parseFields(t.RawGetString("headers")); err != nil {
		return m, err
	}
	if m.body, err = parseBody(t.RawGetString("body")); err != nil {
		return m, err
	}
	switch cut := t.RawGetString("cut").(type) {
	case *lua.LNilType:
	case lua.LBool:
		m.cut = bool(cut)
	default:
		return m, fmt.Errorf("cut wants true or false, got %s", describe(cut))
	}
	return m, nil
}

// parseFields reads headers: lines as they are, and then names with a value or several.
func parseFields(v lua.LValue) (lines []string, err error) {
	if v == lua.LNil {
		return nil, nil
	}
	named, err := fields.Rule{Lines: true}.Read(v)
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	if table, ok := v.(*lua.LTable); ok {
		for i := range table.Len() {
			line, ok := table.RawGetInt(i + 1).(lua.LString)
			if !ok {
				return nil, fmt.Errorf(`headers: a line such as "Accept: text/html" expected, got %s`, describe(table.RawGetInt(i+1)))
			}
			lines = append(lines, string(line))
		}
	}
	for _, f := range named {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return lines, nil
}

// nameOf returns the name in a line of a header, in lower case.
func nameOf(field string) string {
	name, _, _ := strings.Cut(field, ":")
	return strings.ToLower(strings.TrimSpace(name))
}

var errBody = errors.New("body wants a string, or a list of strings, which arrive one after the other, and numbers, which are pauses in seconds")

func parseBody(v lua.LValue) (b body, err error) {
	switch v := v.(type) {
	case *lua.LNilType:
	case lua.LString:
		b.parts, b.whole = []part{{text: string(v)}}, true
	case *lua.LTable:
		v.ForEach(func(_, item lua.LValue) {
			switch item := item.(type) {
			case lua.LString:
				b.parts = append(b.parts, part{text: string(item)})
			case lua.LNumber:
				if !(item >= 0 && item <= maxSeconds) {
					err = errBody
				}
				b.parts = append(b.parts, part{pause: durationOf(item)})
			default:
				err = errBody
			}
		})
	default:
		return b, errBody
	}
	return b, err
}

// has reports whether the message has a header.
func (m *httpMessage) has(name string) bool {
	return slices.ContainsFunc(m.fields, func(field string) bool { return nameOf(field) == name })
}

// parts returns what is sent, in the parts in which it arrives.
func (m *httpMessage) parts() []part {
	if m.after > 0 {
		later := *m
		later.after = 0
		return append([]part{{pause: m.after}}, later.parts()...)
	}
	framed := m.has("content-length") || m.has("transfer-encoding")
	head := strings.Join(append([]string{m.line}, m.fields...), "\r\n") + "\r\n"
	switch {
	case m.bare:
		return []part{{text: head + "\r\n"}}
	case m.body.whole:
		text := m.body.parts[0].text
		if size := len(text); !framed {
			if m.cut {
				size++ // and this byte does not come
			}
			head += "Content-Length: " + strconv.Itoa(size) + "\r\n"
		}
		return []part{{text: head + "\r\n" + text}}
	case framed:
		return append([]part{{text: head + "\r\n"}}, m.body.parts...)
	}
	parts := []part{{text: head + "Transfer-Encoding: chunked\r\n\r\n"}}
	for _, p := range m.body.parts {
		if p.text != "" {
			p.text = fmt.Sprintf("%x\r\n%s\r\n", len(p.text), p.text)
		}
		parts = append(parts, p)
	}
	if !m.cut {
		parts = append(parts, part{text: "0\r\n\r\n"})
	}
	return parts
}

// play sends a message, with its pauses, and then calls done.
func (p *peer) play(m *httpMessage, done func()) {
	p.playing = true
	p.sendParts(m.parts(), func() {
		p.playing = false
		if m.cut {
			p.close()
		}
		done()
	})
}

func (p *peer) sendParts(parts []part, done func()) {
	for i, one := range parts {
		switch {
		case p.ended: // meanwhile
			return
		case one.pause > 0:
			p.test.machine.AfterFunc(one.pause, func() { p.sendParts(parts[i+1:], done) })
			return
		}
		p.write(one.text)
	}
	done()
}

// responseOptions are what a table that answers a request may have.
var responseOptions = append([]string{"status", "after"}, messageOptions...)

// parseResponse reads what the test answers a request with: a string is the body of a 200.
func parseResponse(v lua.LValue) (m httpMessage, err error) {
	status := http.StatusOK
	switch v := v.(type) {
	case lua.LString:
		m.body, err = parseBody(v)
	case *lua.LTable:
		if m, err = parseMessage(v); err != nil {
			return m, err
		}
		status, m.after, err = parseResponseLine(v)
	default:
		err = fmt.Errorf("a string, { status, headers, body } or nil is wanted for a response, not %s", describe(v))
	}
	m.line = fmt.Sprintf("HTTP/1.1 %d %s", status, http.StatusText(status))
	m.bare = status < http.StatusOK || status == http.StatusNoContent || status == http.StatusNotModified
	return m, err
}

func parseResponseLine(t *lua.LTable) (status int, after time.Duration, err error) {
	status = http.StatusOK
	if v := t.RawGetString("status"); v != lua.LNil {
		n, ok := v.(lua.LNumber)
		if !ok || n < 100 || n > 999 {
			return status, 0, fmt.Errorf("status wants a number from 100 to 999, got %s", show(v, ""))
		}
		status = int(n)
	}
	if v := t.RawGetString("after"); v != lua.LNil {
		n, ok := v.(lua.LNumber)
		if !ok || !(n >= 0 && n <= maxSeconds) {
			return status, 0, fmt.Errorf("after wants a number of seconds, got %s", show(v, ""))
		}
		after = durationOf(n)
	}
	return status, after, unknown(t, responseOptions)
}

// unknown is the mistake of a key that is none of those that are known.
func unknown(t *lua.LTable, known []string) (err error) {
	t.ForEach(func(key, _ lua.LValue) {
		if name := key.String(); key.Type() != lua.LTString || !slices.Contains(known, name) {
			err = fmt.Errorf("there is no option %q%s", name, strict.Suggest(name, known))
		}
	})
	return err
}

// headerTable returns the headers of a message as tests see them: its lines, in order,
// and what they say by their names in lower case.
func headerTable(L *lua.LState, head string) *lua.LTable {
	table := L.NewTable()
	lines := strings.Split(head, "\r\n")
	for _, line := range lines[1:] {
		table.Append(lua.LString(line))
		_, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if before, ok := table.RawGetString(nameOf(line)).(lua.LString); ok {
			value = string(before) + ", " + value
		}
		table.RawSetString(nameOf(line), lua.LString(value))
	}
	return table
}

// headOf returns the head that a text begins with.
func headOf(text []byte) string {
	head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	return string(head)
}
