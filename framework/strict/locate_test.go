package strict

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// places lists what was located below n, a line each: the name, where it begins
// and, for a table with a header, where that is.
func places(n *node, path string) []string {
	var list []string
	add := func(child *node, path string) {
		line := fmt.Sprintf("%s %v", path, child.key)
		if child.head != child.key {
			line += fmt.Sprintf(" [%v]", child.head)
		}
		list = append(append(list, line), places(child, path)...)
	}
	for _, name := range n.names() {
		add(n.keys[name], join(path, name))
	}
	for i, element := range n.elements {
		add(element, fmt.Sprintf("%s[%d]", path, i))
	}
	return list
}

func TestLocate(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", " # only a comment", nil},
		{"keys", "a=1\n\n \tb-2 = 'x' # c = 3\n", []string{"a 1:1", "b-2 3:3"}},
		{"dotted key", "a . b.c = 1\na.d = 2", []string{"a 1:1", "a.b 1:5", "a.b.c 1:7", "a.d 2:3"}},
		{
			"quoted keys", `"a b" = 1` + "\n'c\\' . \"\\u00e9\\t\\\"\" = 2\n\"\" = 3",
			[]string{`"" 3:1`, `"a b" 1:1`, `"c\\" 2:1`, `"c\\"."é\t\"" 2:8`},
		},
		{"escapes", `"\x41\U0001F600\e\b\f\r\n\\" = 1`, []string{`"A😀\x1b\b\f\r\n\\" 1:1`}},
		{"headers", "[a]\nx=1\n [ b . 'c' ] # y\ny=2", []string{
			"a 1:2 [1:1]", "a.x 2:1", "b 3:4", "b.c 3:8 [3:2]", "b.c.y 4:1",
		}},
		{"header after its child", "[a.b]\n[a]\nx=1", []string{"a 1:2 [2:1]", "a.b 1:4 [1:1]", "a.x 3:1"}},
		{"arrays of tables", "[[a]]\nx=1\n[a.b]\ny=2\n[[a]]\n[[a.c]]\n[[a.c]]\nz=3", []string{
			"a 1:3",
			"a[0] 1:3 [1:1]", "a[0].b 3:4 [3:1]", "a[0].b.y 4:1", "a[0].x 2:1",
			"a[1] 5:3 [5:1]", "a[1].c 6:5",
			"a[1].c[0] 6:5 [6:1]", "a[1].c[1] 7:5 [7:1]", "a[1].c[1].z 8:1",
		}},
		{"array", "a = [ 1, 'x]',\n [2.5 , true], # ]\n 2024-01-02 03:04:05,\n]\nb=1", []string{
			"a 1:1", "a[0] 1:7", "a[1] 1:10", "a[2] 2:2", "a[2][0] 2:3", "a[2][1] 2:9", "a[3] 3:2", "b 5:1",
		}},
		{"inline tables", "a = { b = 1, c.d = { \"e}\" = '}' }, f = [{}, { g = 2 }] }\nh=1", []string{
			"a 1:1", "a.b 1:7", "a.c 1:14", "a.c.d 1:16", `a.c.d."e}" 1:22`,
			"a.f 1:36", "a.f[0] 1:41", "a.f[1] 1:45", "a.f[1].g 1:47", "h 2:1",
		}},
		{"inline table of several lines", "a = {\n b = 1, # c\n c = 2,\n}", []string{"a 1:1", "a.b 2:2", "a.c 3:2"}},
		{"strings", `a = "\"b = 1" # "` + "\nb = ''\nc = \"\"\nd = 'x\\'\ne = 1", []string{
			"a 1:1", "b 2:1", "c 3:1", "d 4:1", "e 5:1",
		}},
		{"strings of several lines", "a = \"\"\"\nx = 1\n\\\"\"\"\"\"\nb = '''\n[y]\n'''''\nc = \"\"\"\"\"\"\nd = 1", []string{
			"a 1:1", "b 4:1", "c 7:1", "d 8:1",
		}},
		{"carriage returns", "a = 1\r\n[b]\r\nc = '''\r\n'''\r\nd = 2", []string{
			"a 1:1", "b 2:2 [2:1]", "b.c 3:1", "b.d 5:1",
		}},
		{"characters, not bytes", `a = ["é€😀", 1]`, []string{"a 1:1", "a[0] 1:6", "a[1] 1:13"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, complete, err := parse("", []byte(test.text))
			if err != nil || !complete {
				t.Fatalf("complete %v, error %v", complete, err)
			}
			if diff := cmp.Diff(test.want, places(root, "")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// documents are the seeds of the fuzz tests: everything that can hide a key, or
// look like one.
var documents = []string{
	"",
	"a = 1\nb.c = 2\n[d]\ne = 3\n[[f]]\ng = 4\n[f.h]\n[[f]]",
	"'a.b'.\"c\\u00e9\" = 'x' # d = 1\n\"\" = 2",
	"a = [1, [2, {b = 3}], {c.d = 'e', f = {}}]",
	"a = {b = {c = 1}, d.e = [\n{f = 1},\n]}\n",
	"a = \"\"\"\nb = 1 \\\"\"\"\"\"\nc = '''[d]'''''\ne = \"\\\"\"\n",
	"[a.b.c]\n[a]\nb.d = 1\n",
	"[[a.b]]\n[[a.b.c]]\n[a.b.c.d]\n[[a.b]]\n",
	"\ufeffa = 2024-05-06 07:08:09\r\nb = [ # ]\r\n1.5, inf]\r\n",
	"[[many]]\nname = 'x'\n[named]\nwieght = 1\nlabels = {a = 'b'}\nmatrix = [[1]]\n",
}

// Each key that the parser knows has a place, and the text at that place spells it.
func FuzzLocate(f *testing.F) {
	for _, text := range documents {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, complete, err := parse("", []byte(text))
		if err != nil {
			_, _ = locate(newLines("", text)) // must not get stuck or panic on rubbish either
			return
		}
		if !complete {
			root, _ := locate(newLines("", withoutBOM(text)))
			t.Fatalf("found %q", places(root, ""))
		}
		checkSpelling(t, strings.Split(withoutBOM(text), "\n"), root)
	})
}

func checkSpelling(t *testing.T, lines []string, n *node) {
	t.Helper()
	for name, child := range n.keys {
		at := string([]rune(lines[child.key.Line-1])[child.key.Column-1:])
		if !strings.HasPrefix(at, name) && !strings.HasPrefix(at, `"`) && !strings.HasPrefix(at, "'") {
			t.Errorf("%q is said to be at %v: %q", name, child.key, at)
		}
		checkSpelling(t, lines, child)
	}
	for _, element := range n.elements {
		checkSpelling(t, lines, element)
	}
}

// Whatever the document, Decode ends with errors that lie in it, in its order.
func FuzzDecode(f *testing.F) {
	type leaf struct {
		Name   string `toml:"name,required"`
		Weight uint8  `toml:"weight"`
		Source Table  `toml:"."`
	}
	type config struct {
		A      int               `toml:"a"`
		B      *float64          `toml:"b"`
		C      Size              `toml:"c"`
		D      Table             `toml:"d"`
		Named  leaf              `toml:"named"`
		Many   []leaf            `toml:"many"`
		ByName map[string]leaf   `toml:"by_name"`
		Labels map[string]string `toml:"labels"`
		Matrix [][]int8          `toml:"matrix"`
		Any    any               `toml:"any"`
	}
	for _, text := range documents {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := Parse("c.toml", []byte(text))
		if err == nil {
			var into config
			err = root.Decode(&into)
		}
		if err == nil {
			return
		}
		mistakes, ok := err.(Errors) //nolint:errorlint // It is not wrapped.
		if !ok || !slices.IsSortedFunc(mistakes, func(a, b *Error) int { return a.compare(b.Position) }) {
			t.Fatalf("no sorted Errors: %v", err)
		}
		lines := strings.Split(text, "\n")
		for _, m := range mistakes {
			if m.Line < 1 || m.Line > len(lines) || m.Column < 1 || m.Column > len(lines[m.Line-1])+1 {
				t.Errorf("%v is outside of the document", m)
			}
		}
	})
}
