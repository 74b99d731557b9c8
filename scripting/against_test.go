package scripting

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/fwxtest"
)

// luaDriver runs programs that it reads from a file, each with its length before it, and writes what they
// return in the same form.
const luaDriver = `
local input = io.open(arg[1], "rb")
local function give(text) io.write(#text, "\n", text, "\n") end
for size in function() return input:read("*n") end do
  input:read(1)
  local source = input:read(size) or ""
  local f, e = loadstring(source, "=program")
  if not f then give("compile: " .. e) else
    setfenv(f, setmetatable({}, {__index = _G}))
    debug.sethook(function() error("too long") end, "", 50000000)
    local ok, result = pcall(f)
    debug.sethook()
    give(ok and tostring(result) or "raised: " .. tostring(result))
  end
end`

// askLua runs programs by the lua5.1 program, all by one, and returns what each returns.
func askLua(tb testing.TB, programs []string) []string {
	tb.Helper()
	program := fwxtest.Require(tb, "lua5.1")
	dir := tb.TempDir()
	var all bytes.Buffer
	for _, p := range programs {
		fmt.Fprintf(&all, "%d\n%s", len(p), p)
	}
	input, driver := filepath.Join(dir, "programs"), filepath.Join(dir, "driver.lua")
	for path, data := range map[string][]byte{input: all.Bytes(), driver: []byte(luaDriver)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	out, err := exec.CommandContext(tb.Context(), program, driver, input).Output()
	if err != nil {
		tb.Fatalf("lua5.1: %v after %d bytes", err, len(out))
	}
	results := make([]string, 0, len(programs))
	for r := bufio.NewReader(bytes.NewReader(out)); len(results) < len(programs); {
		line, err := r.ReadString('\n')
		if err != nil {
			tb.Fatalf("lua5.1 has answered %d of %d programs: %v", len(results), len(programs), err)
		}
		size, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			tb.Fatal(err)
		}
		text := make([]byte, size+1)
		if _, err := io.ReadFull(r, text); err != nil {
			tb.Fatal(err)
		}
		results = append(results, string(text[:size]))
	}
	return results
}

// ask runs programs as scripts are run, and returns what each returns.
func (b *bench) ask(programs []string) []string {
	b.tb.Helper()
	results := make([]string, len(programs))
	err := b.port.Workers()[0].Call(func() {
		for i, p := range programs {
			results[i] = "it waits"
			proto, err := compile("program", []byte(p))
			if err != nil {
				results[i] = "compile: " + err.Error()
				continue
			}
			b.state.start(task{name: "program", end: endingFunc(func(result lua.LValue, err error) {
				results[i] = result.String()
				if err != nil {
					results[i] = "raised: " + messageOf(err)
				}
			})}, b.state.instantiate(proto))
		}
	})
	if err != nil {
		b.tb.Fatal(err)
	}
	return results
}

const batch = 1000

// TestProgramsAgainstLua compares what programs give that are made by chance. FWX_PROGRAMS is how many
// (a thousand, or three if long tests are asked for), FWX_SEED where they begin.
func TestProgramsAgainstLua(t *testing.T) {
	t.Parallel()
	count := batch
	if fwxtest.Long() {
		count *= 3
	}
	count, seed := setting(t, "FWX_PROGRAMS", count), setting(t, "FWX_SEED", 1)
	b, failures := newBench(t, anyBackend, func(s *Settings) { s.Budget = 1 << 40 }), 0
	for first := 0; first < count && !t.Failed(); first += batch {
		made := make([]*choices, min(batch, count-first))
		for i := range made {
			made[i] = &choices{more: rand.New(rand.NewPCG(uint64(seed), uint64(first+i)))}
		}
		for i := range differing(t, b, made) {
			if failures++; failures <= 2 {
				c := shrink(t, b, made[i])
				ours, theirs := results(t, b, []*choices{c})
				t.Errorf("seed %d, program %d: fwx gives\n%s\nlua5.1 gives\n%s\nfor\n%s", seed, first+i, apart(ours[0], theirs[0]), apart(theirs[0], ours[0]),
					strings.TrimPrefix(writeProgram(c, true), programStart))
			}
		}
	}
}

// apart is a text from shortly before the place where it differs from another.
func apart(text, other string) string {
	const before, shown = 40, 200
	n := 0
	for n < min(len(text), len(other)) && text[n] == other[n] {
		n++
	}
	text = text[max(n-before, 0):]
	return text[:min(len(text), shown)]
}

func setting(tb testing.TB, name string, otherwise int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// results are what programs give here and there.
func results(tb testing.TB, b *bench, made []*choices) (ours, theirs []string) {
	tb.Helper()
	with, without := make([]string, len(made)), make([]string, len(made))
	for i, c := range made {
		with[i] = writeProgram(c, true)
		without[i] = writeProgram(c, false)
		c.more = nil
	}
	return b.ask(with), askLua(tb, without)
}

// differing returns which programs give something else here than there.
func differing(tb testing.TB, b *bench, made []*choices) map[int]bool {
	tb.Helper()
	different := make(map[int]bool)
	ours, theirs := results(tb, b, made)
	for i := range made {
		if strings.HasPrefix(theirs[i], "compile: ") && ours[i] == "" {
			tb.Fatal(theirs[i])
		}
		if ours[i] != theirs[i] {
			different[i] = true
		}
	}
	return different
}

// shrinkTime bounds how long a program is shrunk.
const shrinkTime = 20 * time.Second

// shrink takes choices away as long as the program gives something else.
func shrink(tb testing.TB, b *bench, c *choices) *choices {
	tb.Helper()
	begin := time.Now()
	for size := len(c.list); size > 0 && time.Since(begin) < shrinkTime; size = min(size, len(c.list)) {
		smaller := candidates(c, size)
		different := differing(tb, b, smaller)
		size /= 2
		for i := range smaller {
			if different[i] {
				c, size = smaller[i], size*2
				break
			}
		}
	}
	return c
}

// candidates are choices without some of them in turn, and with 0 in their place.
func candidates(c *choices, size int) (smaller []*choices) {
	for at := 0; at+size <= len(c.list); at += size {
		without := append(append([]int{}, c.list[:at]...), c.list[at+size:]...)
		smaller = append(smaller, &choices{list: without})
		zero, changed := append([]int{}, c.list...), false
		for i := at; i < at+size; i++ {
			changed = changed || zero[i] != 0
			zero[i] = 0
		}
		if changed {
			smaller = append(smaller, &choices{list: zero})
		}
	}
	return smaller
}
