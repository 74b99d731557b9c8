package framework

import (
	"strings"
	"testing"
	"time"

	"fwx/framework/completion"
)

// TestShortage has connections keep all buffers, more than copies may stand for: the
// operator is told, and those that do not move make room.
func TestShortage(t *testing.T) {
	m := newMachine(t)
	s := m.server(saying("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"))
	var alerts []Alert
	m.start(func(c *Config) {
		c.Listeners[0].HTTP.SendTimeout = time.Hour
		c.OnAlert = func(a Alert) { alerts = append(alerts, a) }
		c.OpenPort = func(o completion.Options) (*completion.Port, error) {
			o.MaxBuffers = 4
			return m.fake.OpenPort(o)
		}
	})
	for i := range 60 {
		c := m.client()
		c.say(getRequest)
		m.settle()
		for len(s.conns) > i && s.conns[i].fill() > 0 {
			m.settle()
		}
	}
	var short []int
	m.wait(func() error {
		short = m.Short(m.ctx)
		return nil
	})
	if len(short) > 0 {
		t.Error("short before its time")
	}
	m.pass(5 * time.Second)
	if len(alerts) != 1 || alerts[0].Filter != "" || !strings.Contains(alerts[0].Text, "receive buffers") {
		t.Errorf("alerts: %v", alerts)
	}
	if n := m.counter(t, metricShed, "in"); n == 0 || !m.log.has("no receive buffers left") {
		t.Errorf("%v connections made room", n)
	}
	s.answer = func(c *memoryConn, _ string) { c.say(okAnswer) }
	if got := m.get(getRequest); got != "200" {
		t.Errorf("somebody else gets %q", got)
	}
}
