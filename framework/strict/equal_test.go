package strict_test

import (
	"reflect"
	"testing"
	"time"

	"fwx/framework/strict"
)

type compared struct {
	Name   string            `toml:"name"`
	Wait   time.Duration     `toml:"wait"`
	List   []string          `toml:"list"`
	Values map[string]string `toml:"values"`
	Flag   *bool             `toml:"flag"`
	Any    any               `toml:"any"`
	One    *comparedPart     `toml:"one"`
	Many   []comparedPart    `toml:"many"`
	Later  strict.Table      `toml:"later"`

	Table  strict.Table `toml:"."`
	hidden [2]int
}

type comparedPart struct {
	N int `toml:"n"`

	Table strict.Table `toml:"."`
}

const comparedText = `
name = "a"
wait = "1s"
list = ["x", "y"]
values = { k = "v" }
flag = true
any = [1, "two"]
one.n = 1
many = [{ n = 1 }, { n = 2 }]
later = { a = 1, b = [2] }
`

func decoded(t *testing.T, text string) (c compared) {
	t.Helper()
	root, err := strict.Parse("c.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEqual changes one thing at a time.
func TestEqual(t *testing.T) {
	a, moved := decoded(t, comparedText), decoded(t, "\n\n"+comparedText)
	if reflect.DeepEqual(a, moved) {
		t.Error("the places are the same, and the test shows nothing")
	}
	if !strict.Equal(a, moved) || !strict.Equal(&a, &moved) {
		t.Error("what stands elsewhere is another")
	}
	for name, change := range map[string]func(c *compared){
		"text":            func(c *compared) { c.Name = "b" },
		"duration":        func(c *compared) { c.Wait++ },
		"element":         func(c *compared) { c.List[1] = "z" },
		"length":          func(c *compared) { c.List = c.List[:1] },
		"nil slice":       func(c *compared) { c.List = nil },
		"map":             func(c *compared) { c.Values["k"] = "w" },
		"key":             func(c *compared) { c.Values = map[string]string{"l": "v"} },
		"pointer":         func(c *compared) { *c.Flag = false },
		"nil pointer":     func(c *compared) { c.Flag = nil },
		"any":             func(c *compared) { c.Any = []any{1, "three"} },
		"another type":    func(c *compared) { c.Any = 1 },
		"nil":             func(c *compared) { c.Any = nil },
		"table":           func(c *compared) { c.One.N = 2 },
		"nil table":       func(c *compared) { c.One = nil },
		"tables":          func(c *compared) { c.Many[1].N = 3 },
		"unread table":    func(c *compared) { c.Later = decoded(t, `later = { a = 1, b = [3] }`).Later },
		"no unread table": func(c *compared) { c.Later = strict.Table{} },
		"unexported":      func(c *compared) { c.hidden[1] = 1 },
	} {
		b := decoded(t, comparedText)
		if change(&b); strict.Equal(a, b) || strict.Equal(b, a) {
			t.Errorf("%s: no difference is seen", name)
		}
	}
}
