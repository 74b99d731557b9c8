package strict

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// composer makes up documents from few names and many forms, so that tables are
// opened, added to and defined twice in all possible ways; far from all of them
// are valid.
type composer struct{ *rand.Rand }

func (c composer) pick(forms ...string) string { return forms[c.IntN(len(forms))] }

// list writes up to n items, with everything that may stand around them.
func (c composer) list(n int, item func() string) string {
	items := make([]string, c.IntN(n+1))
	for i := range items {
		items[i] = c.blank() + item() + c.blank()
	}
	return strings.Join(items, ",")
}

func (c composer) blank() string { return c.pick("", "", "", " ", "\n", "# ]}\"\n") }

func (c composer) name() string {
	name := c.pick("a", "b", "'a'", `"\u0062"`)
	if c.IntN(2) == 0 {
		return name + c.pick(".", " . ") + c.name()
	}
	return name
}

func (c composer) pair(depth int) string { return c.name() + " = " + c.value(depth) }

func (c composer) value(depth int) string {
	switch form := c.IntN(8); {
	case form < 2 && depth > 0:
		return "[" + c.list(3, func() string { return c.value(depth - 1) }) + "]"
	case form < 5 && depth > 0:
		return "{" + c.list(3, func() string { return c.pair(depth - 1) }) + "}"
	}
	return c.pick("1", "-inf", "0.5e3", "true", "1979-05-27 07:32:00", `'\'`, `"\"]}"`,
		"\"\"\"\na = 1\n\\\"\"\"\"\"\"", "'''\n[a]\n'''''")
}

func (c composer) document() string {
	var b strings.Builder
	for range 1 + c.IntN(6) {
		switch c.IntN(4) {
		case 0:
			b.WriteString("[" + c.name() + "]")
		case 1:
			b.WriteString("[[ " + c.name() + "]]")
		default:
			b.WriteString(c.pair(3))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// What FuzzLocate asks of all texts, asked of such as a mutation hardly comes by.
func TestLocateComposedDocuments(t *testing.T) {
	c, valid := composer{rand.New(rand.NewPCG(1, 2))}, 0
	for range 20_000 {
		text := c.document()
		root, complete, err := parse("", []byte(text))
		if err != nil {
			continue
		}
		valid++
		if !complete {
			t.Fatalf("found %q in\n%s", places(root, ""), text)
		}
		checkSpelling(t, strings.Split(text, "\n"), root)
	}
	if valid < 1000 {
		t.Errorf("no more than %d of the documents are valid", valid)
	}
}
