package framework

import (
	"strings"
	"testing"
)

// TestUnderscores sends fields whose names have underscores to a listener with each setting,
// and sees what its server is sent.
func TestUnderscores(t *testing.T) {
	for _, test := range []struct{ setting, status, fields string }{
		{"", "200", "my_field"},
		{UnderscoresPass, "200", "my_field"},
		{UnderscoresDrop, "200", ""},
		{UnderscoresReject, "400", ""},
	} {
		t.Run("underscores="+test.setting, func(t *testing.T) {
			m := newMachine(t)
			var heads []string
			m.server(func(c *memoryConn, head string) {
				heads = append(heads, head)
				c.say(okAnswer)
			})
			m.start(func(c *Config) { c.Listeners[0].HTTP = &HTTPConfig{Underscores: test.setting} })
			status := m.get("GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: me\r\nContent_Length: 5\r\nmy_field: 1\r\nmine: 2\r\n\r\n")
			if status != test.status {
				t.Fatalf("status %s, want %s", status, test.status)
			}
			if status != "200" {
				return
			}
			var passed []string
			for line := range strings.SplitSeq(heads[0], "\r\n") {
				if name, _, _ := strings.Cut(line, ":"); strings.Contains(name, "_") {
					passed = append(passed, name)
				}
			}
			if got := strings.Join(passed, " "); got != test.fields || !strings.Contains(heads[0], "mine: 2") {
				t.Errorf("the server was sent %q, want the fields %q", heads[0], test.fields)
			}
			if status := m.get("GET / HTTP/1.1\r\nHost: a\r\nmine: under_score\r\n\r\n"); status != "200" {
				t.Errorf("a value with an underscore: %s", status)
			}
		})
	}
}
