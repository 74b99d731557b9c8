package strict_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/strict"
)

// parse parses a document that has no mistake of syntax.
func parse(t *testing.T, text string) strict.Table {
	t.Helper()
	root, err := strict.Parse("c.toml", []byte(text))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return root
}

// report writes an error as the lines that an operator sees.
func report(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// kinds has a field of every kind that can be decoded.
type kinds struct {
	String   string            `toml:"string"`
	Bool     bool              `toml:"bool"`
	Int      int               `toml:"int"`
	Int8     int8              `toml:"int8"`
	Int64    int64             `toml:"int64"`
	Uint8    uint8             `toml:"uint8"`
	Port     uint16            `toml:"port"`
	Uint64   uint64            `toml:"uint64"`
	Float32  float32           `toml:"float32"`
	Float64  float64           `toml:"float64"`
	Duration time.Duration     `toml:"duration"`
	Size     strict.Size       `toml:"size"`
	Time     time.Time         `toml:"time"`
	Prefix   netip.Prefix      `toml:"prefix"`
	Pointer  *int              `toml:"pointer"`
	Any      any               `toml:"any"`
	Strings  []string          `toml:"strings"`
	Prefixes []netip.Prefix    `toml:"prefixes"`
	Matrix   [][]int           `toml:"matrix"`
	Named    named             `toml:"named"`
	Many     []named           `toml:"many"`
	Optional *named            `toml:"optional"`
	Labels   map[string]string `toml:"labels"`
	ByName   map[string]named  `toml:"by_name"`
	Anything map[string]any    `toml:"anything"`
	Raw      strict.Table      `toml:"raw"`
	Raws     []strict.Table    `toml:"raws"`
	Untagged string
	Dashed   string `toml:"-"`
}

type named struct {
	Name   string       `toml:"name,required"`
	Weight int          `toml:"weight"`
	Source strict.Table `toml:"."`
}

// ignoreTables leaves out what go-cmp cannot look into.
var ignoreTables = cmp.Options{
	cmp.Comparer(func(strict.Table, strict.Table) bool { return true }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestDecodeEveryKind(t *testing.T) {
	const text = `
string = "text"
bool = true
int = -5
int8 = -128
int64 = 9223372036854775807
uint8 = 255
port = 65535
uint64 = 9223372036854775807
float32 = 0.5
float64 = 3
duration = "1m30s"
size = "64KiB"
time = 2024-05-06T07:08:09Z
prefix = "10.0.0.0/8"
pointer = 7
any = [1, {a = "b"}]
strings = ["a", "b"]
prefixes = ["10.0.0.0/8", "::1/128"]
matrix = [[1, 2], [], [3]]
labels = {a = "1", "b c" = "2"}
anything.list = [1.5]
anything.table.on = false

[named]
name = "n"

[[many]]
name = "first"
[[many]]
name = "second"
weight = 2

[optional]
name = "o"

[by_name.x]
name = "ex"

[raw]
whatever = 1
[[raws]]
a = 1
[[raws]]
a = 2
`
	seven := 7
	want := kinds{
		String: "text", Bool: true, Int: -5, Int8: -128, Int64: 1<<63 - 1,
		Uint8: 255, Port: 65535, Uint64: 1<<63 - 1, Float32: 0.5, Float64: 3,
		Duration: 90 * time.Second, Size: 64 << 10,
		Time:     time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
		Prefix:   netip.MustParsePrefix("10.0.0.0/8"),
		Pointer:  &seven,
		Any:      []any{int64(1), map[string]any{"a": "b"}},
		Strings:  []string{"a", "b"},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Matrix:   [][]int{{1, 2}, {}, {3}},
		Named:    named{Name: "n"},
		Many:     []named{{Name: "first"}, {Name: "second", Weight: 2}},
		Optional: &named{Name: "o"},
		Labels:   map[string]string{"a": "1", "b c": "2"},
		ByName:   map[string]named{"x": {Name: "ex"}},
		Anything: map[string]any{"list": []any{1.5}, "table": map[string]any{"on": false}},
		Raws:     make([]strict.Table, 2),
	}
	var got kinds
	if err := parse(t, text).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignoreTables); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"whatever": int64(1)}, got.Raw.Map()); diff != "" {
		t.Errorf("raw: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"a": int64(2)}, got.Raws[1].Map()); diff != "" {
		t.Errorf("raws[1]: (-want +got)\n%s", diff)
	}
}

func TestDecodeOtherSpellings(t *testing.T) {
	var got kinds
	const text = "size = 4096\ntime = \"2024-05-06T07:08:09Z\"\nmany = [{name = 'x'}, {name = 'y'}]\nfloat64 = inf\n"
	if err := parse(t, text).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Size != 4096 || got.Time.Year() != 2024 || len(got.Many) != 2 || got.Many[1].Name != "y" || got.Float64 < 1e308 {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeMistakes(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"near miss", "  strnig = 'x'", []string{`c.toml:1:3: strnig: unknown key; did you mean "string"?`}},
		{"case", "String = 'x'", []string{`c.toml:1:1: String: unknown key; did you mean "string"?`}},
		{"no near miss, many keys", "zzz = 1", []string{`c.toml:1:1: zzz: unknown key`}},
		{
			"no near miss, few keys", "[named]\nname = 'x'\nzzz = 1",
			[]string{`c.toml:3:1: named.zzz: unknown key; expected name or weight`},
		},
		{"unknown table", "[ zzz . y ]\na = 1", []string{`c.toml:1:3: zzz: unknown key`}},
		{"unknown array", "[[zzz]]\n[[zzz]]", []string{`c.toml:1:3: zzz: unknown key`}},
		{"quoted key", `named = {name = "n", "wei ght" = 1}`, []string{
			`c.toml:1:22: named."wei ght": unknown key; did you mean "weight"?`,
		}},
		{"missing in table", "\n[named]\n", []string{`c.toml:2:1: named.name: required key is missing`}},
		{"missing in inline table", "a=1\nnamed = {}\n", []string{
			`c.toml:1:1: a: unknown key`,
			`c.toml:2:1: named.name: required key is missing`,
		}},
		{"missing in array", "[[many]]\n  [[many]]\nname = 'x'\n[[many]]", []string{
			`c.toml:1:1: many.name: required key is missing`,
			`c.toml:4:1: many.name: required key is missing`,
		}},
		{"missing in inline array", "many = [ {name = 'a'},\n\t{} ]", []string{
			`c.toml:2:2: many[1].name: required key is missing`,
		}},
		{"missing in dotted table", "named.weight = 1", []string{`c.toml:1:1: named.name: required key is missing`}},
		{"missing in map entry", "[by_name]\n[by_name.'a b']", []string{
			`c.toml:2:1: by_name."a b".name: required key is missing`,
		}},
		{"missing behind pointer", "[optional]", []string{`c.toml:1:1: optional.name: required key is missing`}},

		{"string", "string = 1", []string{`c.toml:1:1: string: wants a string, not an integer`}},
		{"bool", "bool = 'true'", []string{`c.toml:1:1: bool: wants true or false, not a string`}},
		{"integer", "int = 1.5", []string{`c.toml:1:1: int: wants an integer, not a float`}},
		{"float", "float64 = true", []string{`c.toml:1:1: float64: wants a number, not a boolean`}},
		{"string from date", "string = 2024-05-06", []string{`c.toml:1:1: string: wants a string, not a date or time`}},
		{"string from table", "string.a = 1", []string{`c.toml:1:1: string: wants a string, not a table`}},
		{"pointer", "pointer = 'x'", []string{`c.toml:1:1: pointer: wants an integer, not a string`}},
		{"time", "time = 7", []string{`c.toml:1:1: time: wants a date or time, not an integer`}},
		{"size", "size = [1]", []string{`c.toml:1:1: size: wants a size such as "64KiB", not an array`}},
		{"text", "prefix = 8", []string{`c.toml:1:1: prefix: wants a string, not an integer`}},
		{"duration", "duration = 1.5", []string{`c.toml:1:1: duration: wants a duration such as "10s", not a float`}},
		{"bare duration", "duration = 30", []string{`c.toml:1:1: duration: a duration needs a unit: write "30s"`}},
		{"slice", "strings = 'a'", []string{`c.toml:1:1: strings: wants an array of strings, not a string`}},
		{"slice of slices", "matrix = 1", []string{`c.toml:1:1: matrix: wants an array of arrays of integers, not an integer`}},
		{"element", "strings = ['a',\n 1]", []string{`c.toml:2:2: strings[1]: wants a string, not an integer`}},
		{"element of element", "matrix = [[1], ['x']]", []string{
			`c.toml:1:17: matrix[1][0]: wants an integer, not a string`,
		}},
		{"table", "named = 1", []string{`c.toml:1:1: named: wants a table, not an integer`}},
		{"map", "labels = 'a=b'", []string{`c.toml:1:1: labels: wants a table, not a string`}},
		{"map entry", "[labels]\na = 1", []string{`c.toml:2:1: labels.a: wants a string, not an integer`}},
		{"raw table", "raw = 'x'", []string{`c.toml:1:1: raw: wants a table, not a string`}},
		{"raw tables", "raws = [1]", []string{`c.toml:1:9: raws[0]: wants a table, not an integer`}},
		{"[many] for [[many]]", "[many]", []string{
			`c.toml:1:2: many: wants an array of tables (written [[many]]), not a table`,
		}},
		{"[[named]] for [named]", "[[named]]", []string{
			`c.toml:1:3: named: wants a table (written [named]), not an array of tables`,
		}},

		{"int8", "int8 = 128", []string{`c.toml:1:1: int8: 128 is out of range (-128 to 127)`}},
		{"uint8", "uint8 = 256", []string{`c.toml:1:1: uint8: 256 is out of range (0 to 255)`}},
		{"uint16", "port = -1", []string{`c.toml:1:1: port: -1 is out of range (0 to 65535)`}},
		{"uint64", "uint64 = -1", []string{`c.toml:1:1: uint64: -1 is out of range (0 to 9223372036854775807)`}},
		{"float32", "float32 = 1e300", []string{`c.toml:1:1: float32: 1e+300 is out of range`}},
		{"negative size", "size = -1", []string{`c.toml:1:1: size: -1 is negative`}},
		{"bad size", "size = '64 flies'", []string{
			`c.toml:1:1: size: "64 flies" is not a size; write "64KiB", "10MB" or a number of bytes`,
		}},
		{"bad duration", "duration = '10'", []string{
			`c.toml:1:1: duration: "10" is not a duration; write it as "10s" or "1h30m"`,
		}},
		{"bad text", "prefixes = ['10.0.0.0/8', '10.0.0.0']", []string{`c.toml:1:27: prefixes[1]: "10.0.0.0": no '/'`}},

		{"all at once", "int = 'x'\nsrting = 1\n[[many]]\nwieght = 2\n[named]\nname = 3\nweight = 'x'", []string{
			`c.toml:1:1: int: wants an integer, not a string`,
			`c.toml:2:1: srting: unknown key; did you mean "string"?`,
			`c.toml:3:1: many.name: required key is missing`,
			`c.toml:4:1: many.wieght: unknown key; did you mean "weight"?`,
			`c.toml:6:1: named.name: wants a string, not an integer`,
			`c.toml:7:1: named.weight: wants an integer, not a string`,
		}},
		{"columns are characters", "labels = {\"ключ\" = 'é', b = 1}", []string{
			`c.toml:1:25: labels.b: wants a string, not an integer`,
		}},
		{"byte order mark, CRLF", "\ufeffint = 1\r\nbool = 1\r\n", []string{
			`c.toml:2:1: bool: wants true or false, not an integer`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := parse(t, test.text).Decode(new(kinds))
			if diff := cmp.Diff(test.want, report(err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	type inner struct {
		A int `toml:"a"`
		B int `toml:"b"`
	}
	type config struct {
		Name  string         `toml:"name"`
		Inner inner          `toml:"inner"`
		List  []int          `toml:"list"`
		Map   map[string]int `toml:"map"`
		Near  *inner         `toml:"near"`
		Far   *inner         `toml:"far"`
	}
	shared := &inner{1, 2}
	got := config{"n", inner{1, 2}, []int{1, 2}, map[string]int{"x": 1}, shared, shared}
	if err := parse(t, "inner.b = 3\nlist = [4]\nmap.y = 5\nnear.a = 6").Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := config{"n", inner{1, 3}, []int{4}, map[string]int{"y": 5}, &inner{6, 2}, &inner{1, 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDecodeKeepsWhatIsRight(t *testing.T) {
	var got kinds
	err := parse(t, "int = 1\nbool = 2\nstring = 'x'").Decode(&got)
	if err == nil || got.Int != 1 || got.String != "x" {
		t.Errorf("got int %d, string %q, error %v", got.Int, got.String, err)
	}
}

func TestDecodeZeroTable(t *testing.T) {
	err := strict.Table{}.Decode(new(named))
	if diff := cmp.Diff([]string{"name: required key is missing"}, report(err)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A raw table is decoded later, by a decoder that knows nothing of where it is.
func TestDecodeRawTable(t *testing.T) {
	root := parse(t, "[[many]]\nname = 'x'\n[many.raw]\nnam = 1\n[[many]]\nname = 'y'")
	var config struct {
		Many []struct {
			Name string       `toml:"name"`
			Raw  strict.Table `toml:"raw"`
		} `toml:"many"`
	}
	if err := root.Decode(&config); err != nil {
		t.Fatal(err)
	}
	if config.Many[0].Raw.IsZero() || !config.Many[1].Raw.IsZero() {
		t.Error("IsZero does not tell the present table from the absent one")
	}
	for i, want := range [][]string{
		{
			`c.toml:3:1: many.raw.name: required key is missing`,
			`c.toml:4:1: many.raw.nam: unknown key; did you mean "name"?`,
		},
		{`c.toml:5:1: many.raw.name: required key is missing`},
	} {
		if diff := cmp.Diff(want, report(config.Many[i].Raw.Decode(new(named)))); diff != "" {
			t.Errorf("many[%d]: (-want +got)\n%s", i, diff)
		}
	}
}

func TestDecodeGivesErrors(t *testing.T) {
	err := parse(t, "zzz = 1\nint = ''").Decode(new(kinds))
	var all strict.Errors
	if !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("%#v is not two Errors", err)
	}
	var first *strict.Error
	if !errors.As(err, &first) || first.Line != 1 || first.Key != "zzz" {
		t.Errorf("errors.As finds %#v", first)
	}
}

func TestDecodePanicsAtWrongStructs(t *testing.T) {
	type unexported struct {
		a int `toml:"a"`
	}
	_ = unexported{}.a
	for _, test := range []struct {
		name string
		into any
	}{
		{"nil", nil},
		{"not a pointer", kinds{}},
		{"nil pointer", (*kinds)(nil)},
		{"not a struct", new(map[string]any)},
		{"unexported field", new(unexported)},
		{"no name", new(struct {
			A int `toml:",required"`
		})},
		{"unknown option", new(struct {
			A int `toml:"a,omitempty"`
		})},
		{"same name twice", new(struct {
			A int `toml:"a"`
			B int `toml:"a"`
		})},
		{"self is no table", new(struct {
			A int `toml:"."`
		})},
		{"channel", new(struct {
			A []chan int `toml:"a"`
		})},
		{"map with other keys", new(struct {
			A map[int]string `toml:"a"`
		})},
		{"wrong struct below", new(struct {
			A map[string][]struct {
				B func() `toml:"b"`
			} `toml:"a"`
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = strict.Table{}.Decode(test.into)
		})
	}
}

func TestDecodeRecursiveStruct(t *testing.T) {
	type tree struct {
		Name     string `toml:"name"`
		Children []tree `toml:"children"`
	}
	var got tree
	if err := parse(t, "name='a'\n[[children]]\nname='b'\n[[children.children]]\nname='c'").Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := tree{"a", []tree{{"b", []tree{{"c", nil}}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
