package scripting

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// snippetStart and snippetEnd stand around a snippet, which is given 1, 2 and 3. The text is all of what it returns,
// numbers with all digits. Of an error it has the line, and the message if the snippet
// wrote it: the interpreters have words of their own.
const (
	snippetStart = `local function show(v)
  if v ~= v then return "nan" end
  if type(v) == "number" then return string.format("%.17g", v) end
  if type(v) == "string" then
    if v:find("^%S-:%d+: ") and not v:find("u!", 1, true) then return v:match("^%S-:%d+:") end
    return v:find("u!", 1, true) and v or '"' .. v .. '"'
  end
  if type(v) ~= "table" then return type(v) == "function" and "function" or tostring(v) end
  local keys = {}
  for k, x in pairs(v) do keys[#keys + 1] = show(k) .. "=" .. show(x) end
  table.sort(keys)
  return "{" .. table.concat(keys, ",") .. "}"
end
local function all(ok, ...)
  local texts = {}
  if not ok and type((...)) == "string" then
    return "raised " .. ((...):match("^%S-:%d+:") or "") .. ((...):match("u!.*") or "")
  end
  for i = 1, select("#", ...) do texts[i] = show((select(i, ...))) end
  return (ok and "" or "raised ") .. table.concat(texts, " ")
end
return all(pcall(function(...)
`
	snippetEnd = "\nend, 1, 2, 3))"
)

// readSnippets returns the lines of a file of snippets, each with its number.
func readSnippets(tb testing.TB, path string) (names, snippets []string) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, fmt.Sprintf("%s:%d", filepath.Base(path), i+1))
			snippets = append(snippets, line)
		}
	}
	return names, snippets
}

func wrapped(snippets []string) []string {
	programs := make([]string, len(snippets))
	for i, s := range snippets {
		programs[i] = snippetStart + s + snippetEnd
	}
	return programs
}

// TestSnippetsAgainstLua compares what snippets of Lua return with the lua5.1 program.
func TestSnippetsAgainstLua(t *testing.T) {
	files, err := filepath.Glob("testdata/lua51/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var names, snippets []string
	for _, file := range files {
		if base := filepath.Base(file); base == decisions || base == fastSnippets && os.Getenv(interpreterVariable) == InterpreterPlain {
			continue
		}
		n, s := readSnippets(t, file)
		names, snippets = append(names, n...), append(snippets, s...)
	}
	b := newBench(t, anyBackend)
	programs := wrapped(snippets)
	ours, theirs := b.ask(programs), askLua(t, programs)
	for i := range snippets {
		switch {
		case strings.HasPrefix(theirs[i], "compile:"):
			t.Errorf("%s: lua5.1: %s", names[i], theirs[i])
		case ours[i] != theirs[i]:
			t.Errorf("%s: fwx gives %q, lua5.1 %q, for %.300s", names[i], ours[i], theirs[i], snippets[i])
		}
	}
	const fewest = 300
	if len(snippets) < fewest {
		t.Errorf("%d snippets", len(snippets))
	}
	t.Logf("%d snippets", len(snippets))
}

const (
	decisions    = "decisions.txt"
	fastSnippets = "fast.txt"
)

// TestDecisionsAgainstLua has each difference that is meant, and finds those that are none any longer.
func TestDecisionsAgainstLua(t *testing.T) {
	names, lines := readSnippets(t, filepath.Join("testdata/lua51", decisions))
	snippets, wants := make([]string, len(lines)), make([]string, len(lines))
	for i, line := range lines {
		snippets[i], wants[i], _ = strings.Cut(line, " --> ")
	}
	programs := wrapped(snippets)
	ours, theirs := newBench(t, anyBackend).ask(programs), askLua(t, programs)
	for i := range snippets {
		if want := strings.ReplaceAll(wants[i], `\0`, "\x00"); ours[i] != want || theirs[i] == want {
			t.Errorf("%s: fwx gives %q, lua5.1 %q, for %s", names[i], ours[i], theirs[i], lines[i])
		}
	}
}
