package scripting

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework/strict"
)

// fakeDirectory answers lookups for tests, and counts them.
type fakeDirectory struct {
	mu    sync.Mutex
	addrs map[string][]string
	asked map[string]int
	block chan struct{} // lookups of "slow.test" wait for it
}

func newDirectory(addrs map[string][]string) *fakeDirectory {
	return &fakeDirectory{addrs: addrs, asked: make(map[string]int), block: make(chan struct{})}
}

func (d *fakeDirectory) LookupNetIP(ctx context.Context, _, host string) (list []netip.Addr, err error) {
	d.mu.Lock()
	d.asked[host]++
	texts := d.addrs[host]
	d.mu.Unlock()
	if host == "slow.test" {
		select {
		case <-d.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return list, nil
}

func (d *fakeDirectory) LookupAddr(_ context.Context, addr string) ([]string, error) {
	if addr == "127.0.0.1" {
		return []string{"Localhost.", "bad name!"}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
}

func (d *fakeDirectory) count(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[name]
}

// changed sets what a name leads to.
func (d *fakeDirectory) change(name string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs[name] = addrs
}

func TestReachEntries(t *testing.T) {
	for _, row := range []struct{ entry, want string }{
		{"10.0.0.0/8:443", ""},
		{"10.0.0.1:443", ""},
		{"[2001:db8::/32]:443", ""},
		{"[::1]:*", ""},
		{"example.org:443", ""},
		{"Example.ORG.:443", ""},
		{"*.example.org:*", ""},
		{"*:443", ""},
		{"unix:/run/app.sock", ""},
		{"unix:run/", ""},
		{"unix:", "the path of the unix socket is missing"},
		{"example.org", `wants "host:port"`},
		{"2001:db8::1:443", `wants "host:port"`},
		{"example.org:0", "wants a number from 1 to 65535"},
		{"example.org:http", "wants a number from 1 to 65535"},
		{"example.org:70000", "wants a number from 1 to 65535"},
		{"exa mple.org:443", "is no host name"},
		{"a*.example.org:443", "is no host name"},
		{"https://example.org:443", `wants "host:port"`},
		{"127.1:80", "neither a host name nor an IP address"},
		{"0x7f000001:80", "neither a host name nor an IP address"},
		{":80", "is no host name"},
	} {
		var errs strict.Errors
		newReach(Settings{Allow: Allow{Connect: []string{"10.0.0.1:1", row.entry}}}, strict.NewChecker(&errs))
		switch {
		case row.want == "" && len(errs) > 0:
			t.Errorf("%s: %v", row.entry, errs[0])
		case row.want != "" && (len(errs) == 0 || errs[0].Key != "allow.connect[1]" || !strings.Contains(errs[0].Error(), row.want)):
			t.Errorf("%s: got %v; want %q", row.entry, errs, row.want)
		}
	}
	var errs strict.Errors
	newReach(Settings{Allow: Allow{DNS: []string{"*", "10.0.0.0/8", "*.org", "a:80"}}}, strict.NewChecker(&errs))
	if len(errs) != 1 || errs[0].Key != "allow.dns[3]" {
		t.Errorf("dns: %v", errs)
	}
}

func TestIsPublic(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8",
		"192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "fe80::1", "fc00::1",
		"fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "100::1",
	} {
		if isPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s is taken for public", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860:4860::8888"} {
		if !isPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s is not taken for public", text)
		}
	}
}

// TestConnectCapability tries to get around what a script may connect to.
func TestConnectCapability(t *testing.T) {
	address := serve(t, "tcp", "127.0.0.1:0", commands)
	_, port, _ := net.SplitHostPort(address)
	found := newDirectory(map[string][]string{
		"both.test": {"127.0.0.1"}, "named.test": {"127.0.0.2"}, "mixed.test": {"10.0.0.1", "127.0.0.1"}, "metadata.test": {"169.254.169.254"},
		"mapped.test": {"::ffff:127.0.0.2"}, "nat64.test": {"64:ff9b::7f00:1"}, "sub.both.test": {"127.0.0.1"}, "unlisted.test": {"127.0.0.1"},
		"lookup.test": {"127.0.0.1"}, "port.test": {"127.0.0.1"}, "slow.test": {"127.0.0.1"},
	})
	try := func(to string) string {
		return fmt.Sprintf(`local s, err, code = fwx.connect("tcp://%s") if s then return "connected" end return code .. ": " .. err`, strings.ReplaceAll(to, "PORT", port))
	}
	denied := func(to, add string) string {
		return strings.ReplaceAll(fmt.Sprintf("denied: filter %q is not allowed to connect to %s: add %q to connect in [filter.allow]", "test", to, add), "PORT", port)
	}
	runSnippets(t, func(b *bench) { b.state.filter.settings.System.Resolver = found }, []snippet{
		{"address", try("127.0.0.1:PORT"), "connected"},
		{"address as of IPv6", try("[::ffff:127.0.0.1]:PORT"), "connected"},
		{"another address", try("127.0.0.2:PORT"), denied("127.0.0.2:PORT", "127.0.0.2:PORT")},
		{"another address as of IPv6", try("[::ffff:127.0.0.2]:PORT"), denied("127.0.0.2:PORT", "127.0.0.2:PORT")},
		{"in hexadecimal", try("[::ffff:7f00:2]:PORT"), denied("127.0.0.2:PORT", "127.0.0.2:PORT")},
		{"loopback of IPv6", try("[::1]:PORT"), denied("[::1]:PORT", "[::1]:PORT")},
		{"compatible", try("[::127.0.0.1]:PORT"), denied("[::7f00:1]:PORT", "[::7f00:1]:PORT")},
		{"zone", try("[fe80::1%25lo]:PORT"), `EINVAL: address "tcp://[fe80::1%25lo]:` + port + `": "fe80::1%25lo": an address with a zone cannot be connected to`},
		{"another port", try("127.0.0.1:1"), denied("127.0.0.1:1", "127.0.0.1:1")},
		{"name and address", try("both.test:PORT"), "connected"},
		{"upper case", try("BOTH.Test:PORT"), "connected"},
		{"dot at the end", try("both.test.:PORT"), "connected"},
		{"two dots at the end", try("both.test..:PORT"), `EINVAL: address "tcp://both.test..:` + port + `": "both.test.." is no host name (names in other scripts are written as xn--…)`},
		{"name beneath", try("sub.both.test:PORT"), denied("sub.both.test:PORT", "sub.both.test:PORT")},
		{"name alone", try("named.test:PORT"), strings.ReplaceAll(`denied: filter "test" is not allowed to connect to named.test:PORT, which is at 127.0.0.2, no public address: add "127.0.0.2:PORT" to connect in [filter.allow]`, "PORT", port)},
		{"metadata", try("metadata.test:80"), `denied: filter "test" is not allowed to connect to metadata.test:80, which is at 169.254.169.254, no public address: add "169.254.169.254:80" to connect in [filter.allow]`},
		{"mapped", try("mapped.test:PORT"), strings.ReplaceAll(`denied: filter "test" is not allowed to connect to mapped.test:PORT, which is at 127.0.0.2, no public address: add "127.0.0.2:PORT" to connect in [filter.allow]`, "PORT", port)},
		{"behind NAT64", try("nat64.test:80"), `denied: filter "test" is not allowed to connect to nat64.test:80, which is at 64:ff9b::7f00:1, no public address: add "[64:ff9b::7f00:1]:80" to connect in [filter.allow]`},
		{"only the allowed of two", try("mixed.test:PORT"), "connected"},
		{"not named", try("unlisted.test:PORT"), denied("unlisted.test:PORT", "unlisted.test:PORT")},
		{"named in dns", try("lookup.test:PORT"), "connected"},
		{"named for another port", try("port.test:PORT"), denied("port.test:PORT", "port.test:PORT")},
		{"decimal", try("2130706433:PORT"), `EINVAL: address "tcp://2130706433:` + port + `": "2130706433" is neither a host name nor an IP address in its usual form`},
		{"short", try("127.1:PORT"), `EINVAL: address "tcp://127.1:` + port + `": "127.1" is neither a host name nor an IP address in its usual form`},
		{"octal", try("0177.0.0.1:PORT"), `EINVAL: address "tcp://0177.0.0.1:` + port + `": "0177.0.0.1" is neither a host name nor an IP address in its usual form`},
		{"user in front", try("both.test@127.0.0.2:PORT"), `EINVAL: address "tcp://both.test@127.0.0.2:` + port + `": "both.test@127.0.0.2" is no host name (names in other scripts are written as xn--…)`},
		{"letter that becomes another", try("\u212aelvin.test:PORT"), `EINVAL: address "tcp://Kelvin.test:` + port + `": "Kelvin.test" is no host name (names in other scripts are written as xn--…)`},
		{"zero byte", try(`both.test\0.evil:PORT`), "EINVAL: address \"tcp://both.test\\x00.evil:" + port + "\": \"both.test\\x00.evil\" is no host name (names in other scripts are written as xn--…)"},
		{"no such name", `local s, err, code = fwx.connect("tcp://none.test:80") return code`, "unknown"},
		{"slow lookup", `local s, err, code = fwx.connect("tcp://slow.test:80", {timeout = 0.02}) return code`, "timeout"},
		{"unix", `local s, err, code = fwx.connect("unix:/run/app.sock") return code`, "denied"},
	}, func(s *Settings) {
		s.Allow.DNS = []string{"lookup.test"}
		s.Allow.Connect = []string{
			"127.0.0.1:" + port, "both.test:" + port, "mixed.test:*", "named.test:*", "metadata.test:80", "mapped.test:*", "nat64.test:*",
			"port.test:1", "none.test:80", "slow.test:80",
		}
	})
	if n := found.count("unlisted.test") + found.count("sub.both.test"); n > 0 {
		t.Errorf("%d names were looked up that the script may not know", n)
	}
}

// TestRebinding has a name that leads elsewhere the next time.
func TestRebinding(t *testing.T) {
	_, port, _ := net.SplitHostPort(serve(t, "tcp", "127.0.0.1:0", commands))
	found := newDirectory(map[string][]string{"moves.test": {"127.0.0.1"}})
	b := newBench(t, anyBackend, func(s *Settings) { s.Allow.Connect = []string{"127.0.0.1:*", "moves.test:*"} })
	b.state.filter.settings.System.Resolver = found
	try := `local s, err, code = fwx.connect("tcp://moves.test:` + port + `") return s and "connected" or code`
	if got, err := b.run(try); got != "connected" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	found.change("moves.test", "127.0.0.3")
	onWorker(b, func() { clear(b.state.resolver.answers) }) // as time does
	if got, err := b.run(try); got != codeDenied || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUnixCapability(t *testing.T) {
	needsUnixSockets(t)
	dir := t.TempDir()
	allowed, secret := filepath.Join(dir, "allowed"), filepath.Join(dir, "secret")
	for _, d := range []string{allowed, secret} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		serve(t, "unix", filepath.Join(d, "s"), commands)
	}
	makeLink(t, filepath.Join(secret, "s"), filepath.Join(allowed, "link"))
	makeLink(t, "s", filepath.Join(allowed, "inside"))
	makeLink(t, secret, filepath.Join(allowed, "folder"))
	makeLink(t, filepath.Join(secret, "s"), filepath.Join(dir, "named"))
	try := func(path string) string {
		return fmt.Sprintf(`local s, err, code = fwx.connect("unix:%s") return s and "connected" or code`, path)
	}
	runSnippets(t, nil, []snippet{
		{"in the directory", try(allowed + "/s"), "connected"},
		{"not in it", try(secret + "/s"), "denied"},
		{"dots", try(allowed + "/../secret/s"), "denied"},
		{"dots that come back", try(secret + "/../allowed/s"), "connected"},
		{"link out of it", try(allowed + "/link"), "denied"},
		{"link in it", try(allowed + "/inside"), "connected"},
		{"directory that is a link", try(allowed + "/folder/s"), "denied"},
		{"link that is an entry", try(dir + "/named"), "connected"},
		{"none", try(allowed + "/none"), "ENOENT"},
		{"the directory", try(allowed), "denied"},
	}, func(s *Settings) {
		s.Allow.Connect = []string{"unix:" + allowed + "/", "unix:" + dir + "/named"}
	})
}

func makeLink(tb testing.TB, to, name string) {
	tb.Helper()
	if err := os.Symlink(to, name); err != nil {
		tb.Fatal(err)
	}
}

func TestDNS(t *testing.T) {
	found := newDirectory(map[string][]string{
		"two.test": {"10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"}, "a.sub.test": {"10.0.0.2"}, "slow.test": {"10.0.0.3"}, "sub.test": {"10.0.0.4"},
	})
	runSnippets(t, func(b *bench) { b.state.filter.settings.System.Resolver = found }, []snippet{
		{"lookup", `return table.concat(fwx.dns.lookup("two.test"), " ")`, "10.0.0.1 2001:db8::1"},
		{"of IPv4", `return table.concat(fwx.dns.lookup("two.test", {family = "ip4"}), " ")`, "10.0.0.1"},
		{"of IPv6", `return table.concat(fwx.dns.lookup("TWO.test.", {family = "ip6"}), " ")`, "2001:db8::1"},
		{"of a family that it lacks", `return select(3, fwx.dns.lookup("a.sub.test", {family = "ip6"}))`, "unknown"},
		{"address", `return table.concat(fwx.dns.lookup("::ffff:10.0.0.9"), " ")`, "10.0.0.9"},
		{"pattern", `return table.concat(fwx.dns.lookup("a.sub.test"), " ")`, "10.0.0.2"},
		{"not the pattern's own", `return select(3, fwx.dns.lookup("sub.test"))`, "denied"},
		{"denied", `local a, err, code = fwx.dns.lookup("other.test") return code .. ": " .. err`, `denied: filter "test" is not allowed to look up other.test: add "other.test" to dns in [filter.allow]`},
		{"none", `local a, err, code = fwx.dns.lookup("none.sub.test") return code .. ": " .. err`, "unknown: look up none.sub.test: there is no such name, or no address of it"},
		{"no name", `return select(3, fwx.dns.lookup("a b"))`, "EINVAL"},
		{"family", `fwx.dns.lookup("two.test", {family = "ip5"})`, `!option family wants "ip4" or "ip6", got a string`},
		{"time-out", `return select(3, fwx.dns.lookup("slow.test", {timeout = 0.02}))`, "timeout"},
		{"time-out of the block", `return select(3, fwx.timeout(0.02, fwx.dns.lookup, "slow.test"))`, "timeout"},
		{"reverse", `return table.concat(fwx.dns.reverse("127.0.0.1"), " ")`, "localhost"},
		{"reverse as of IPv6", `return table.concat(fwx.dns.reverse("::ffff:127.0.0.1"), " ")`, "localhost"},
		{"reverse of none", `return select(3, fwx.dns.reverse("127.0.0.2"))`, "unknown"},
		{"reverse denied", `return select(3, fwx.dns.reverse("10.0.0.1"))`, "denied"},
		{"reverse of no address", `return select(3, fwx.dns.reverse("two.test"))`, "EINVAL"},
	}, func(s *Settings) { s.Allow.DNS = []string{"two.test", "*.sub.test", "slow.test", "127.0.0.0/8"} })
	if n := found.count("two.test"); n != len(backends) {
		t.Errorf("two.test was looked up %d times", n)
	}
}

// TestManyLookups asks for more names at a time than are looked up, each by
// several handlers, while the answers are late.
func TestManyLookups(t *testing.T) {
	found := newDirectory(map[string][]string{"slow.test": {"10.0.0.1"}})
	for i := range 100 {
		found.addrs[fmt.Sprintf("n%d.test", i)] = []string{"10.0.1.1"}
	}
	b := newBench(t, anyBackend, func(s *Settings) { s.Allow.DNS = []string{"*"} })
	b.state.filter.settings.System.Resolver = found
	time.AfterFunc(20*time.Millisecond, func() { close(found.block) })
	got, err := b.run(`
		local n, slow = 0, 0
		for i = 0, 99 do
			for _ = 1, 3 do fwx.after(0, function() assert(fwx.dns.lookup("n" .. i .. ".test")) n = n + 1 end) end
			fwx.after(0, function() assert(fwx.dns.lookup("slow.test")) slow = slow + 1 end)
		end
		while n < 300 or slow < 100 do fwx.sleep(0.001) end
		return n + slow`)
	if got != "400" || err != nil {
		t.Errorf("got %q, %v\n%s", got, err, b.log)
	}
	if n := found.count("slow.test"); n != 1 {
		t.Errorf("slow.test was looked up %d times", n)
	}
}

// TestShutdownWhileLookingUp ends a state whose lookups are never answered.
func TestShutdownWhileLookingUp(t *testing.T) {
	found := newDirectory(nil)
	b := newBench(t, anyBackend, func(s *Settings) { s.Allow.DNS = []string{"*"} })
	b.state.filter.settings.System.Resolver = found
	if _, err := b.run(`for i = 1, 3 do fwx.after(0, function() fwx.dns.lookup("slow.test") end) end fwx.sleep(0.01)`); err != nil {
		t.Fatal(err)
	}
	b.close() // fails for one that has to be ended by force
}
