package strict_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/strict"
)

// checked are settings with one of each kind, and a table inside.
type checked struct {
	Name  string        `toml:"name,required"`
	Way   string        `toml:"way"`
	Wait  time.Duration `toml:"wait"`
	Room  strict.Size   `toml:"room"`
	Least int           `toml:"least"`
	Most  int           `toml:"most"`
	Inner inner         `toml:"inner"`

	Table strict.Table `toml:"."`
}

type inner struct {
	List []int `toml:"list"`

	Table strict.Table `toml:"."`
}

func (s *checked) check(check strict.Checker) {
	check.Text("name", s.Name)
	check.OneOf("way", &s.Way, "way", []string{"first", "second"})
	check.Duration("wait", &s.Wait, time.Second)
	check.Size("room", &s.Room, 10, math.MaxInt64, 1<<20)
	check.Number("least", &s.Least, 9, 5)
	check.Count("most", s.Most, 9)
	part := check.Sub("inner", s.Inner.Table)
	for i, n := range s.Inner.List {
		if n == 0 {
			part.Errorf([]string{"list[0]", "list[1]"}[i], "is nothing")
		}
	}
}

// checkText decodes a document and checks what it says.
func checkText(t *testing.T, text string) (checked, []string) {
	t.Helper()
	root, err := strict.Parse("c.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var s checked
	var mistakes strict.Errors
	mistakes.Add(root.Decode(&s))
	s.check(strict.NewChecker(&mistakes).Sub("part", s.Table))
	return s, report(mistakes.Err())
}

func TestChecker(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"good", "name = 'a'", nil},
		{"a missing key", "", []string{"c.toml:1:1: name: required key is missing"}},
		{"an empty text", "name = ''", []string{"c.toml:1:1: name: must not be empty"}},
		{"a wrong type, reported once", "name = 'a'\nway = 1\nwait = 'soon'\nroom = 'big'\nleast = 'few'\ninner.list = ['a', 0]", []string{
			"c.toml:2:1: way: wants a string, not an integer",
			`c.toml:3:1: wait: "soon" is not a duration; write it as "10s" or "1h30m"`,
			`c.toml:4:1: room: "big" is not a size; write "64KiB", "10MB" or a number of bytes`,
			"c.toml:5:1: least: wants an integer, not a string",
			"c.toml:6:15: inner.list[0]: wants an integer, not a string",
			"c.toml:6:20: inner.list[1]: is nothing",
		}},
		{"zeros", "name = 'a'\nway = ''\nwait = '0s'\nroom = 0\nleast = 0\nmost = 0", []string{
			`c.toml:2:1: way: unknown way ""; expected first or second`,
			`c.toml:3:1: wait: 0s could mean no time or no limit: leave the key out for 1s, write "1ms" for hardly any time, or "8760h" for hardly a limit`,
			"c.toml:4:1: room: wants a size of at least 10, not 0; leave the key out for 1MiB",
			"c.toml:5:1: least: wants a number from 1 to 9, not 0",
		}},
		{"out of bounds", "name = 'a'\nway = 'frist'\nwait = '-1s'\nroom = 9\nleast = 10\nmost = -1", []string{
			`c.toml:2:1: way: unknown way "frist"; did you mean "first"?`,
			"c.toml:3:1: wait: wants a positive duration, not -1s",
			"c.toml:4:1: room: wants a size of at least 10, not 9",
			"c.toml:5:1: least: wants a number from 1 to 9, not 10",
			"c.toml:6:1: most: wants a number from 0 to 9, not -1",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got := checkText(t, tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestCheckerFillsIn sees that what is left out becomes the fallback.
func TestCheckerFillsIn(t *testing.T) {
	got, _ := checkText(t, "name = 'a'")
	want := checked{Name: "a", Way: "first", Wait: time.Second, Room: 1 << 20, Least: 5}
	if !strict.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestCheckerWithoutFile sees how mistakes are named in settings that a program has filled in.
func TestCheckerWithoutFile(t *testing.T) {
	var mistakes strict.Errors
	check := strict.NewChecker(&mistakes)
	check.Errorf("", "there is nothing")
	(&checked{Most: 10, Inner: inner{List: []int{0}}}).check(check.Sub(`part "a"`, strict.Table{}).Sub("one[1]", strict.Table{}))
	check.Sub(`part "b"`, strict.Table{}).Errorf("", "is one too many")
	want := []string{
		"there is nothing",
		`part "a": one[1].name: must not be empty`,
		`part "a": one[1].most: wants a number from 0 to 9, not 10`,
		`part "a": one[1].inner.list[0]: is nothing`,
		`part "b": is one too many`,
	}
	if diff := cmp.Diff(want, report(mistakes.Err())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := check.Sub(`part "a"`, strict.Table{}).Sub("one", strict.Table{}).Sub("two", strict.Table{}).String(); got != `part "a": one.two` {
		t.Errorf("String is %q", got)
	}
}
